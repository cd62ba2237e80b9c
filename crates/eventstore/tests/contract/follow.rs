//! Subscriptions and the tail: nothing missed, nothing repeated, and another log noticed.

use std::{pin::pin, sync::Arc, time::Duration};

use tiffin_eventstore::{
    AppendError, Cursor, EventStore, Position, RecordedEvent, SubscribeError, Subscription,
};
use tiffin_testkit::eventually;
use tokio::{sync::oneshot, time::timeout};
use uuid::Uuid;

use crate::world::{Backup, World, append, check_log, cursor, event, exact, grow, start, whole_log};

/// What a subscription hands out until it has come to a cursor.
async fn follow_to(subscription: &mut Subscription, end: Cursor) -> Vec<Arc<RecordedEvent>> {
    let mut seen = Vec::new();
    while subscription.cursor() != end {
        let batch = timeout(Duration::from_secs(20), subscription.next()).await;
        let batch = batch
            .unwrap_or_else(|_| panic!("nothing after {}", subscription.cursor()))
            .unwrap();
        assert!(!batch.is_empty());
        seen.extend(batch);
    }
    seen
}

pub(crate) async fn a_subscription_catches_up_and_then_follows(world: World) {
    let store = world.store().await;
    grow(&store, "before", 20).await;
    store.close().await;
    drop(store);
    let store = world.store().await;
    let mut subscription = store.subscribe(Cursor::START);
    let growing = tokio::spawn({
        let store = store.clone();
        async move { grow(&store, "during", 50).await }
    });
    let end = cursor(&growing.await.unwrap());
    let seen = follow_to(&mut subscription, end).await;
    assert_eq!(seen, whole_log(&store).await);
    let after = grow(&store, "after", 1).await;
    assert_eq!(subscription.next().await.unwrap(), after);
}

pub(crate) async fn events_gather_for_a_follower_that_is_in_no_hurry(world: World) {
    let store = world.store().await;
    let mut subscription = store.subscribe(Cursor::START).gathering(Duration::from_secs(1));
    let growing = tokio::spawn({
        let store = store.clone();
        async move { grow(&store, "s", 20).await }
    });
    let first = subscription.next().await.unwrap();
    assert!(first.len() > 1, "the first commit alone did not wake it");
    let end = cursor(&growing.await.unwrap());
    let rest = follow_to(&mut subscription, end).await;
    assert_eq!([first, rest].concat(), whole_log(&store).await);
}

pub(crate) async fn the_newest_events_are_at_hand_by_their_cursors(world: World) {
    let store = world.store().await;
    let events = grow(&store, "s", 3).await;
    for event in &events {
        assert_eq!(store.recent(event.cursor()).as_ref(), Some(event));
    }
    let another = Cursor {
        event_id: Uuid::now_v7(),
        ..cursor(&events)
    };
    assert_eq!(store.recent(another), None);
    assert_eq!(store.recent(Cursor::START), None);
    store.close().await;
    drop(store);
    assert_eq!(
        world.store().await.recent(cursor(&events)),
        None,
        "only what this process has seen"
    );
}

pub(crate) async fn a_subscription_behind_the_memory_reads_the_log(world: World) {
    let mut config = world.config();
    config.tail_bytes = 1_000;
    let store = world.store_with(config).await;
    let mut subscription = store.subscribe(Cursor::START);
    let end = cursor(&grow(&store, "s", 600).await);
    assert_eq!(follow_to(&mut subscription, end).await, whole_log(&store).await);
}

pub(crate) async fn a_cancelled_wait_takes_no_event_away(world: World) {
    let store = world.store().await;
    let mut subscription = store.subscribe(Cursor::START);
    let growing = tokio::spawn({
        let store = store.clone();
        async move { grow(&store, "s", 200).await }
    });
    let mut seen = Vec::new();
    while seen.len() < 200 {
        if let Ok(batch) = timeout(Duration::from_micros(300), subscription.next()).await {
            seen.extend(batch.unwrap());
        }
    }
    growing.await.unwrap();
    assert_eq!(seen, whole_log(&store).await);
}

pub(crate) async fn closing_ends_a_subscription(world: World) {
    let store = world.store().await;
    let mut subscription = store.subscribe(Cursor::START);
    let waiting = tokio::spawn(async move { subscription.next().await });
    store.close().await;
    assert_eq!(waiting.await.unwrap(), Err(SubscribeError::Closed));
}

pub(crate) async fn a_cursor_of_another_log_is_refused(world: World) {
    let store = world.store().await;
    grow(&store, "s", 5).await;
    for position in [3, 5, 9] {
        let replaced = *store.replaced().borrow();
        let other = Cursor {
            position: Position(position),
            event_id: Uuid::now_v7(),
        };
        assert_eq!(
            store.subscribe(other).next().await,
            Err(SubscribeError::LogReplaced)
        );
        assert_eq!(*store.replaced().borrow(), replaced + 1);
    }
    grow(&store, "the store goes on", 1).await;
}

/// Ten events of a stream that a backup holds, and ten that came after it.
async fn grow_past_a_backup(world: &World, store: &EventStore) -> (Backup, Vec<Arc<RecordedEvent>>) {
    grow(store, "s", 10).await;
    let backup = world.back_up().await;
    let mut lost = Vec::new();
    for revision in 9..19 {
        let next = append("s", exact(revision), vec![event("lost")]);
        lost.extend(store.append(next).await.unwrap().events);
    }
    (backup, lost)
}

/// Whatever was asked of the old log is refused or judged by the new one, and then all goes on.
async fn goes_on_with_the_restored_log(store: &EventStore) {
    let (old, fresh) = (
        append("s", exact(19), vec![event("x")]),
        start("fresh", vec![event("x")]),
    );
    assert!(store.append(old).await.is_err());
    store.append(fresh).await.unwrap();
    let grown = store
        .append(append("s", exact(9), vec![event("again")]))
        .await
        .unwrap();
    assert_eq!(grown.events[0].revision.0, 10);
    let log = whole_log(store).await;
    check_log(&log);
    let mut subscription = store.subscribe(Cursor::START);
    assert_eq!(follow_to(&mut subscription, cursor(&log)).await, log);
}

pub(crate) async fn a_restored_database_is_noticed_by_looking(world: World) {
    let mut config = world.config();
    config.poll = Duration::from_millis(50);
    let store = world.store_with(config).await;
    let (backup, lost) = grow_past_a_backup(&world, &store).await;
    let mut subscription = store.subscribe(cursor(&lost));
    world.restore(&backup).await;
    eventually!(*store.replaced().borrow(), |count| *count == 1);
    assert_eq!(subscription.next().await, Err(SubscribeError::LogReplaced));
    assert_eq!(*store.replaced().borrow(), 1, "one replacement counts once");
    goes_on_with_the_restored_log(&store).await;
}

pub(crate) async fn a_restored_database_is_noticed_by_appending(world: World) {
    let mut config = world.config();
    config.poll = Duration::from_hours(1);
    let store = world.store_with(config).await;
    let (backup, _) = grow_past_a_backup(&world, &store).await;
    world.restore(&backup).await;
    let refused = store.append(append("s", exact(19), vec![event("x")])).await;
    assert!(matches!(refused, Err(AppendError::LogReplaced)), "{refused:?}");
    assert_eq!(*store.replaced().borrow(), 1);
    goes_on_with_the_restored_log(&store).await;
}

pub(crate) async fn a_restored_database_that_has_grown_again_is_noticed(world: World) {
    let mut config = world.config();
    config.poll = Duration::from_millis(50);
    let store = world.store_with(config).await;
    let (backup, lost) = grow_past_a_backup(&world, &store).await;
    world.restore(&backup).await;
    world.forge(15).await;
    eventually!(*store.replaced().borrow(), |count| *count == 1);
    for event in &lost {
        assert_eq!(
            store.subscribe(event.cursor()).next().await,
            Err(SubscribeError::LogReplaced)
        );
    }
    grow(&store, "the store goes on", 3).await;
    check_log(&whole_log(&store).await);
}

pub(crate) async fn a_commit_is_told_of_though_the_runtime_in_which_it_was_made_is_gone(world: World) {
    let mut config = world.config();
    config.poll = Duration::from_millis(10);
    let store = world.store_with(config).await;
    let mut subscription = store.subscribe(Cursor::START);
    let mut told = pin!(subscription.next());
    assert!(futures::poll!(&mut told).is_pending());
    let foreign = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (answered, answer) = oneshot::channel();
    let (_to_the_end, held) = std::sync::mpsc::channel::<()>();
    foreign.spawn({
        let store = store.clone();
        async move {
            let appended = store.append(start("s", vec![event("x")])).await;
            answered.send(appended.unwrap().events).unwrap();
            // Its only thread goes no further, so that nobody is told here.
            held.recv()
        }
    });
    let events = answer.await.unwrap();
    foreign.shutdown_background();
    let told = timeout(Duration::from_secs(20), told).await.expect("nobody told");
    assert_eq!(told.unwrap(), events);
}
