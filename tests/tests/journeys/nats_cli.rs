//! What an integrator sees with nothing but the `nats` command, and what becomes of rubbish.

use std::{
    process::{Command, Output, Stdio},
    time::Duration,
};

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use serde_json::{Value, json};
use tiffin_eventstore::{Append, Config, EventStore, Expected, NewEvent, Urgency};
use tiffin_proto::kind;
use tiffin_testkit::{Process, command, eventually, nats_cli, program, scratch_folder};
use tiffin_tests::{
    client::{After, Client, id},
    screen::{Clock, Screen, WHOLE, story},
    stack::{Setting, Stack, waits},
};
use uuid::Uuid;

fn nats(stack: &Stack) -> Command {
    let mut command = command(nats_cli());
    command.args(["--no-context", "--server", &stack.nats.url()]);
    command
}

/// What `nats` prints when it is run with these arguments.
async fn said(stack: &Stack, arguments: &[&str]) -> Result<String> {
    let mut command = nats(stack);
    command.args(arguments).stdin(Stdio::null());
    let run = tokio::task::spawn_blocking(move || command.output());
    let Output {
        status,
        stdout,
        stderr,
    } = tokio::time::timeout(Duration::from_secs(30), run).await???;
    let (said, complained) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    ensure!(status.success(), "{arguments:?}: {said}{complained}");
    Ok(said.into_owned())
}

async fn asked(stack: &Stack, arguments: &[&str]) -> Result<Value> {
    Ok(serde_json::from_str(&said(stack, arguments).await?)?)
}

/// A new order, and a `nats sub` that was there before it.
async fn watched(stack: &Stack, arguments: &[&str]) -> Result<(String, Process)> {
    let mut command = nats(stack);
    command.args(["sub", "order.>"]).args(arguments);
    let listener = Process::start("nats", command, &scratch_folder("nats-sub").join("output"));
    let broker = async_nats::connect(stack.nats.url()).await?;
    // A message that no stream takes shows when the subscription is there.
    let heard = async || {
        broker
            .publish("order.nothing", "".into())
            .await
            .expect("a broker");
        listener.output().contains("order.nothing")
    };
    eventually!(heard().await, |heard| *heard);
    let order = stack
        .client()
        .place("soup", &format!("seen-by-nats-{}", Uuid::now_v7()))
        .await?;
    Ok((id(&order).to_owned(), listener))
}

fn quick() -> Setting {
    Setting {
        waits: waits(["0s", "0s", "0s", "0s"]),
        ..Setting::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nats_command_shows_events_as_they_stand_and_translated() {
    let stack = Stack::start(&quick()).await.unwrap();
    let (order, listener) = watched(&stack, &[]).await.unwrap();
    let expected = [
        &format!("order.updated.{order}"),
        "ce-specversion: 1.0",
        "ce-type: order.created",
        "ce-type: order.updated",
        "ce-source: order.api",
        "ce-source: order.processing",
        "order-status: DELIVERED",
        "order-version: 5",
        "tiffin-position: ",
    ];
    let output = eventually!(listener.output(), |output| expected
        .iter()
        .all(|word| output.contains(word)));
    let created = format!("order.created.{order}");
    assert_eq!(output.matches(&created).count(), 1, "{output}");

    let translate = format!("--translate={} decode", program("tiffin").display());
    let (order, listener) = watched(&stack, &[&translate]).await.unwrap();
    let delivered = [&*order, "soup", "ORDER_STATUS_DELIVERED"];
    let said = |line: &str| line.starts_with('{') && delivered.iter().all(|word| line.contains(word));
    eventually!(listener.output(), |output| output.lines().any(said));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nats_command_shows_the_streams_the_consumer_and_the_service() {
    let stack = Stack::start(&quick()).await.unwrap();
    let client = stack.client();
    let order = client.place("soup", "a-key-for-the-streams").await.unwrap();
    let clock = Clock::read().await.unwrap();
    let screen = Screen::new(&client, id(&order), After::Version(0), clock)
        .await
        .unwrap();
    assert_eq!(story(&screen.to_the_end().await.unwrap()), WHOLE);
    let messages = async |stream: &str| {
        let info = asked(&stack, &["stream", "info", stream, "--json"])
            .await
            .unwrap();
        info["state"]["messages"].as_u64()
    };
    eventually!(messages("ORDER_CREATED").await, |count| *count == Some(1));
    eventually!(messages("ORDER_UPDATED").await, |count| *count == Some(4));
    let waiting = async || {
        let info = asked(
            &stack,
            &["consumer", "info", "ORDER_CREATED", "orders-saga", "--json"],
        )
        .await
        .unwrap();
        (info["num_pending"].as_u64(), info["num_ack_pending"].as_u64())
    };
    eventually!(waiting().await, |counts| *counts == (Some(0), Some(0)));
    let services = said(&stack, &["micro", "ls"]).await.unwrap();
    assert!(services.contains("orders"), "{services}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nats_command_reads_and_cancels_orders() {
    let setting = Setting {
        waits: waits(["0s", "1h", "0s", "0s"]),
        ..Setting::default()
    };
    let stack = Stack::start(&setting).await.unwrap();
    let order = stack.client().place("soup", "a-key-for-requests").await.unwrap();
    let request = json!({ "id": id(&order) }).to_string();
    let get = async || {
        asked(&stack, &["req", "--raw", "orders.order.get", &request])
            .await
            .unwrap()
    };
    let read = eventually!(get().await, |order| order.to_string().contains("PAID"));
    assert!(read.to_string().contains(id(&order)), "{read}");
    let cancel = async || {
        asked(&stack, &["req", "--raw", "orders.order.cancel", &request])
            .await
            .unwrap()
    };
    let first = cancel().await;
    assert!(first.to_string().contains("CANCELLED"), "{first}");
    assert_eq!(
        cancel().await,
        first,
        "the second time is answered like the first"
    );
    let unknown = json!({ "id": Uuid::now_v7().to_string() }).to_string();
    let refused = asked(&stack, &["req", "--raw", "orders.order.get", &unknown])
        .await
        .unwrap();
    assert!(refused.to_string().contains("NOT_FOUND"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rubbish_and_an_order_that_cannot_be_handled_are_parked_and_delay_nobody() {
    let stack = Stack::start(&quick()).await.unwrap();
    let client = stack.client();
    said(&stack, &["pub", "order.created.x", "rubbish"])
        .await
        .unwrap();
    let broken = append_rubbish(&stack.database.url).await.unwrap();
    let clock = Clock::read().await.unwrap();
    let others = (0..20).map(|number| undelayed(&client, clock, number));
    try_join_all(others).await.unwrap();
    // The order's own stream, and one for the message of no order.
    for name in [broken.as_str(), "parked-"] {
        eventually!(parked(&stack.database.url).await.unwrap(), |streams: &Vec<
            String,
        >| {
            streams.iter().any(|stream| stream.starts_with(name))
        });
    }
    let shown = said(&stack, &["stream", "subjects", "ORDER_UPDATED", "--names"])
        .await
        .unwrap();
    assert!(
        shown.contains(&format!("order.parked.{}", broken.trim_start_matches("order-"))),
        "{shown}"
    );
}

async fn undelayed(client: &Client, clock: Clock, number: u32) -> Result<()> {
    let order = client.place("soup", &format!("beside-rubbish-{number}")).await?;
    let screen = Screen::new(client, id(&order), After::Version(0), clock).await?;
    let updates = screen.to_the_end().await?;
    ensure!(story(&updates) == WHOLE, "{updates:?}");
    let took = updates[4].committed - updates[0].committed;
    ensure!(took < Duration::from_secs(2), "it took {took}");
    Ok(())
}

/// Begins an order that nobody can read; returns its stream.
async fn append_rubbish(database_url: &str) -> Result<String> {
    let store = EventStore::open(Config::new(database_url.parse()?)).await?;
    let stream = format!("order-{}", Uuid::now_v7());
    let event = NewEvent {
        id: Uuid::now_v7(),
        kind: kind::ORDER_CREATED.into(),
        data: vec![0xff; 9].into(),
        metadata: vec![0xff; 9].into(),
    };
    let append = Append {
        stream: stream.as_str().into(),
        expected: Expected::NoStream,
        events: vec![event],
        urgency: Urgency::Start,
    };
    store.append(append).await?;
    store.close().await;
    Ok(stream)
}

/// The streams that end with an event that sets something aside.
async fn parked(database_url: &str) -> Result<Vec<String>> {
    use tiffin_eventstore::{Direction, Position};
    let store = EventStore::open(Config::new(database_url.parse()?)).await?;
    let events = store
        .read_all(Position::START, Direction::Forwards, 1_000)
        .await?;
    store.close().await;
    let parked = events
        .iter()
        .filter(|event| [kind::ORDER_PARKED, kind::MESSAGE_PARKED].contains(&&*event.kind));
    Ok(parked.map(|event| event.stream.as_str().to_owned()).collect())
}
