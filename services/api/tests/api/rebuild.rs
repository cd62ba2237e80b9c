//! Building the list anew, as an operator asks for it.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tiffin_api::Config;
use tiffin_bus::{Bus, State};
use tiffin_testkit::{NatsServer, Postgres, eventually};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::harness::Api;

async fn ask(bus: &Bus, subject: &str, question: Value) -> Value {
    let question = Bytes::from(question.to_string());
    let answer = bus
        .request(subject, question, Duration::from_secs(5))
        .await
        .unwrap();
    serde_json::from_slice(&answer).unwrap()
}

async fn shows(api: &Api, id: &str) {
    eventually!(api.list("(first: 1)", "nodes { id }").await, |list| list["nodes"]
        [0]["id"]
        == id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_asked_has_the_list_built_anew_by_whoever_keeps_it() {
    let server = NatsServer::start().await;
    let stop = CancellationToken::new();
    let asking = tiffin_bus::Config {
        url: server.url(),
        name: "operator".to_owned(),
        ca: None,
    };
    let bus = Bus::connect(asking, &TaskTracker::new(), stop.clone())
        .await
        .unwrap();
    eventually!(bus.state().borrow().clone(), State::is_connected);
    let database = Postgres::shared().await.database().await;
    let url: tiffin_eventstore::DatabaseUrl = database.url.parse().unwrap();
    let replicas = [
        Api::start_on(url.clone(), Config::default(), &server.url()).await,
        Api::start_on(url, Config::default(), &server.url()).await,
    ];
    let id = replicas[0].some_order().await;
    shows(&replicas[1], &id).await;

    let begun = eventually!(
        bus.request(
            "api.orders.rebuild",
            Bytes::from_static(b"{}"),
            Duration::from_secs(5)
        )
        .await
        .ok(),
        Option::is_some
    );
    let begun: Value = serde_json::from_slice(&begun.unwrap()).unwrap();
    let number = begun["rebuilding"]["id"].as_u64().unwrap();
    assert_eq!(begun["rebuilding"]["of"], "1");
    let done = eventually!(
        ask(&bus, "api.orders.progress", json!({ "id": number })).await,
        |answer| answer["rebuilding"]["done"] == true
    );
    assert_eq!(done["rebuilding"]["events"], "1");
    for replica in &replicas {
        shows(replica, &id).await;
    }
    let second = replicas[1].some_order().await;
    shows(&replicas[0], &second).await;

    let unknown = ask(&bus, "api.orders.progress", json!({ "id": number + 1 })).await;
    assert_eq!(unknown["error"]["code"], "NOT_FOUND");
    // What another list has replaced is not called done: a replaced log replaces a list that never was complete.
    ask(&bus, "api.orders.rebuild", json!({})).await;
    eventually!(
        ask(&bus, "api.orders.progress", json!({ "id": number })).await,
        |answer| answer["error"]["code"] == "NOT_FOUND"
    );
    let wrong = ask(&bus, "api.orders.rebuild", json!({ "list": "orders" })).await;
    assert_eq!(wrong["error"]["code"], "BAD_USER_INPUT");
    stop.cancel();
}
