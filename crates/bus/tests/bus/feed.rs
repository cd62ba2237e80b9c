//! The feed against a real server: whatever the stream loses, the log brings.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use crate::world::{EVENTS, World, jetstream};
use async_nats::HeaderMap;
use tiffin_bus::{EVENT_ID, Feed, FeedItem, POSITION};
use tiffin_eventstore::EventStore;
use tiffin_testkit::{eventually, poll_until};
use tokio::sync::watch;
use uuid::Uuid;

/// How each event came.
#[derive(Clone, Debug, Default)]
struct Seen {
    published: HashMap<Uuid, Instant>,
    logged: HashMap<Uuid, Instant>,
    resets: usize,
}

impl Seen {
    fn first(&self, id: &Uuid) -> Option<Instant> {
        self.published
            .get(id)
            .into_iter()
            .chain(self.logged.get(id))
            .min()
            .copied()
    }
}

/// Follows from now on.
async fn follow(world: &World) -> anyhow::Result<watch::Receiver<Seen>> {
    follow_while(world, || true).await
}

/// Follows from now on, and the log while it is wanted.
async fn follow_while(
    world: &World,
    wanted: impl Fn() -> bool + Send + Sync + 'static,
) -> anyhow::Result<watch::Receiver<Seen>> {
    let reader = world.connected("reader").await?;
    let mut feed = Feed::new(&reader, world.store.clone(), EVENTS.name, wanted);
    let (sender, receiver) = watch::channel(Seen::default());
    tokio::spawn(async move {
        while let Some(item) = feed.next().await {
            sender.send_modify(|seen| match item {
                FeedItem::Published { event_id, .. } => {
                    seen.published.entry(event_id).or_insert_with(Instant::now);
                }
                FeedItem::Logged(event) => {
                    seen.logged.entry(event.id).or_insert_with(Instant::now);
                }
                FeedItem::Reset => seen.resets += 1,
            });
        }
    });
    Ok(receiver)
}

/// Waits until the feed has brought every event of the log with a message.
async fn complete(world: &World, seen: &watch::Receiver<Seen>) -> anyhow::Result<()> {
    let expected = world.expected().await?;
    let missing = async || {
        let seen = seen.borrow();
        expected.iter().filter(|(_, id)| seen.first(id).is_none()).count()
    };
    poll_until(
        "nothing is missing",
        Duration::from_secs(10),
        missing,
        |missing| *missing == 0,
    )
    .await;
    Ok(())
}

/// Appends an event and waits until the stream brings it.
async fn attached(store: &EventStore, seen: &watch::Receiver<Seen>) -> anyhow::Result<()> {
    let mut seen = seen.clone();
    loop {
        let id = crate::world::append(store, 1).await?[0].id;
        let brought = tokio::time::timeout(
            Duration::from_secs(1),
            seen.wait_for(|seen| seen.published.contains_key(&id)),
        );
        if brought.await.is_ok() {
            return Ok(());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_brings_events_sooner_than_the_log() -> anyhow::Result<()> {
    let world = World::start().await?;
    let _relay = world.relay("one").await?;
    let seen = follow(&world).await?;
    attached(&world.store, &seen).await?;
    let began = Instant::now();
    let id = world.append(1).await?[0].id;
    seen.clone()
        .wait_for(|seen| seen.published.contains_key(&id))
        .await?;
    assert!(
        began.elapsed() < Duration::from_millis(500),
        "took {:?}",
        began.elapsed()
    );
    // What a message vouched for is not read again, not even by the reading that brings what has no message.
    let unseen = world.append(4).await?[3].id;
    seen.clone()
        .wait_for(|seen| seen.logged.contains_key(&unseen))
        .await?;
    assert!(!seen.borrow().logged.contains_key(&id));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_misses_nothing_across_kill_wipe_and_refill() -> anyhow::Result<()> {
    let world = World::start().await?;
    let _relay = world.relay("one").await?;
    world.append(50).await?;
    world.relayed().await?;
    let seen = follow(&world).await?;
    attached(&world.store, &seen).await?;
    let before = world.expected().await?.len();
    for _ in 0..3 {
        world.append(40).await?;
        world.server.restart().await;
        world.append(40).await?;
        world.server.wipe().await;
    }
    world.append(40).await?;
    let expected = world.expected().await?.split_off(before);
    let missing = async || {
        let seen = seen.borrow();
        expected.iter().filter(|(_, id)| seen.first(id).is_none()).count()
    };
    poll_until(
        "nothing is missing",
        Duration::from_secs(10),
        missing,
        |missing| *missing == 0,
    )
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_server_stopped_events_come_within_two_seconds() -> anyhow::Result<()> {
    let world = World::start().await?;
    let _relay = world.relay("one").await?;
    let seen = follow(&world).await?;
    attached(&world.store, &seen).await?;
    world.server.pause();
    let mut appended = Vec::new();
    // At any moment between two readings of the log.
    let mut moments = tokio::time::interval(Duration::from_millis(400));
    for _ in 0..8 {
        moments.tick().await;
        let event = world.append(1).await?.remove(0);
        appended.push((event.id, Instant::now()));
    }
    complete(&world, &seen).await?;
    for (id, at) in &appended {
        let first = seen.borrow().first(id).expect("it came");
        assert!(first - *at < Duration::from_secs(2), "took {:?}", first - *at);
    }
    world.server.resume();
    attached(&world.store, &seen).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_the_log_brings_everything() -> anyhow::Result<()> {
    let world = World::start().await?;
    let seen = follow(&world).await?;
    world.server.kill().await;
    // The feed begins at the log's head of its start.
    seen.clone().wait_for(|seen| seen.resets == 1).await?;
    world.append(2000).await?;
    complete(&world, &seen).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_which_nothing_is_wanted_is_passed_over_until_something_is() -> anyhow::Result<()> {
    let world = World::start().await?;
    let (wanted, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let seen = follow_while(&world, {
        let (wanted, asked) = (wanted.clone(), asked.clone());
        move || {
            asked.fetch_add(1, Ordering::SeqCst);
            wanted.load(Ordering::SeqCst)
        }
    })
    .await?;
    seen.clone().wait_for(|seen| seen.resets == 1).await?;
    world.append(100).await?;
    // It asks twice at each look: with the fourth, one has ended that began after that.
    let before = asked.load(Ordering::SeqCst);
    eventually!(asked.load(Ordering::SeqCst), |asked| *asked >= before + 4);
    wanted.store(true, Ordering::SeqCst);
    let event = world.append(1).await?[0].id;
    seen.clone()
        .wait_for(|seen| seen.logged.contains_key(&event))
        .await?;
    assert_eq!(seen.borrow().logged.len(), 1, "what was not wanted was not read");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_wants_something_while_the_log_is_being_passed_over_misses_nothing() -> anyhow::Result<()> {
    let world = World::start().await?;
    let (appended, waiting) = mpsc::channel::<()>();
    let waiting = Mutex::new(Some(waiting));
    // Nothing is wanted until events were appended, and something is when it is asked for once more.
    let seen = follow_while(&world, move || match waiting.lock().unwrap().take() {
        Some(waiting) => {
            tokio::task::block_in_place(|| waiting.recv().unwrap());
            false
        }
        None => true,
    })
    .await?;
    seen.clone().wait_for(|seen| seen.resets == 1).await?;
    world.append(100).await?;
    appended.send(())?;
    complete(&world, &seen).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_deleted_and_made_again_is_attached_to_again() -> anyhow::Result<()> {
    let world = World::start().await?;
    let _relay = world.relay("one").await?;
    let seen = follow(&world).await?;
    attached(&world.store, &seen).await?;
    jetstream(&world.server.url())
        .await?
        .delete_stream(EVENTS.name)
        .await?;
    attached(&world.store, &seen).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_an_event_that_never_was_sends_its_reader_to_the_log() -> anyhow::Result<()> {
    let world = World::start().await?;
    let relay = world.relay("one").await?;
    let seen = follow(&world).await?;
    attached(&world.store, &seen).await?;
    world.checkpointed().await?;
    relay.stop().await?;

    // In sequence, so it would vouch for all of the log up to an event that is far ahead.
    let mut headers = HeaderMap::new();
    headers.insert(POSITION, "1000000");
    headers.insert(EVENT_ID, Uuid::now_v7().to_string());
    let context = jetstream(&world.server.url()).await?;
    let forged = context.publish_with_headers("event.forged", headers, "forged".into());
    forged.await?.await?;
    // It may as well be one that the log has lost: what was believed of it has to be read again.
    seen.clone().wait_for(|seen| seen.resets == 2).await?;
    let appended = world.append(40).await?;
    eventually!(
        appended
            .iter()
            .all(|event| seen.borrow().logged.contains_key(&event.id)),
        |all| *all
    );
    assert_eq!(seen.borrow().resets, 2, "the feed goes on from there");
    assert_eq!(*world.store.replaced().borrow(), 0, "the log is the same");
    Ok(())
}
