//! What the queue promises the writer and those who wait.

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
        async move {
            queue
                .hand_in(append)
                .await?
                .await
                .unwrap_or(Err(AppendError::Closed))
        }
    });
    while queue.len() == before {
        tokio::task::yield_now().await;
    }
    task
}

impl Queue {
    fn len(&self) -> usize {
        self.lanes().len()
    }
}

fn streams(group: &[Waiting]) -> Vec<&str> {
    group
        .iter()
        .map(|waiting| waiting.append.stream.as_str())
        .collect()
}

#[tokio::test]
async fn it_says_when_as_many_wait_as_are_waited_for() {
    let queue = Arc::new(Queue::new(0));
    // What was reached while nobody waited for it does not count.
    hand_in(&queue, append("a", Urgency::Start, 1, 1)).await;
    queue.filled(1).await;
    assert!(futures::poll!(Box::pin(queue.filled(2))).is_pending());
    hand_in(&queue, append("b", Urgency::Start, 1, 1)).await;
    queue.take(Vec::new());
    let mut filled = Box::pin(queue.filled(3));
    for (stream, urgency) in [("a", Urgency::Start), ("b", Urgency::Continue)] {
        assert!(futures::poll!(&mut filled).is_pending(), "{stream} is missing");
        hand_in(&queue, append(stream, urgency, 1, 1)).await;
    }
    assert!(futures::poll!(&mut filled).is_pending(), "one is missing");
    hand_in(&queue, append("c", Urgency::Start, 1, 1)).await;
    assert!(futures::poll!(&mut filled).is_ready());
}

#[tokio::test]
async fn a_group_that_left_some_behind_is_not_to_be_followed_by_a_larger_one() {
    let queue = Arc::new(Queue::new(0));
    for stream in ["a", "b", "a"] {
        hand_in(&queue, append(stream, Urgency::Continue, 1, 1)).await;
    }
    assert_eq!(queue.arrived(), 3);
    assert_eq!(streams(&queue.take(Vec::new())), ["a", "b"]);
    hand_in(&queue, append("c", Urgency::Continue, 1, 1)).await;
    assert_eq!(queue.arrived(), 0, "the other of `a` was there before");
    queue.take(Vec::new());
    hand_in(&queue, append("a", Urgency::Continue, 1, 1)).await;
    assert_eq!(queue.arrived(), 1);
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
    let first = queue.take(Vec::new());
    assert_eq!(streams(&first), ["c", "b", "a"]);
    let kept = first.into_iter().skip(2).collect();
    let second = queue.take(kept);
    assert_eq!(
        streams(&second),
        ["a", "c", "b"],
        "what was kept is still in, so its stream has to wait"
    );
    assert_eq!(streams(&queue.take(Vec::new())), ["a"]);
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
    while !queue.is_empty() {
        groups.push(streams(&queue.take(Vec::new())).concat());
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
    assert_eq!(streams(&queue.take(Vec::new())), ["kept"]);
    drop(kept);
}

#[tokio::test]
async fn appenders_wait_for_room_and_work_under_way_has_room_of_its_own() {
    let queue = Arc::new(Queue::new(0));
    for n in 0..2 {
        hand_in(&queue, append(&n.to_string(), Urgency::Start, 1, 1_000_000)).await;
    }
    let waits = queue.hand_in(append("waits", Urgency::Start, 1, 1_000_000));
    tokio::pin!(waits);
    assert!(futures::poll!(&mut waits).is_pending());
    assert_eq!(queue.len(), 2, "there is no room for a third one");
    hand_in(&queue, append("step", Urgency::Continue, 1, 1_000_000)).await;
    let group = queue.take(Vec::new());
    assert_eq!(streams(&group), ["step"]);
    drop(group);
    drop(queue.take(Vec::new()));
    assert!(futures::poll!(&mut waits).is_ready());
    assert_eq!(queue.len(), 2, "now there is");
}

#[tokio::test]
async fn the_age_is_that_of_the_oldest_unanswered_append() {
    let queue = Arc::new(Queue::new(0));
    assert_eq!(queue.oldest(), None);
    hand_in(&queue, append("a", Urgency::Start, 1, 1)).await;
    let waiting = queue.oldest().unwrap();
    let group = queue.take(Vec::new());
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
    let late = queue.hand_in(append("b", Urgency::Start, 1, 1)).await;
    assert!(matches!(late, Err(AppendError::Closed)));
    assert_eq!(streams(&queue.take(Vec::new())), ["a"]);
    assert!(queue.take(Vec::new()).is_empty());
}
