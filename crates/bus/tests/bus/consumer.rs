//! The pull consumer against a real server.

use std::{sync::Arc, time::Duration};

use crate::world::{EVENTS, World, jetstream};
use async_nats::jetstream::consumer::pull;
use tiffin_bus::{ConsumerSpec, PullConsumer};
use tiffin_testkit::{command, eventually, nats_cli};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

const CONSUMER: ConsumerSpec = ConsumerSpec {
    stream: EVENTS.name,
    durable: "test-reader",
    description: "A consumer of a test",
    filter: "event.>",
    max_ack_pending: 256,
    batch: 32,
    replicas: 0,
    version: 1,
};

/// Consumes and acknowledges; counts the different events received.
async fn consume(world: &World, spec: ConsumerSpec) -> anyhow::Result<watch::Receiver<Vec<Uuid>>> {
    let consumer = PullConsumer::new(&world.bus("reader").await?, spec);
    let (sender, receiver) = watch::channel(Vec::new());
    let sender = Arc::new(sender);
    tokio::spawn(consumer.run(world.token.clone(), move |batch| {
        let sender = sender.clone();
        async move {
            assert!((1..=32).contains(&batch.len()));
            for delivery in batch {
                let id: Uuid = delivery
                    .headers
                    .get("ce-id")
                    .and_then(|id| id.parse().ok())
                    .expect("an event");
                delivery.ack().await;
                sender.send_if_modified(|seen| {
                    let new = !seen.contains(&id);
                    if new {
                        seen.push(id);
                    }
                    new
                });
            }
        }
    }));
    Ok(receiver)
}

async fn received(world: &World, mut seen: watch::Receiver<Vec<Uuid>>) -> anyhow::Result<()> {
    let expected = world.expected().await?;
    let all = seen.wait_for(|seen| expected.iter().all(|(_, id)| seen.contains(id)));
    tokio::time::timeout(Duration::from_secs(20), all).await??;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_come_in_batches_and_are_acknowledged() -> anyhow::Result<()> {
    let world = World::start().await?;
    let _relay = world.relay("one").await?;
    world.append(400).await?;
    let seen = consume(&world, CONSUMER).await?;
    received(&world, seen.clone()).await?;
    let in_order: Vec<_> = world.expected().await?.into_iter().map(|(_, id)| id).collect();
    assert_eq!(*seen.borrow(), in_order);
    let stream = jetstream(&world.server.url())
        .await?
        .get_stream(EVENTS.name)
        .await?;
    let pending = async || {
        stream
            .consumer_info(CONSUMER.durable)
            .await
            .map(|info| info.num_ack_pending)
            .ok()
    };
    eventually!(pending().await, |pending| *pending == Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_waits_for_its_stream() -> anyhow::Result<()> {
    let world = World::start().await?;
    let seen = consume(&world, CONSUMER).await?;
    world.append(20).await?;
    let _relay = world.relay("one").await?;
    received(&world, seen).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_consumer_is_made_again() -> anyhow::Result<()> {
    let world = World::start().await?;
    let _relay = world.relay("one").await?;
    let seen = consume(&world, CONSUMER).await?;
    world.append(20).await?;
    received(&world, seen.clone()).await?;
    let stream = jetstream(&world.server.url())
        .await?
        .get_stream(EVENTS.name)
        .await?;
    stream.delete_consumer(CONSUMER.durable).await?;
    world.append(20).await?;
    received(&world, seen).await
}

#[tokio::test(flavor = "multi_thread")]
async fn consuming_goes_on_after_kill_wipe_and_stop() -> anyhow::Result<()> {
    let world = World::start().await?;
    let _relay = world.relay("one").await?;
    let seen = consume(&world, CONSUMER).await?;
    world.append(20).await?;
    received(&world, seen.clone()).await?;
    world.server.restart().await;
    world.append(20).await?;
    received(&world, seen.clone()).await?;
    world.server.wipe().await;
    world.append(20).await?;
    received(&world, seen.clone()).await?;
    world.server.pause();
    world.append(20).await?;
    // So short that the connection lives on: what is on its way on one that is lost comes again after `ack_wait`.
    tokio::time::sleep(Duration::from_secs(3)).await;
    world.server.resume();
    received(&world, seen).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_may_acknowledge_later_from_another_task() -> anyhow::Result<()> {
    let world = World::start().await?;
    let _relay = world.relay("one").await?;
    // Four of the 75 messages may be unacknowledged.
    let spec = ConsumerSpec {
        max_ack_pending: 4,
        ..CONSUMER
    };
    let (sender, mut deliveries) = mpsc::unbounded_channel();
    let consumer = PullConsumer::new(&world.bus("reader").await?, spec);
    tokio::spawn(consumer.run(world.token.clone(), move |batch| {
        for delivery in batch {
            sender.send(delivery).ok();
        }
        async {}
    }));
    world.append(100).await?;
    for sequence in 1..=75 {
        let delivery = tokio::time::timeout(Duration::from_secs(10), deliveries.recv())
            .await?
            .expect("one more");
        assert_eq!((delivery.stream_sequence, delivery.deliveries), (sequence, 1));
        delivery.ack().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lower_configuration_version_never_overwrites_a_higher() -> anyhow::Result<()> {
    let world = World::start().await?;
    let jetstream = jetstream(&world.server.url()).await?;
    let newer = tiffin_bus::StreamSpec {
        version: 2,
        max_messages: 77,
        ..EVENTS
    };
    world.append(4).await?;
    for (holder, spec, kept) in [
        ("one", EVENTS, 100_000),
        ("two", newer, 77),
        ("three", EVENTS, 77),
    ] {
        let relay = world.relay_with("events", holder, spec).await?;
        world.append(4).await?;
        world.relayed().await?;
        let stream = jetstream.get_stream(EVENTS.name).await?;
        assert_eq!(stream.cached_info().config.max_messages, kept);
        relay.stop().await?;
    }
    for (spec, kept) in [
        (CONSUMER, 256),
        (
            ConsumerSpec {
                version: 2,
                max_ack_pending: 9,
                ..CONSUMER
            },
            9,
        ),
        (CONSUMER, 9),
    ] {
        let world_token = tokio_util::sync::CancellationToken::new();
        let consumer = PullConsumer::new(&world.bus("reader").await?, spec);
        let (sender, mut any) = mpsc::unbounded_channel();
        let running = tokio::spawn(consumer.run(world_token.clone(), move |batch| {
            sender.send(()).ok();
            async move {
                for delivery in batch {
                    delivery.ack().await;
                }
            }
        }));
        let relay = world.relay("again").await?;
        world.append(4).await?;
        any.recv().await;
        let stream = jetstream.get_stream(EVENTS.name).await?;
        let found = stream
            .get_consumer::<pull::Config>(CONSUMER.durable)
            .await
            .map_err(anyhow::Error::from_boxed)?;
        assert_eq!(found.cached_info().config.max_ack_pending, kept);
        world_token.cancel();
        running.await?;
        relay.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nats_program_checks_stream_and_consumer_by_their_own_thresholds() -> anyhow::Result<()> {
    let world = World::start().await?;
    let _relay = world.relay("one").await?;
    let seen = consume(&world, CONSUMER).await?;
    world.append(20).await?;
    received(&world, seen).await?;
    for arguments in [
        &["server", "check", "stream", "--stream", EVENTS.name][..],
        &[
            "server",
            "check",
            "consumer",
            "--stream",
            EVENTS.name,
            "--consumer",
            CONSUMER.durable,
        ],
    ] {
        let url = world.server.url();
        let output = tokio::task::spawn_blocking(move || {
            command(nats_cli()).args(["-s", &url]).args(arguments).output()
        });
        let output = output.await??;
        assert!(output.status.success(), "{output:?}");
    }
    Ok(())
}
