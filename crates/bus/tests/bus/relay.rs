//! The relay against a real server, whatever is done to either of them.

use std::time::Duration;

use async_nats::jetstream::stream;
use futures::StreamExt;

use crate::world::{EVENTS, World, jetstream, stored};
use tiffin_bus::StreamSpec;
use tiffin_testkit::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn every_event_with_a_message_is_published_once_and_in_order() -> anyhow::Result<()> {
    let world = World::start().await?;
    world.append(300).await?;
    let relay = world.relay("one").await?;
    world.append(300).await?;
    let stored = world.relayed_exactly().await?;
    assert_eq!(stored.last().map(|message| message.sequence), Some(450));
    relay.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_relay_has_saved_where_it_was() -> anyhow::Result<()> {
    let world = World::start().await?;
    let relay = world.relay("one").await?;
    let appended = world.append(200).await?;
    world.relayed_exactly().await?;
    let last = appended.last().map(|event| event.cursor());
    relay.stop().await?;
    assert_eq!(Some(world.derived.checkpoint("events").await?.cursor), last);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_passes_events_without_a_message() -> anyhow::Result<()> {
    let world = World::start().await?;
    let _relay = world.relay("one").await?;
    // The last of four has none.
    world.append(4).await?;
    world.checkpointed().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_stream_is_filled_again() -> anyhow::Result<()> {
    let world = World::start().await?;
    let _relay = world.relay("one").await?;
    world.append(300).await?;
    world.relayed_exactly().await?;
    world.server.wipe().await;
    world.append(300).await?;
    world.relayed_exactly().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_wiped_while_no_relay_ran_is_filled_again() -> anyhow::Result<()> {
    let world = World::start().await?;
    world.append(300).await?;
    let relay = world.relay("one").await?;
    world.relayed_exactly().await?;
    relay.stop().await?;
    world.server.wipe().await;
    let _relay = world.relay("two").await?;
    world.relayed_exactly().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_deleted_by_hand_is_filled_again() -> anyhow::Result<()> {
    let world = World::start().await?;
    let _relay = world.relay("one").await?;
    world.append(100).await?;
    world.relayed_exactly().await?;
    jetstream(&world.server.url())
        .await?
        .delete_stream(EVENTS.name)
        .await?;
    world.append(100).await?;
    world.relayed_exactly().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refill_brings_the_newest_that_the_stream_would_keep() -> anyhow::Result<()> {
    let world = World::start().await?;
    world.append(2000).await?;
    let small = StreamSpec {
        max_messages: 90,
        ..EVENTS
    };
    let relay = world.relay_with("events", "one", small.clone()).await?;
    let kept = world.relayed().await?;
    assert_eq!(kept.len(), 90);
    // A first start fills an empty stream, too, and publishes nothing that would be discarded.
    assert_eq!(kept.first().map(|message| message.sequence), Some(1));
    relay.stop().await?;
    world.server.wipe().await;
    let _relay = world.relay_with("events", "two", small).await?;
    assert_eq!(world.relayed().await?, kept);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_in_mid_publishing_costs_nothing() -> anyhow::Result<()> {
    let world = World::start().await?;
    let _relay = world.relay("one").await?;
    for _ in 0..4 {
        world.append(250).await?;
        world.server.restart().await;
    }
    world.append(4).await?;
    world.relayed_exactly().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_stopped_in_mid_publishing_costs_nothing() -> anyhow::Result<()> {
    let world = World::start().await?;
    let _relay = world.relay("one").await?;
    world.append(50).await?;
    world.relayed_exactly().await?;
    world.server.pause();
    // Far more than a window. The stop lasts longer than an acknowledgement is waited for.
    let stop = tokio::time::sleep(Duration::from_secs(7));
    world.append(3000).await?;
    stop.await;
    world.server.resume();
    world.append(50).await?;
    world.relayed_exactly().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn relays_killed_in_mid_publishing_repeat_nothing() -> anyhow::Result<()> {
    let world = World::start().await?;
    world.append(3000).await?;
    for holder in ["one", "two", "three", "four", "five", "six"] {
        let before = stored(&world.server.url()).await.unwrap_or_default().len();
        let relay = world.relay(holder).await?;
        // It has begun, and what it has in flight is lost with it.
        eventually!(
            stored(&world.server.url()).await.unwrap_or_default().len(),
            |found| *found > before || *found >= 2250
        );
        drop(relay);
    }
    let _relay = world.relay("last").await?;
    world.append(8).await?;
    world.relayed_exactly().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_relays_at_once_repeat_nothing() -> anyhow::Result<()> {
    let world = World::start().await?;
    let _one = world.relay("one").await?;
    let _other = world.relay("other").await?;
    for _ in 0..10 {
        world.append(100).await?;
    }
    world.relayed_exactly().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_publish_into_an_idle_stream_is_passed_over() -> anyhow::Result<()> {
    let world = World::start().await?;
    let relay = world.relay("one").await?;
    world.append(20).await?;
    world.relayed_exactly().await?;
    world.checkpointed().await?;
    let jetstream = jetstream(&world.server.url()).await?;
    for _ in 0..3 {
        jetstream
            .publish("event.rubbish", "rubbish".into())
            .await?
            .await?;
        world.append(20).await?;
        world.relayed_exactly().await?;
        world.checkpointed().await?;
    }
    relay.stop().await?;
    jetstream
        .publish("event.rubbish", "rubbish".into())
        .await?
        .await?;
    let _relay = world.relay("two").await?;
    world.append(20).await?;
    world.relayed_exactly().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_somebody_forbade_batches_is_made_to_take_them() -> anyhow::Result<()> {
    let world = World::start().await?;
    let relay = world.relay("one").await?;
    world.append(20).await?;
    world.relayed_exactly().await?;
    let forbid = |config: &mut stream::Config| config.allow_batch_publish = false;
    world.edit_stream(forbid).await?;
    world.append(20).await?;
    world.relayed_exactly().await?;
    relay.stop().await?;
    world.edit_stream(forbid).await?;
    world.append(20).await?;
    let _relay = world.relay("two").await?;
    world.relayed_exactly().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_refuses_what_is_published_is_looked_at_ever_more_rarely() -> anyhow::Result<()> {
    let world = World::start().await?;
    let _relay = world.relay("one").await?;
    world.append(20).await?;
    world.relayed_exactly().await?;
    let client = async_nats::connect(world.server.url()).await?;
    let mut looks = client
        .subscribe(format!("$JS.API.STREAM.INFO.{}", EVENTS.name))
        .await?;
    client.flush().await?;
    let take_only =
        |subject: &'static str| move |config: &mut stream::Config| config.subjects = vec![subject.to_owned()];
    world.edit_stream(take_only("other.>")).await?;
    world.append(20).await?;
    let mut counted = 0;
    let counting = async {
        while looks.next().await.is_some() {
            counted += 1;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(3), counting).await;
    assert!(ended.is_err(), "the subscription lasts");
    assert!(counted < 30, "{counted} times in three seconds");
    world.edit_stream(take_only("event.>")).await?;
    world.relayed_exactly().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_checkpoint_is_found_in_the_stream() -> anyhow::Result<()> {
    let world = World::start().await?;
    let relay = world.relay("one").await?;
    world.append(200).await?;
    world.relayed_exactly().await?;
    relay.stop().await?;
    let _relay = world.relay_with("fresh", "two", EVENTS).await?;
    world.append(200).await?;
    world.relayed_exactly().await?;
    Ok(())
}
