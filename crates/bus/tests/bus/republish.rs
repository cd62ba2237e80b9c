//! Publishing once more against a real server, whatever happens in between.

use std::time::Duration;

use tiffin_bus::{Bus, RepublishError, Republished, Republisher, StreamSpec};
use tiffin_eventstore::{Cursor, Position, StreamName};
use tiffin_testkit::eventually;
use uuid::Uuid;

use crate::world::{EVENTS, Stored, World, identity, jetstream, map, stored_in};

const AGAIN: StreamSpec = StreamSpec {
    name: "AGAIN",
    subjects: &["again.*.event.>"],
    ..EVENTS
};

fn republisher(world: &World, bus: &Bus, stream: StreamSpec) -> Republisher {
    Republisher::new(bus, world.store.clone(), stream, map)
}

/// Publishes page after page until the log's end is reached.
async fn run(world: &World, republisher: &Republisher, name: &str) -> anyhow::Result<Republished> {
    let head = world.store.head().await?;
    let mut after = Cursor::START;
    loop {
        match republisher.page(name, after, None, 0).await {
            Ok(page) if page.cursor == head => return Ok(page),
            Ok(page) => after = page.cursor,
            Err(RepublishError::Contended) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

async fn again(world: &World, name: &str) -> anyhow::Result<Vec<Stored>> {
    stored_in(&world.server.url(), AGAIN.name, &Republisher::subjects(name)).await
}

fn events(stored: &[Stored]) -> Vec<(u64, Uuid)> {
    stored.iter().map(|message| message.event).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_starts_from_nothing_gets_each_event_once_and_in_order() -> anyhow::Result<()> {
    let world = World::start().await?;
    let _relay = world.relay("one").await?;
    world.append(2000).await?;
    let before = world.relayed_exactly().await?;
    let bus = world.connected("again").await?;
    let republisher = republisher(&world, &bus, AGAIN);
    for name in ["one", "two"] {
        assert_eq!(republisher.count(name).await?, 0);
        let done = run(&world, &republisher, name).await?;
        assert_eq!(done.messages, 1500);
        assert_eq!(republisher.count(name).await?, 1500);
    }
    for name in ["one", "two"] {
        assert_eq!(events(&again(&world, name).await?), world.expected().await?);
    }
    // Whoever follows the relay's stream notices nothing.
    assert_eq!(world.relayed_exactly().await?, before);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_are_asked_for_twice_and_at_once_repeat_nothing_and_leave_nothing_out()
-> anyhow::Result<()> {
    let world = World::start().await?;
    world.append(4000).await?;
    let buses = [world.connected("one").await?, world.connected("two").await?];
    let [one, two] = buses.each_ref().map(|bus| republisher(&world, bus, AGAIN));
    // As if no answer ever came: always from the beginning.
    for _ in 0..3 {
        let (one, two) = tokio::join!(
            one.page("name", Cursor::START, None, 0),
            two.page("name", Cursor::START, None, 0)
        );
        assert!(one.is_ok() || two.is_ok());
    }
    let (one, two) = tokio::join!(run(&world, &one, "name"), run(&world, &two, "name"));
    assert_eq!((one?.messages, two?.messages), (3000, 3000));
    assert_eq!(events(&again(&world, "name").await?), world.expected().await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_in_between_costs_nothing() -> anyhow::Result<()> {
    let world = World::start().await?;
    world.append(4000).await?;
    let bus = world.connected("again").await?;
    let republisher = republisher(&world, &bus, AGAIN);
    let kill = async {
        for count in [500, 1500, 2500] {
            eventually!(within Duration::from_secs(30), republisher.count("name").await.ok(), |seen| {
                seen.is_some_and(|seen| seen >= count)
            });
            world.server.restart().await;
        }
    };
    let publish = async {
        eventually!(within Duration::from_mins(2), run(&world, &republisher, "name").await.ok(), Option::is_some)
    };
    let (done, ()) = tokio::join!(publish, kill);
    assert_eq!(done.map(|done| done.messages), Some(3000));
    assert_eq!(events(&again(&world, "name").await?), world.expected().await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_the_log_is_published_alone_and_from_a_place_on() -> anyhow::Result<()> {
    let world = World::start().await?;
    let log = world.append(40).await?;
    let bus = world.connected("again").await?;
    let republisher = republisher(&world, &bus, AGAIN);
    let (head, only) = (world.store.head().await?, StreamName::clone(&log[20].stream));
    let page = republisher.page("one", Cursor::START, Some(&only), 0).await?;
    assert_eq!((page.cursor, page.messages), (head, 1));
    assert_eq!(events(&again(&world, "one").await?), [identity(&log[20])]);
    let page = republisher.page("none", log[20].cursor(), Some(&only), 0).await?;
    assert_eq!((page.cursor, page.messages), (head, 0));

    let page = republisher.page("rest", log[20].cursor(), None, 0).await?;
    assert_eq!(page.cursor, head);
    let rest: Vec<_> = log[21..].iter().filter(|event| map(event).is_some()).collect();
    let rest: Vec<_> = rest.into_iter().map(|event| identity(event)).collect();
    assert_eq!(events(&again(&world, "rest").await?), rest);
    let unknown = Cursor {
        position: Position(7),
        event_id: Uuid::now_v7(),
    };
    let refused = republisher.page("other", unknown, None, 0).await;
    assert!(matches!(refused, Err(RepublishError::UnknownCursor)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_stream_has_no_room_for_is_refused_and_what_it_has_stays() -> anyhow::Result<()> {
    let world = World::start().await?;
    world.append(2000).await?;
    let bus = world.connected("again").await?;
    let small = StreamSpec {
        max_messages: 1200,
        ..AGAIN
    };
    let republisher = republisher(&world, &bus, small);
    let refused = run(&world, &republisher, "name").await.unwrap_err();
    assert!(
        matches!(refused.downcast_ref(), Some(RepublishError::Full("AGAIN"))),
        "{refused}"
    );
    let stored = again(&world, "name").await?;
    assert_eq!(stored.len(), 1000);
    assert_eq!(events(&stored), world.expected().await?[..1000]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_before_its_end_is_not_gone_on_with() -> anyhow::Result<()> {
    let world = World::start().await?;
    world.append(2000).await?;
    let bus = world.connected("again").await?;
    let republisher = republisher(&world, &bus, AGAIN);
    let first = republisher.page("name", Cursor::START, None, 0).await?;
    let stream = jetstream(&world.server.url())
        .await?
        .get_stream(AGAIN.name)
        .await?;
    stream.purge().await?;
    let refused = republisher.page("name", first.cursor, None, first.messages).await;
    assert!(matches!(refused, Err(RepublishError::Gone { left: 0, .. })));
    assert_eq!(again(&world, "name").await?, []);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_an_earlier_release_is_brought_up_to_date() -> anyhow::Result<()> {
    let world = World::start().await?;
    world.append(2000).await?;
    let bus = world.connected("again").await?;
    let small = StreamSpec {
        max_messages: 700,
        ..AGAIN
    };
    let earlier = republisher(&world, &bus, small);
    let page = earlier.page("name", Cursor::START, None, 0).await?;
    assert_eq!(page.messages, 500);
    let newer = StreamSpec {
        version: AGAIN.version + 1,
        ..AGAIN
    };
    let done = run(&world, &republisher(&world, &bus, newer), "name").await?;
    assert_eq!(done.messages, 1500);
    assert_eq!(events(&again(&world, "name").await?), world.expected().await?);
    Ok(())
}
