//! Reading: streams and the log, forwards and backwards, from a place, limited.

use std::time::Duration;

use tiffin_eventstore::{Cursor, Direction, Position, ReadError, Revision};
use uuid::Uuid;

use crate::world::{World, cursor, data, grow, whole_log};

pub(crate) async fn a_stream_is_read_from_a_revision_in_either_direction(world: World) {
    let store = world.store().await;
    grow(&store, "other", 2).await;
    grow(&store, "s", 5).await;
    for (from, direction, limit, expected) in [
        (
            Revision::FIRST,
            Direction::Forwards,
            10,
            vec!["0", "1", "2", "3", "4"],
        ),
        (Revision(2), Direction::Forwards, 2, vec!["2", "3"]),
        (Revision(9), Direction::Forwards, 2, vec![]),
        (Revision::END, Direction::Backwards, 2, vec!["4", "3"]),
        (Revision(2), Direction::Backwards, 10, vec!["2", "1", "0"]),
    ] {
        let events = store
            .read_stream(&"s".into(), from, direction, limit)
            .await
            .unwrap();
        assert_eq!(
            events.iter().map(|event| data(event)).collect::<Vec<_>>(),
            expected,
            "{from} {direction:?}"
        );
    }
    let none = store
        .read_stream(&"none".into(), Revision::FIRST, Direction::Forwards, 9)
        .await
        .unwrap();
    assert!(none.is_empty());
}

pub(crate) async fn the_log_is_read_from_a_position_in_either_direction(world: World) {
    let store = world.store().await;
    assert_eq!(store.head().await.unwrap(), Cursor::START);
    grow(&store, "a", 3).await;
    grow(&store, "b", 3).await;
    for (after, direction, limit, expected) in [
        (Position::START, Direction::Forwards, 10, vec![1, 2, 3, 4, 5, 6]),
        (Position(2), Direction::Forwards, 3, vec![3, 4, 5]),
        (Position(6), Direction::Forwards, 3, vec![]),
        (Position::END, Direction::Backwards, 2, vec![6, 5]),
        (Position(3), Direction::Backwards, 10, vec![2, 1]),
    ] {
        let events = store.read_all(after, direction, limit).await.unwrap();
        assert_eq!(
            events.iter().map(|event| event.position.0).collect::<Vec<_>>(),
            expected
        );
    }
    assert_eq!(store.head().await.unwrap(), cursor(&whole_log(&store).await));
}

pub(crate) async fn whole_streams_are_read_together_in_the_order_asked(world: World) {
    let store = world.store().await;
    for (name, count) in [("a", 1), ("b", 3), ("c", 2)] {
        grow(&store, name, count).await;
    }
    let names = ["c", "none", "a", "c"].map(Into::into);
    let streams = store.read_streams(&names).await.unwrap();
    let found: Vec<Vec<_>> = streams
        .iter()
        .map(|stream| stream.iter().map(|e| e.position.0).collect())
        .collect();
    assert_eq!(found, [vec![5, 6], vec![], vec![1], vec![5, 6]]);
    assert!(store.read_streams(&[]).await.unwrap().is_empty());
}

pub(crate) async fn what_comes_after_a_cursor_is_read_wherever_the_cursor_is(world: World) {
    let store = world.store().await;
    let old = grow(&store, "old", 5).await;
    // The tail of a store that is opened now begins after these.
    store.close().await;
    drop(store);
    let store = world.store().await;
    grow(&store, "new", 5).await;
    let log = whole_log(&store).await;
    for n in 0..=log.len() {
        let after = store.read_after(cursor(&log[..n]), 3).await.unwrap();
        assert_eq!(after, log[n..].iter().take(3).cloned().collect::<Vec<_>>());
    }
    assert_eq!(old, log[..5]);
    for position in [0, 3, 8, 10, 99].map(Position) {
        let other = Cursor {
            position,
            event_id: Uuid::now_v7(),
        };
        let read = store.read_after(other, 3).await;
        assert_eq!(
            matches!(read, Err(ReadError::LogReplaced)),
            position != Position::START,
            "{position}"
        );
    }
}

pub(crate) async fn the_events_since_a_time_begin_after_a_cursor(world: World) {
    let store = world.store().await;
    assert_eq!(store.before(store.now()).await.unwrap(), Cursor::START);
    for stream in ["a", "b", "c"] {
        grow(&store, stream, 3).await;
    }
    let log = whole_log(&store).await;
    for event in &log {
        let earlier = log.partition_point(|other| other.created_at < event.created_at);
        let found = store.before(event.created_at).await.unwrap();
        assert_eq!(found, cursor(&log[..earlier]));
        let earlier = log.partition_point(|other| other.created_at <= event.created_at);
        let later = event.created_at + Duration::from_micros(1);
        assert_eq!(store.before(later).await.unwrap(), cursor(&log[..earlier]));
    }
}

pub(crate) async fn whoever_is_behind_is_told_how_far(world: World) {
    let store = world.store().await;
    grow(&store, "a", 5).await;
    let log = whole_log(&store).await;
    for (position, behind) in [(0, 5), (3, 2), (5, 0), (9, 0)] {
        let before = store.now();
        let (events, shown) = store.behind(Position(position)).await.unwrap();
        assert_eq!(events, behind);
        let age = log
            .get(usize::try_from(position).unwrap())
            .map_or(Duration::ZERO, |next| (before - next.created_at).unsigned_abs());
        assert!(shown >= age && (behind > 0 || shown.is_zero()), "{shown:?}");
    }
}
