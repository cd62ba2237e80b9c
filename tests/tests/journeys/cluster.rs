//! Three nats-servers, of which one dies that everybody depends on.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use tiffin_testkit::{Postgres, Service, eventually};
use tiffin_tests::{
    client::{After, Client, id},
    cluster::Cluster,
    screen::{Clock, Screen, WHOLE, story},
    stack::{API_KEY, migrate, waits},
    torture::{Ledger, audit, history::Evidence, ledger::Demands},
};
use tokio::sync::watch;

const STREAMS: [&str; 2] = ["ORDER_CREATED", "ORDER_UPDATED"];

/// How long the servers may take to agree on something.
const AGREED: Duration = Duration::from_secs(30);

/// How many orders are placed around the death, and how many of them are under way at a time.
const ORDERS: usize = 40;
const UNDER_WAY: usize = 8;

/// What the server says of the copies of a stream.
async fn copies(cluster: &Cluster, stream: &str) -> Option<Value> {
    let info = cluster.nats(&["stream", "info", stream, "--json"]).await.ok()?;
    let info: Value = serde_json::from_str(&info).ok()?;
    info.get("cluster").cloned()
}

/// Waits until all three servers have everything of both streams.
async fn is_whole(cluster: &Cluster) {
    for stream in STREAMS {
        eventually!(within AGREED, copies(cluster, stream).await, |copies| {
            let others = copies.as_ref().and_then(|copies| copies["replicas"].as_array());
            others.is_some_and(|others| others.len() == 2 && others.iter().all(|it| it["current"] == true))
        });
        let check = ["server", "check", "stream", "--stream", stream];
        let said = async || cluster.nats(&check).await.unwrap_or_default();
        eventually!(within AGREED, said().await, |said| said.starts_with("OK"));
    }
}

/// An order, followed from its first version to its last.
async fn one(client: &Client, clock: Clock, number: usize) -> Result<()> {
    let order = client
        .place("soup", &format!("the key of order {number}"))
        .await?;
    let screen = Screen::new(client, id(&order), After::Version(0), clock).await?;
    let updates = tokio::time::timeout(AGREED, screen.to_the_end()).await??;
    ensure!(story(&updates) == WHOLE, "{updates:?}");
    Ok(())
}

/// Places orders; after a third of them has ended the leader of `ORDER_CREATED` is killed, which is returned.
async fn amid_orders(cluster: &Cluster, client: &Client, clock: Clock) -> Result<String> {
    let ended = watch::Sender::new(0);
    let orders = stream::iter(0..ORDERS)
        .map(|number| one(client, clock, number))
        .buffer_unordered(UNDER_WAY)
        .try_for_each(async |()| {
            ended.send_modify(|ended| *ended += 1);
            Ok(())
        });
    let killing = async {
        ended.subscribe().wait_for(|ended| *ended >= ORDERS / 3).await?;
        let copies = copies(cluster, STREAMS[0]).await.context("no stream")?;
        let leader = copies["leader"].as_str().context("no leader")?.to_owned();
        cluster.kill(&leader)?;
        anyhow::Ok(leader)
    };
    let ((), leader) = futures::try_join!(orders, killing)?;
    ensure!(*ended.borrow() == ORDERS, "{ended:?}");
    Ok(leader)
}

/// Waits until each event of the log is in the streams, and sees that none is there twice.
async fn nothing_is_lost_or_repeated(cluster: &Cluster, database_url: &str) {
    let looked = async || {
        let broker = cluster.operator().await?;
        let evidence = Evidence {
            log: audit::log(database_url).await?,
            created: audit::held(broker.clone(), STREAMS[0]).await?,
            updated: audit::held(broker, STREAMS[1]).await?,
            ..Evidence::default()
        };
        anyhow::Ok(Ledger::new(&evidence, Demands { open: 0, early: 0 }))
    };
    let missing = async || {
        let ledger = looked().await.ok()?;
        Some(ledger.count("events missing from the two streams"))
    };
    eventually!(within AGREED, missing().await, |missing| *missing == Some(0));
    let ledger = looked().await.expect("both can be read");
    for line in [
        "events in the two streams twice or without cause",
        "events out of order in the two streams",
        "versions not 1..n",
    ] {
        assert_eq!(ledger.count(line), 0, "{line}: {ledger}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_death_of_a_streams_leader_loses_nothing_and_repeats_nothing() {
    let mut cluster = Cluster::start().await.unwrap();
    let database = Postgres::shared().await.database().await;
    migrate(&database.url).await.unwrap();
    let waits = waits(["0s", "1s", "0s", "1s"]);
    let start = async |name: &str| -> Service {
        let service = cluster.service(name, &database.url, &waits).await;
        service.expect("a service")
    };
    let (api, _orders, notifier) = futures::join!(start("api"), start("orders"), start("notifier"));
    let client = Client::new(&[api.url()], &[notifier.url()], API_KEY);
    let clock = Clock::read().await.unwrap();
    is_whole(&cluster).await;

    let killed = amid_orders(&cluster, &client, clock).await.unwrap();
    eventually!(within AGREED, copies(&cluster, STREAMS[0]).await, |copies| {
        copies.as_ref().is_some_and(|it| it["leader"].is_string() && it["leader"] != killed.as_str())
    });
    nothing_is_lost_or_repeated(&cluster, &database.url).await;
    // Nobody tried a server under a name that its certificate is not for.
    let output = cluster.output();
    assert!(!output.contains("bad certificate"), "{output}");
    cluster.start_again(&killed).unwrap();
    is_whole(&cluster).await;
}
