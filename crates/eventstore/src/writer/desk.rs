//! Who lets the writer work: it rests while nothing waits, and whoever hands an append in then takes it up.
//!
//! A task of its own would have to be woken for each append, and its answer would have to wake the appender again: two
//! changes of thread, of 30 to 60 µs each, in the way of somebody who is alone. So the first group is written where the
//! append was made. If more has gathered by then, there is a load, and those who make it may keep their threads busy for
//! long: from then on the groups are written at home, in the runtime in which the store was opened.
//!
//! It rests again as soon as its group is answered and nothing waits, and not when followers have been told: whoever takes
//! one step after the other, as a saga does, has handed in the next by then, which would have to wait for that.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio_util::task::TaskTracker;

use super::{Parts, Writer, gather::gather, queue::Waiting};

/// Where the writer rests.
pub(crate) struct Desk {
    /// The writer, unless it is at work.
    resting: Mutex<Option<Box<Writer>>>,
    parts: Arc<Parts>,
    home: Handle,
    tasks: TaskTracker,
}

impl Desk {
    /// For a store that is opened in the runtime at hand.
    pub(crate) fn new(writer: Writer, tasks: TaskTracker) -> Self {
        Self {
            parts: Arc::clone(&writer.parts),
            resting: Mutex::new(Some(Box::new(writer))),
            home: Handle::current(),
            tasks,
        }
    }

    /// An append was handed in: lets the writer write it, in the runtime at hand, unless it is at work already. A runtime
    /// without threads of its own may stand still as soon as there is an answer, so that one is passed over.
    pub(crate) fn call(self: &Arc<Self>) {
        let writer = self.lock().take();
        if let Some(writer) = writer {
            let here = Handle::try_current();
            let here = here
                .ok()
                .filter(|it| it.runtime_flavor() == RuntimeFlavor::MultiThread);
            let writing = Arc::clone(self).write_here(writer);
            self.tasks.spawn_on(writing, here.as_ref().unwrap_or(&self.home));
        }
    }

    async fn write_here(self: Arc<Self>, mut writer: Box<Writer>) {
        let kept = writer.write(Vec::new()).await;
        let news = writer.news();
        Arc::clone(&self).go_on(writer, kept);
        self.parts.spread(news).await;
    }

    async fn write_at_home(self: Arc<Self>, mut writer: Box<Writer>, mut kept: Vec<Waiting>) {
        loop {
            if kept.is_empty() {
                gather(&self.parts.queue, writer.last).await;
            }
            kept = writer.write(kept).await;
            let news = writer.news();
            if kept.is_empty() && self.parts.queue.is_empty() {
                Arc::clone(&self).go_on(writer, kept);
                return self.parts.spread(news).await;
            }
            self.parts.spread(news).await;
        }
    }

    /// Rests, unless there is more to write.
    fn go_on(self: Arc<Self>, writer: Box<Writer>, kept: Vec<Waiting>) {
        if !kept.is_empty() || !self.parts.queue.is_empty() {
            return self.go_home(writer, kept);
        }
        *self.lock() = Some(writer);
        if self.parts.queue.is_empty() {
            return;
        }
        // Whoever handed something in meanwhile may not have found the writer here.
        let taken = self.lock().take();
        if let Some(writer) = taken {
            self.go_home(writer, kept);
        }
    }

    fn go_home(self: Arc<Self>, writer: Box<Writer>, kept: Vec<Waiting>) {
        let home = self.home.clone();
        self.tasks
            .clone()
            .spawn_on(self.write_at_home(writer, kept), &home);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Box<Writer>>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
