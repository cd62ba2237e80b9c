//! Several processes on one PostgreSQL, and a database that is restored to an earlier state.

use std::time::Duration;

use crate::world::{EVENTS, World, append, identity};
use tiffin_bus::{Feed, FeedItem, announce_commits};
use tiffin_eventstore::{Config, DatabaseUrl, EventStore};
use tiffin_testkit::{NatsServer, Postgres, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn one_process_hears_of_the_others_commits_before_it_polls() -> anyhow::Result<()> {
    let database = Postgres::shared().await.database().await;
    let url = DatabaseUrl::Postgres(database.url.clone());
    let world = World::on(NatsServer::start().await, url.clone()).await?;
    let other = EventStore::open(Config {
        poll: Duration::from_mins(1),
        ..Config::new(url)
    })
    .await?;
    tokio::spawn(announce_commits(
        world.connected("one").await?,
        world.store.clone(),
        world.token.clone(),
    ));
    tokio::spawn(announce_commits(
        world.connected("other").await?,
        other.clone(),
        world.token.clone(),
    ));
    let mut subscription = other.subscribe(other.head().await?);
    // The subscriptions to the announcements may still be on their way.
    let mut heard = async || {
        append(&world.store, 1).await.ok();
        tokio::time::timeout(Duration::from_millis(500), subscription.next())
            .await
            .is_ok_and(|batch| batch.is_ok())
    };
    eventually!(heard().await, |heard| *heard);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_relays_of_two_processes_take_turns_and_repeat_nothing() -> anyhow::Result<()> {
    let database = Postgres::shared().await.database().await;
    let url = DatabaseUrl::Postgres(database.url.clone());
    let one = World::on(NatsServer::start().await, url.clone()).await?;
    let other = World::on(one.server.clone(), url).await?;
    // The same lease: one holds it at a time.
    let mut running = (one.relay("lease").await?, other.relay("lease").await?);
    for round in 0..6 {
        append(&one.store, 50).await?;
        append(&other.store, 50).await?;
        if round % 2 == 0 {
            running.0 = one.relay("lease").await?;
        } else {
            running.1 = other.relay("lease").await?;
        }
    }
    one.relayed_exactly().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_ahead_of_a_restored_database_is_reported_and_gone_on_with() -> anyhow::Result<()> {
    let postgres = Postgres::start().await;
    let database = postgres.database().await;
    let url = DatabaseUrl::Postgres(database.url.clone());
    let world = World::on(NatsServer::start().await, url).await?;
    let mut registry = prometheus_client::registry::Registry::default();
    let bus = world.connected("relay").await?;
    bus.register(&mut registry);
    let _relay = world.relay_on(&bus, "events", "one", EVENTS);
    let reader = world.connected("reader").await?;
    let mut feed = Feed::new(&reader, world.store.clone(), EVENTS.name, || true);
    assert!(matches!(feed.next().await, Some(FeedItem::Reset)));
    let reset =
        tokio::spawn(async move { while !matches!(feed.next().await, None | Some(FeedItem::Reset)) {} });

    world.append(100).await?;
    let kept = world.relayed_exactly().await?.len();
    postgres.back_up().await;
    world.append(100).await?;
    let before = world.relayed_exactly().await?;
    postgres.restore().await;
    // The first appends are refused: the process still has the other log in mind.
    eventually!(world.append(1).await.is_ok(), |appended| *appended);
    let after = world.append(100).await?;
    let stored = world.relayed().await?;
    tokio::time::timeout(Duration::from_secs(10), reset).await??;

    // What was published of the lost events stays, and everything that the log has now is there.
    let events: Vec<_> = stored.iter().map(|message| message.event).collect();
    assert_eq!(
        events[..before.len()],
        before.iter().map(|message| message.event).collect::<Vec<_>>()
    );
    assert!(world.expected().await?.iter().all(|event| events.contains(event)));
    assert!(
        after
            .iter()
            .filter(|event| &*event.kind == "seen")
            .all(|event| events.contains(&identity(event)))
    );
    let lost = before.len() - kept;
    let found = bus.ahead();
    assert_eq!(
        found.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [format!(
            "EVENTS holds {lost} messages, {} to {}, whose events the log does not have",
            kept + 1,
            before.len()
        )]
    );
    let ahead = || {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).map(|()| text)
    };
    assert!(
        ahead()?.contains(&format!(
            "tiffin_relay_broker_ahead_messages{{name=\"events\"}} {lost}"
        )),
        "{}",
        ahead()?
    );
    Ok(())
}
