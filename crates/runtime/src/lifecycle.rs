//! How a process stops: gently first, then for good.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::FutureExt;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long tasks that were told to stop at once may take to return.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The tasks of a process and the two signals that end them.
///
/// `soft` asks to take no new work and to finish what is at hand; `hard`, after the grace period or at the second
/// SIGTERM or SIGINT, to return at once.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    /// Cancelled when the process is asked to stop.
    pub soft: CancellationToken,
    /// Cancelled when the grace period is over.
    pub hard: CancellationToken,
    /// Every task of the process.
    pub tracker: TaskTracker,
    grace: Duration,
    failed: Arc<AtomicBool>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All tasks returned in time.
    Clean,
    /// A task that must run for ever ended by itself, or some task did not return in time.
    Failed,
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Clean => Self::SUCCESS,
            Ending::Failed => Self::FAILURE,
        }
    }
}

impl Lifecycle {
    /// A lifecycle whose tasks have `grace` to finish.
    pub fn new(grace: Duration) -> Self {
        Self {
            soft: CancellationToken::new(),
            hard: CancellationToken::new(),
            tracker: TaskTracker::new(),
            grace,
            failed: Arc::default(),
        }
    }

    /// How long tasks have between `soft` and `hard`.
    pub fn grace(&self) -> Duration {
        self.grace
    }

    /// Runs a task that the process cannot do without: if it ends or panics before the process is asked to stop, the
    /// process stops, so that whoever supervises it starts it anew.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let this = self.clone();
        self.tracker.spawn(async move {
            let panicked = AssertUnwindSafe(task).catch_unwind().await.is_err();
            if panicked || !this.soft.is_cancelled() {
                tracing::error!(task = name, panicked, "a task ended that must not; stopping");
                this.fail();
            }
        });
    }

    /// Stops the process, which will count as failed.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
        self.soft.cancel();
    }

    /// Cancels `soft` at the first SIGTERM or SIGINT and `hard` at the second.
    pub fn stop_on_signals(&self) -> std::io::Result<()> {
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        // Not a task of the tracker: it waits for signals until the process is gone.
        tokio::spawn(self.clone().watch(terminate, interrupt));
        Ok(())
    }

    async fn watch(self, mut terminate: Signal, mut interrupt: Signal) {
        for token in [&self.soft, &self.hard] {
            let signal = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            tracing::info!(signal, "stopping");
            token.cancel();
        }
    }

    /// Waits until the process is asked to stop and its tasks have returned.
    pub async fn finished(&self) -> Ending {
        self.soft.cancelled().await;
        self.tracker.close();
        tokio::select! {
            () = self.tracker.wait() => {}
            () = tokio::time::sleep(self.grace) => {}
            () = self.hard.cancelled() => {}
        }
        self.hard.cancel();
        let returned = timeout(LAST_WORDS, self.tracker.wait()).await.is_ok();
        if !returned {
            tracing::warn!(
                tasks = self.tracker.len(),
                "stopped with tasks that did not return"
            );
        }
        if returned && !self.failed.load(Ordering::Relaxed) {
            Ending::Clean
        } else {
            Ending::Failed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn tasks_that_finish_in_time_end_clean_and_never_see_the_hard_token() {
        let lifecycle = Lifecycle::new(Duration::from_secs(20));
        let this = lifecycle.clone();
        let (say, heard) = tokio::sync::oneshot::channel();
        lifecycle.spawn("worker", async move {
            this.soft.cancelled().await;
            say.send(this.hard.is_cancelled()).unwrap();
        });
        lifecycle.soft.cancel();
        assert_eq!(lifecycle.finished().await, Ending::Clean);
        assert!(!heard.await.unwrap());
    }

    #[tokio::test]
    async fn a_task_that_overstays_is_told_to_return_after_the_grace_period() {
        let lifecycle = Lifecycle::new(GRACE);
        let hard = lifecycle.hard.clone();
        lifecycle.tracker.spawn(async move { hard.cancelled().await });
        let started = tokio::time::Instant::now();
        lifecycle.soft.cancel();
        assert_eq!(lifecycle.finished().await, Ending::Clean);
        assert!(started.elapsed() >= GRACE);
    }

    #[tokio::test]
    async fn a_task_that_never_returns_does_not_keep_the_process() {
        let lifecycle = Lifecycle::new(GRACE);
        lifecycle.tracker.spawn(std::future::pending::<()>());
        lifecycle.soft.cancel();
        assert_eq!(lifecycle.finished().await, Ending::Failed);
    }

    #[tokio::test]
    async fn a_vital_task_that_panics_stops_the_process_as_failed() {
        let lifecycle = Lifecycle::new(Duration::from_secs(20));
        lifecycle.spawn("worker", async { panic!("a bug") });
        assert_eq!(lifecycle.finished().await, Ending::Failed);
    }
}
