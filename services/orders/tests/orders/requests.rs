//! Questions and commands over NATS, in both languages.

use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use serde_json::{Value, json};
use tiffin_order::{OrderId, Status};
use tiffin_proto::{
    recorded,
    v1::{self, get_order_response::Result as Found},
};
use uuid::Uuid;

use crate::world::World;

const PATIENCE: Duration = Duration::from_secs(15);

async fn ask(world: &World, subject: &str, request: Value) -> Value {
    let request = Bytes::from(request.to_string());
    let answer = world.bus.request(subject, request, PATIENCE).await.unwrap();
    serde_json::from_slice(&answer).unwrap()
}

pub(crate) async fn an_order_is_shown_and_cancelled_in_json_and_in_protobuf(world: World) {
    let replica = world.replica([0, 3_600_000, 0, 0]).await;
    let id = world.place().await;
    world.until(id, Status::Paid, PATIENCE).await;

    let shown = ask(&world, "orders.order.get", json!({ "id": id.to_string() })).await;
    assert_eq!(shown["order"]["status"], "ORDER_STATUS_PAID");
    assert_eq!(
        shown["order"]["products"],
        json!([{ "name": "Dal", "quantity": 2 }])
    );
    let request = v1::GetOrderRequest { id: id.to_string() }.encode_to_vec();
    let answer = world
        .bus
        .request("orders.order.get", request.into(), PATIENCE)
        .await
        .unwrap();
    let Some(Found::Order(order)) = v1::GetOrderResponse::decode(answer).unwrap().result else {
        panic!()
    };
    assert_eq!((order.version, order.owner.as_str()), (2, "web"));
    let (created, updated) = (order.created_at.unwrap(), order.updated_at.unwrap());
    assert!((created.seconds, created.nanos) < (updated.seconds, updated.nanos));

    let command = json!({ "id": id.to_string(), "note": " no dal left " });
    let cancelled = ask(&world, "orders.order.cancel", command).await;
    assert_eq!(cancelled["order"]["reason"], "REASON_CANCELLED_BY_STAFF");
    let last = world.events(&id.stream()).await.pop().unwrap();
    let line = recorded(&last.data, &last.metadata, last.created_at).unwrap();
    assert_eq!(line.actor.unwrap().as_str(), "operator");
    assert_eq!(line.note.as_deref(), Some("no dal left"));
    replica.stop().await;
}

/// Requests that are refused for an order that the courier has, and their codes.
fn refused(id: OrderId) -> Vec<(&'static str, Value, &'static str)> {
    let nobody = Uuid::now_v7().to_string();
    let long = "x".repeat(501);
    vec![
        ("orders.order.get", json!({ "id": nobody }), "NOT_FOUND"),
        ("orders.order.get", json!({ "id": "x" }), "BAD_USER_INPUT"),
        (
            "orders.order.get",
            json!({ "id": id.to_string(), "more": 1 }),
            "BAD_USER_INPUT",
        ),
        ("orders.order.cancel", json!({ "id": nobody }), "NOT_FOUND"),
        (
            "orders.order.cancel",
            json!({ "id": id.to_string() }),
            "ORDER_NOT_CANCELLABLE",
        ),
        (
            "orders.order.cancel",
            json!({ "id": id.to_string(), "note": long }),
            "BAD_USER_INPUT",
        ),
        (
            "orders.order.cancel",
            json!({ "id": id.to_string(), "note": "\u{2066}" }),
            "BAD_USER_INPUT",
        ),
        (
            "orders.order.cancel",
            json!({ "id": id.to_string(), "actor": "a\nb" }),
            "BAD_USER_INPUT",
        ),
        (
            "orders.order.cancel",
            json!({ "id": id.to_string(), "reason": 77 }),
            "BAD_USER_INPUT",
        ),
    ]
}

pub(crate) async fn what_cannot_be_done_is_answered_with_a_code_and_changes_nothing(world: World) {
    let replica = world.replica([0, 0, 0, 3_600_000]).await;
    let id = world.place().await;
    world.until(id, Status::OutForDelivery, PATIENCE).await;
    let head = world.store.head().await.unwrap();
    for (subject, request, code) in refused(id) {
        let answer = ask(&world, subject, request.clone()).await;
        assert_eq!(answer["error"]["code"], code, "{subject} {request}: {answer}");
        assert!(
            answer["error"]["hint"]
                .as_str()
                .is_some_and(|hint| !hint.is_empty()),
            "{answer}"
        );
    }
    let rubbish = Bytes::from_static(b"\xff\xff");
    let answer = world
        .bus
        .request("orders.order.get", rubbish, PATIENCE)
        .await
        .unwrap();
    let Some(Found::Error(error)) = v1::GetOrderResponse::decode(answer).unwrap().result else {
        panic!()
    };
    assert_eq!(error.code, "BAD_USER_INPUT");
    assert_eq!(world.store.head().await.unwrap(), head);
    assert_eq!(world.order(OrderId::new(Uuid::nil())).await.status(), None);
    replica.stop().await;
}
