//! What the world hears of a new order.

use serde_json::json;
use tiffin_bus::{Bus, State};
use tiffin_proto::{decode_bus, v1::event::Event};
use tiffin_testkit::{NatsServer, eventually};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::harness::{Api, WEB};

async fn connect(server: &NatsServer, stop: &CancellationToken) -> Bus {
    let config = tiffin_bus::Config {
        url: server.url(),
        name: "listener".to_owned(),
        ca: None,
    };
    let bus = Bus::connect(config, &TaskTracker::new(), stop.clone())
        .await
        .unwrap();
    eventually!(bus.state().borrow().clone(), State::is_connected);
    bus
}

#[tokio::test]
async fn every_order_is_published_whole_with_what_it_is_in_the_headers() {
    let server = NatsServer::start().await;
    let stop = CancellationToken::new();
    let bus = connect(&server, &stop).await;
    let mut created = bus.subscribe_core("order.created.*").await.unwrap();
    let api = Api::start_with(tiffin_api::Config::default(), &server.url()).await;
    let order = api
        .create(WEB, json!({ "products": [{ "name": "Dal", "quantity": 2 }] }))
        .await
        .json();
    let order = &order["data"]["createOrder"];
    let id = order["id"].as_str().unwrap();

    let message = created.next().await.unwrap();
    assert_eq!(message.subject, format!("order.created.{id}"));
    for (name, value) in [
        ("ce-specversion", "1.0"),
        ("ce-type", "order.created"),
        ("ce-source", "order.api"),
        ("order-status", "PENDING"),
        ("order-version", "1"),
        ("tiffin-position", "1"),
    ] {
        assert_eq!(message.headers.get(name), Some(value), "{name}");
    }
    assert!(message.headers.get("traceparent").is_some());
    let event = decode_bus(&message.payload).unwrap();
    assert!(event.recorded_at.is_some());
    let Some(Event::OrderCreated(event)) = event.event else {
        panic!("{event:?}")
    };
    let published = event.order.unwrap();
    assert_eq!(
        (published.id.as_str(), published.owner.as_str(), published.version),
        (id, "web", 1)
    );
    assert_eq!(published.products[0].name, "Dal");
    stop.cancel();
}
