//! Cancelling, while nobody answers for `orders`: the answer is what the order shows.

use serde_json::json;
use tiffin_order::{Input, Note, Reason, Status, Workflow};

use crate::harness::{Api, WEB};

fn workflow() -> Workflow {
    Workflow::parse(include_str!("../../../../saga.toml")).unwrap()
}

#[tokio::test]
async fn without_an_answer_an_open_order_may_be_tried_again() {
    let api = Api::start().await;
    let id = api.some_order().await;
    let head = api.head().await;
    let reply = api.cancel(WEB, &id, Some("changed my mind")).await;
    assert_eq!(
        (reply.code().as_str(), reply.status.as_u16()),
        ("UNAVAILABLE", 503)
    );
    assert_eq!(reply.error()["extensions"]["retryAfterMs"], 1000);
    assert!(reply.error()["extensions"]["hint"].is_string());
    assert_eq!(api.head().await, head);
}

#[tokio::test]
async fn an_order_that_is_cancelled_already_is_answered_as_cancelled() {
    let api = Api::start().await;
    let id = api.some_order().await;
    let input = Input::Cancel {
        reason: Reason::CancelledByCustomer,
        note: Note::parse("too spicy").unwrap(),
    };
    api.decide(&id, input, &workflow()).await;
    let reply = api.cancel(WEB, &id, None).await.json();
    let order = &reply["data"]["cancelOrder"];
    assert_eq!(order["status"], "CANCELLED");
    assert_eq!(order["reason"], "CANCELLED_BY_CUSTOMER");
    assert_eq!(order["version"], 2);
    assert_eq!(order["timeline"][1]["note"], "too spicy");
    assert_eq!(order["timeline"][1]["reason"], "CANCELLED_BY_CUSTOMER");
}

#[tokio::test]
async fn an_order_on_its_way_cannot_be_cancelled() {
    let api = Api::start().await;
    let id = api.some_order().await;
    api.carry_on(&id, Status::OutForDelivery).await;
    let head = api.head().await;
    let reply = api.cancel(WEB, &id, None).await;
    assert_eq!(reply.code(), "ORDER_NOT_CANCELLABLE");
    assert_eq!(
        reply.error()["extensions"]["hint"],
        "The order is OUT_FOR_DELIVERY."
    );
    assert_eq!(reply.json()["data"], json!(null));
    assert_eq!(api.head().await, head);
}
