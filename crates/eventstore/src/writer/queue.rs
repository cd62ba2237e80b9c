//! The appends that wait for the writer: bounded in bytes, those that continue work before those that start it.

#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};

use super::{
    group::GroupInMaking,
    verdict::{self, Place},
};
use crate::{Append, AppendError, Appended, Urgency, append::MAX_APPEND_BYTES};

/// An append and whoever waits for it.
pub(crate) struct Waiting {
    pub(crate) append: Append,
    /// Where its events are if they were written already.
    pub(crate) place: Place,
    /// Whether it was sent and did not win, so that what the writer remembers of its stream is worth nothing.
    pub(crate) lost: bool,
    pub(crate) since: Instant,
    reply: oneshot::Sender<Result<Appended, AppendError>>,
    pub(super) bytes: usize,
    _room: OwnedSemaphorePermit,
}

impl Waiting {
    pub(crate) fn answer(self, answer: Result<Appended, AppendError>) {
        // Whoever asked may have gone.
        let _ = self.reply.send(answer);
    }

    /// Whoever asked has gone.
    pub(super) fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }
}

/// Comes from the writer; dropped without one if nobody writes any more.
pub(crate) type Answer = oneshot::Receiver<Result<Appended, AppendError>>;

pub(crate) struct Queue {
    lanes: Mutex<Lanes>,
    /// Told whenever so many wait as are waited for.
    filled: Notify,
    room: [Arc<Semaphore>; 2],
}

#[derive(Default)]
struct Lanes {
    waiting: [VecDeque<Waiting>; 2],
    /// Since when the oldest append waits that the writer has taken and not answered.
    taken: Option<Instant>,
    /// Whether the last group had no place for some.
    left: bool,
    /// How many the writer waits for.
    enough: usize,
    closed: bool,
}

impl Lanes {
    fn len(&self) -> usize {
        self.waiting.iter().map(VecDeque::len).sum()
    }
}

impl Queue {
    pub(crate) fn new(bytes: usize) -> Self {
        let bytes = bytes.clamp(2 * MAX_APPEND_BYTES, Semaphore::MAX_PERMITS);
        let room = || Arc::new(Semaphore::new(bytes));
        Self {
            lanes: Mutex::default(),
            filled: Notify::new(),
            room: [room(), room()],
        }
    }

    /// Waits for room and hands the append in; the answer comes once the writer has taken it.
    pub(crate) async fn hand_in(&self, append: Append) -> Result<Answer, AppendError> {
        append.validate()?;
        let lane = lane(append.urgency);
        let bytes = append.bytes();
        let room = Arc::clone(&self.room[lane]);
        // An append is at most 1 MiB.
        let room = room
            .acquire_many_owned(u32::try_from(bytes).unwrap_or(u32::MAX))
            .await;
        let room = room.map_err(|_| AppendError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let place = verdict::expected_place(append.expected);
        let waiting = Waiting {
            append,
            place,
            lost: false,
            since: Instant::now(),
            reply,
            bytes,
            _room: room,
        };
        let mut lanes = self.lanes();
        if lanes.closed {
            return Err(AppendError::Closed);
        }
        lanes.waiting[lane].push_back(waiting);
        if lanes.len() == lanes.enough {
            self.filled.notify_one();
        }
        Ok(answer)
    }

    /// The next group: `kept` appends from before, and what has gathered since. Empty when nothing waits.
    pub(super) fn take(&self, kept: Vec<Waiting>) -> Vec<Waiting> {
        let mut group = GroupInMaking::new(kept);
        let mut lanes = self.lanes();
        for lane in &mut lanes.waiting {
            group.fill_from(lane);
        }
        lanes.taken = group.members().iter().map(|member| member.since).min();
        lanes.left = lanes.len() > 0;
        group.into_members()
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.lanes().len() == 0
    }

    /// How many came since the last group was taken; none if that left some behind, since then the next may have no place for
    /// more.
    pub(super) fn arrived(&self) -> usize {
        let lanes = self.lanes();
        if lanes.left { 0 } else { lanes.len() }
    }

    /// Waits until so many wait. Cancel-safe; for one task at a time.
    pub(super) async fn filled(&self, enough: usize) {
        let fewer = || {
            let mut lanes = self.lanes();
            lanes.enough = enough;
            lanes.len() < enough
        };
        while fewer() {
            self.filled.notified().await;
        }
    }

    /// How long the oldest unanswered append has been waiting.
    pub(crate) fn oldest(&self) -> Option<Duration> {
        let lanes = self.lanes();
        let waiting = lanes
            .waiting
            .iter()
            .filter_map(|lane| lane.front())
            .map(|waiting| waiting.since);
        waiting.chain(lanes.taken).min().map(|since| since.elapsed())
    }

    /// The writer has answered all that it took.
    pub(crate) fn answered(&self, kept: &[Waiting]) {
        self.lanes().taken = kept.iter().map(|waiting| waiting.since).min();
    }

    /// Takes in no more. What waits is still written.
    pub(crate) fn close(&self) {
        self.lanes().closed = true;
        self.room.iter().for_each(|room| room.close());
    }

    /// Takes in no more, and answers what waits with [`AppendError::Closed`].
    pub(super) fn abandon(&self) {
        self.close();
        self.lanes().waiting.iter_mut().for_each(VecDeque::clear);
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lane(urgency: Urgency) -> usize {
    match urgency {
        Urgency::Continue => 0,
        Urgency::Start => 1,
    }
}
