//! Works on many orders at a time, and on each by one task at a time.

use std::{
    any::Any,
    collections::{HashMap, VecDeque},
    fmt,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::FutureExt;
use tiffin_order::{Input, OrderId};
use tiffin_runtime::Lifecycle;
use time::OffsetDateTime;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{Failure, Loaded, Origin, Saga, timers::Timers};
use crate::park;

/// How many orders are worked on at a time.
const AT_ONCE: usize = 1_024;
/// How often in a row a handler may fail on an order.
const ATTEMPTS: u32 = 5;
/// The pause after the first failure; it doubles.
const PAUSE: Duration = Duration::from_millis(50);

/// An order that was woken too early is woken again no sooner than this: a clock that stands still, since the database's was
/// put back, would wake it a thousand times a second.
const AGAIN: Duration = Duration::from_millis(20);

/// What became of an input: the order as it then was, or why it did not move.
pub(crate) type Outcome = Result<Arc<Loaded>, Failure>;

/// Carries inputs out, takes every step that is due, and arms a timer for what comes later.
#[derive(Clone)]
pub(crate) struct Runner(Arc<Inner>);

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").finish_non_exhaustive()
    }
}

struct Inner {
    saga: Saga,
    /// The orders that a task works on, each with what came in meanwhile.
    active: Mutex<HashMap<OrderId, VecDeque<Job>>>,
    permits: Arc<Semaphore>,
    timers: Timers,
    lifecycle: Lifecycle,
}

struct Job {
    input: Input,
    origin: Origin,
    reply: Option<oneshot::Sender<Outcome>>,
}

impl Job {
    fn wake() -> Self {
        Self {
            input: Input::Wake,
            origin: Origin::default(),
            reply: None,
        }
    }
}

impl Runner {
    pub(crate) fn new(saga: Saga, lifecycle: Lifecycle) -> Self {
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        Self(Arc::new(Inner {
            saga,
            active: Mutex::default(),
            permits,
            timers: Timers::default(),
            lifecycle,
        }))
    }

    pub(crate) fn saga(&self) -> &Saga {
        &self.0.saga
    }

    /// How many orders are worked on, and how many have a timer.
    pub(crate) fn load(&self) -> (usize, usize) {
        (self.active().len(), self.0.timers.len())
    }

    /// Carries an input out, after all that came before it for the same order. Waits while too many orders are worked
    /// on; what it returns can be waited for or not. No answer means that the order is being started already, or
    /// that the process stops.
    pub(crate) async fn submit(
        &self,
        id: OrderId,
        input: Input,
        origin: Origin,
    ) -> oneshot::Receiver<Outcome> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(
            id,
            Job {
                input,
                origin,
                reply: Some(reply),
            },
        )
        .await;
        answer
    }

    /// Takes the step that is due, if one is.
    pub(crate) async fn wake(&self, id: OrderId) {
        // A task that works on the order looks itself for what is due.
        if !self.active().contains_key(&id) {
            self.enqueue(id, Job::wake()).await;
        }
    }

    /// Wakes orders whose timers are due, until `token` is cancelled.
    pub(crate) async fn keep_time(self, token: CancellationToken) {
        while let Some(due) = token.run_until_cancelled(self.0.timers.due()).await {
            for id in due {
                self.wake(id).await;
            }
        }
    }

    /// Forgets what was known of a log that was replaced by another one, until `token` is cancelled.
    pub(crate) async fn follow_replacements(self, token: CancellationToken) {
        let saga = &self.0.saga;
        let mut replaced = saga.store.replaced();
        let following = async {
            while replaced.changed().await.is_ok() {
                tracing::warn!("the log was replaced; forgetting what was known of it");
                saga.cache.clear();
                while let Err(error) = saga.workflows.define().await {
                    tracing::warn!(%error, "the workflow is not in the new log yet");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        };
        token.run_until_cancelled(following).await;
    }

    async fn enqueue(&self, id: OrderId, job: Job) {
        let Some(job) = self.join(id, job) else { return };
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&self.0.permits).acquire_owned().await else {
            return;
        };
        self.begin(id, job, permit);
    }

    /// Hands the job to the task that works on the order; gives it back if there is none.
    fn join(&self, id: OrderId, job: Job) -> Option<Job> {
        match self.active().get_mut(&id) {
            Some(waiting) => {
                wait(waiting, job);
                None
            }
            None => Some(job),
        }
    }

    fn begin(&self, id: OrderId, job: Job, permit: OwnedSemaphorePermit) {
        let mut active = self.active();
        // Another task may have begun with the order while this one waited for the permit.
        if let Some(waiting) = active.get_mut(&id) {
            wait(waiting, job);
            return;
        }
        active.insert(id, VecDeque::new());
        drop(active);
        let this = self.clone();
        self.0.lifecycle.tracker.spawn(async move {
            this.work(id, job).await;
            drop(permit);
        });
    }

    /// Works on one order until nothing has come in for it and nothing is due.
    async fn work(&self, id: OrderId, mut job: Job) {
        let saga = &self.0.saga;
        let woken = matches!(job.input, Input::Wake).then(|| saga.cache.get(id));
        let last = loop {
            let outcome = self.carry_out(id, &job).await;
            // A refused input leaves the order as it is, and something may be due in it.
            let state = outcome.as_ref().ok().cloned().or_else(|| saga.cache.get(id));
            if let Some(reply) = job.reply {
                // Nobody may be waiting for it any more.
                reply.send(outcome).ok();
            }
            let wake_at = state.as_ref().and_then(|state| state.order.wake_at());
            let due = wake_at.is_some_and(|at| at <= saga.store.now());
            match self.next(id, due && !self.0.lifecycle.soft.is_cancelled()) {
                Some(next) => job = next,
                None => break state,
            }
        };
        let Some(last) = last else { return };
        if let Some(at) = last.order.wake_at().and_then(|at| self.instant(at)) {
            let in_vain = woken.flatten().is_some_and(|before| Arc::ptr_eq(&before, &last));
            let soonest = if in_vain { AGAIN } else { Duration::ZERO };
            self.0.timers.arm(id, at.max(Instant::now() + soonest));
        }
    }

    /// What is next for an order; what came in goes before what is due. `None` ends the work on it.
    fn next(&self, id: OrderId, due: bool) -> Option<Job> {
        let mut active = self.active();
        let waiting = active.get_mut(&id).and_then(VecDeque::pop_front);
        let next = waiting.or_else(|| due.then(Job::wake));
        if next.is_none() {
            active.remove(&id);
        }
        next
    }

    /// Carries an input out; one of the saga's own is tried again when the handler fails, and at last parks the order.
    async fn carry_out(&self, id: OrderId, job: &Job) -> Outcome {
        let saga = &self.0.saga;
        let mut attempt = 1;
        loop {
            let outcome = guarded(saga.step(id, &job.input, &job.origin)).await;
            let Err(Failure::Broken(reason)) = &outcome else {
                return outcome;
            };
            saga.cache.forget(id);
            saga.metrics.failures.inc();
            tracing::warn!(order.id = %id, attempt, reason, "an order's handling failed");
            if !matches!(job.input, Input::Start | Input::Wake) {
                return outcome;
            }
            if attempt == ATTEMPTS {
                // Apart: rare, and what it needs would count for every order that is worked on.
                return Box::pin(park::order(saga, id, reason, attempt)).await;
            }
            tokio::time::sleep(PAUSE * 2u32.pow(attempt - 1)).await;
            attempt += 1;
        }
    }

    /// The time on this process' own clock, which measures, at which the database's clock, which names, shows `at`;
    /// `None` if this clock never will.
    fn instant(&self, at: OffsetDateTime) -> Option<Instant> {
        let wait = Duration::try_from(at - self.0.saga.store.now()).unwrap_or_default();
        Instant::now().checked_add(wait)
    }

    fn active(&self) -> MutexGuard<'_, HashMap<OrderId, VecDeque<Job>>> {
        self.0.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An order's message comes again for as long as the database is away: one start that waits is enough, and the answer to
/// another ends with its sender.
fn wait(waiting: &mut VecDeque<Job>, job: Job) {
    let is_start = |job: &Job| matches!(job.input, Input::Start);
    if !(is_start(&job) && waiting.iter().any(is_start)) {
        waiting.push_back(job);
    }
}

/// A panic of the handler is its failure, not the process'.
pub(crate) fn guarded<T>(
    handling: impl Future<Output = Result<T, Failure>>,
) -> impl Future<Output = Result<T, Failure>> {
    let panicked = |panic: Box<dyn Any + Send>| {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Failure::Broken(format!("panic: {}", text.unwrap_or("a value that is not text")))
    };
    AssertUnwindSafe(handling)
        .catch_unwind()
        .map(move |ended| ended.unwrap_or_else(|panic| Err(panicked(panic))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_waits_for_one_start_and_for_every_other_input() {
        let mut waiting = VecDeque::new();
        for input in [Input::Start, Input::Wake, Input::Start, Input::Wake] {
            wait(&mut waiting, Job { input, ..Job::wake() });
        }
        let inputs: Vec<_> = waiting.into_iter().map(|job| job.input).collect();
        assert_eq!(inputs, [Input::Start, Input::Wake, Input::Wake]);
    }

    #[tokio::test]
    async fn a_panic_is_a_failure_of_the_handler() {
        let outcome: Result<(), _> = guarded(async { panic!("step {}", 3) }).await;
        assert!(matches!(outcome, Err(Failure::Broken(reason)) if reason == "panic: step 3"));
    }
}
