//! The appends that wait for the writer: bounded in bytes, those that continue work before those that start it.

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

pub(crate) struct Queue {
    lanes: Mutex<Lanes>,
    arrived: Notify,
    room: [Arc<Semaphore>; 2],
}

#[derive(Default)]
struct Lanes {
    waiting: [VecDeque<Waiting>; 2],
    /// Since when the oldest append waits that the writer has taken and not answered.
    taken: Option<Instant>,
    closed: bool,
}

impl Queue {
    pub(crate) fn new(bytes: usize) -> Self {
        let bytes = bytes.clamp(2 * MAX_APPEND_BYTES, Semaphore::MAX_PERMITS);
        let room = || Arc::new(Semaphore::new(bytes));
        Self {
            lanes: Mutex::default(),
            arrived: Notify::new(),
            room: [room(), room()],
        }
    }

    /// Waits for room, then for the answer.
    pub(crate) async fn append(&self, append: Append) -> Result<Appended, AppendError> {
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
        {
            let mut lanes = self.lanes();
            if lanes.closed {
                return Err(AppendError::Closed);
            }
            lanes.waiting[lane].push_back(waiting);
        }
        self.arrived.notify_one();
        answer.await.unwrap_or(Err(AppendError::Closed))
    }

    /// The next group: `kept` appends from before, and what has gathered since. `None` once all is done and closed.
    pub(crate) async fn take(&self, kept: Vec<Waiting>) -> Option<Vec<Waiting>> {
        let mut group = GroupInMaking::new(kept);
        loop {
            let arrived = self.arrived.notified();
            {
                let mut lanes = self.lanes();
                for lane in &mut lanes.waiting {
                    group.fill_from(lane);
                }
                lanes.taken = group.members().iter().map(|member| member.since).min();
                if !group.members().is_empty() {
                    return Some(group.into_members());
                }
                if lanes.closed {
                    return None;
                }
            }
            arrived.await;
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
        self.arrived.notify_one();
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

#[cfg(test)]
mod tests {
    use tokio::task::JoinHandle;
    use uuid::Uuid;

    use super::*;
    use crate::{Expected, NewEvent};

    fn append(stream: &str, urgency: Urgency, events: usize, bytes: usize) -> Append {
        let event = || NewEvent {
            id: Uuid::now_v7(),
            kind: "kind".into(),
            data: vec![0; bytes].into(),
            metadata: Vec::new().into(),
        };
        Append {
            stream: stream.into(),
            expected: Expected::Any,
            events: (0..events).map(|_| event()).collect(),
            urgency,
        }
    }

    /// Hands an append in and waits until it is in the queue.
    async fn hand_in(queue: &Arc<Queue>, append: Append) -> JoinHandle<Result<Appended, AppendError>> {
        let before = queue.len();
        let task = tokio::spawn({
            let queue = Arc::clone(queue);
            async move { queue.append(append).await }
        });
        while queue.len() == before {
            tokio::task::yield_now().await;
        }
        task
    }

    impl Queue {
        fn len(&self) -> usize {
            self.lanes().waiting.iter().map(VecDeque::len).sum()
        }
    }

    fn streams(group: &[Waiting]) -> Vec<&str> {
        group
            .iter()
            .map(|waiting| waiting.append.stream.as_str())
            .collect()
    }

    #[tokio::test]
    async fn work_under_way_goes_first_and_a_stream_is_in_a_group_once() {
        let queue = Arc::new(Queue::new(0));
        for (stream, urgency) in [
            ("a", Urgency::Start),
            ("b", Urgency::Start),
            ("a", Urgency::Start),
            ("c", Urgency::Continue),
            ("c", Urgency::Continue),
            ("b", Urgency::Continue),
        ] {
            hand_in(&queue, append(stream, urgency, 1, 1)).await;
        }
        let first = queue.take(Vec::new()).await.unwrap();
        assert_eq!(streams(&first), ["c", "b", "a"]);
        let kept = first.into_iter().skip(2).collect();
        let second = queue.take(kept).await.unwrap();
        assert_eq!(
            streams(&second),
            ["a", "c", "b"],
            "what was kept is still in, so its stream has to wait"
        );
        assert_eq!(streams(&queue.take(Vec::new()).await.unwrap()), ["a"]);
        assert_eq!(queue.len(), 0);
    }

    #[tokio::test]
    async fn a_group_is_bounded_in_events_and_bytes() {
        let queue = Arc::new(Queue::new(0));
        for (stream, events, bytes) in [
            ("a", 400, 1),
            ("b", 112, 1),
            ("c", 1, 1),
            ("d", 1, 900_000),
            ("e", 1, 1),
            ("f", 1, 300_000),
        ] {
            hand_in(&queue, append(stream, Urgency::Start, events, bytes)).await;
        }
        let mut groups = Vec::new();
        while queue.len() > 0 {
            groups.push(streams(&queue.take(Vec::new()).await.unwrap()).concat());
        }
        assert_eq!(
            groups,
            ["ab", "c", "d", "e", "f"],
            "in their order, and the largest one alone"
        );
    }

    #[tokio::test]
    async fn an_append_that_nobody_waits_for_any_more_is_not_sent() {
        let queue = Arc::new(Queue::new(0));
        let gone = hand_in(&queue, append("gone", Urgency::Start, 1, 1)).await;
        let kept = hand_in(&queue, append("kept", Urgency::Start, 1, 1)).await;
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        assert_eq!(streams(&queue.take(Vec::new()).await.unwrap()), ["kept"]);
        drop(kept);
    }

    #[tokio::test]
    async fn appenders_wait_for_room_and_work_under_way_has_room_of_its_own() {
        let queue = Arc::new(Queue::new(0));
        for n in 0..2 {
            hand_in(&queue, append(&n.to_string(), Urgency::Start, 1, 1_000_000)).await;
        }
        let waits = queue.append(append("waits", Urgency::Start, 1, 1_000_000));
        tokio::pin!(waits);
        assert!(futures::poll!(&mut waits).is_pending());
        assert_eq!(queue.len(), 2, "there is no room for a third one");
        hand_in(&queue, append("step", Urgency::Continue, 1, 1_000_000)).await;
        let group = queue.take(Vec::new()).await.unwrap();
        assert_eq!(streams(&group), ["step"]);
        drop(group);
        drop(queue.take(Vec::new()).await.unwrap());
        assert!(futures::poll!(&mut waits).is_pending());
        assert_eq!(queue.len(), 2, "now there is");
    }

    #[tokio::test]
    async fn the_age_is_that_of_the_oldest_unanswered_append() {
        let queue = Arc::new(Queue::new(0));
        assert_eq!(queue.oldest(), None);
        hand_in(&queue, append("a", Urgency::Start, 1, 1)).await;
        let waiting = queue.oldest().unwrap();
        let group = queue.take(Vec::new()).await.unwrap();
        assert!(
            queue.oldest().unwrap() >= waiting,
            "while it is being written, too"
        );
        queue.answered(&[]);
        assert_eq!(queue.oldest(), None);
        drop(group);
    }

    #[tokio::test]
    async fn a_closed_queue_hands_out_what_waits_and_takes_no_more() {
        let queue = Arc::new(Queue::new(0));
        hand_in(&queue, append("a", Urgency::Start, 1, 1)).await;
        queue.close();
        let late = queue.append(append("b", Urgency::Start, 1, 1)).await;
        assert!(matches!(late, Err(AppendError::Closed)));
        assert_eq!(streams(&queue.take(Vec::new()).await.unwrap()), ["a"]);
        assert!(queue.take(Vec::new()).await.is_none());
    }
}
