//! Threads of their own for those who are being served.

use std::{io, thread};

use tokio::{runtime::Builder, sync::oneshot};

use crate::Lifecycle;

/// Runs a task that the process cannot do without, and all that it spawns, in a runtime of its own, which lasts as long
/// as the process.
///
/// Thousands of requests may be ready at a time. In the same runtime each next step of a commit, an announcement or a
/// saga would wait for its turn behind all of them; between threads the kernel shares the processors justly.
pub(crate) fn run(
    name: &'static str,
    lifecycle: &Lifecycle,
    task: impl Future<Output = ()> + Send + 'static,
) {
    let (done, ended) = oneshot::channel::<()>();
    let hard = lifecycle.hard.clone();
    let serve = move || -> io::Result<()> {
        let runtime = Builder::new_multi_thread()
            .thread_name(name)
            .enable_all()
            .build()?;
        runtime.block_on(async {
            task.await;
            // Nobody listens if the process was told to go at once.
            let _unheard = done.send(());
            // What was begun here, such as an append, may be waited for elsewhere until the end.
            hard.cancelled().await;
        });
        runtime.shutdown_background();
        Ok(())
    };
    let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
        if let Err(error) = serve() {
            tracing::error!(%error, task = name, "threads cannot be started");
        }
    });
    if let Err(error) = thread {
        tracing::error!(%error, task = name, "a thread cannot be started");
    }
    lifecycle.spawn(name, async {
        // Given up if the task panicked, or never began.
        let _given_up = ended.await;
    });
}
