//! One key, one order, one answer.

use std::collections::HashSet;

use futures::future::join_all;
use serde_json::{Value, json};
use tiffin_order::Status;

use crate::harness::{APP, Api, WEB};

const KEY: &str = "a-key-of-20-letters";

fn input(key: &str) -> Value {
    json!({ "products": [{ "name": "Dal", "quantity": 2 }], "idempotencyKey": key })
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_answer_byte_for_byte_however_far_the_order_is() {
    let api = Api::start().await;
    let first = api.create(WEB, input(KEY)).await;
    assert_eq!(first.header("idempotency-replayed"), None);
    let id = first.json()["data"]["createOrder"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    api.carry_on(&id, Status::Preparing).await;
    let head = api.head().await;
    let again = api.create(WEB, input(KEY)).await;
    assert_eq!(again.bytes, first.bytes);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let api = api.restart().await;
    assert_eq!(api.create(WEB, input(KEY)).await.bytes, first.bytes);
    assert_eq!(api.head().await, head);
}

#[tokio::test]
async fn a_key_with_another_input_is_refused_and_nothing_is_appended() {
    let api = Api::start().await;
    api.create(WEB, input(KEY)).await;
    let head = api.head().await;
    for products in [
        json!([{ "name": "Dal", "quantity": 3 }]),
        json!([{ "name": "Dal ", "quantity": 2 }]),
        json!([{ "name": "Dal", "quantity": 2 }, { "name": "Roti", "quantity": 1 }]),
    ] {
        let reply = api
            .create(WEB, json!({ "products": products, "idempotencyKey": KEY }))
            .await;
        assert_eq!(reply.code(), "IDEMPOTENCY_KEY_REUSED");
        assert!(reply.error()["extensions"]["hint"].is_string());
    }
    assert_eq!(api.head().await, head);
}

#[tokio::test]
async fn sixty_four_requests_at_once_with_one_key_make_one_order_and_equal_answers() {
    let api = Api::start().await;
    let replies = join_all((0..64).map(|_| api.create(WEB, input(KEY)))).await;
    let answers: HashSet<_> = replies.iter().map(|reply| reply.bytes.clone()).collect();
    assert_eq!(answers.len(), 1, "{answers:?}");
    let first = replies
        .iter()
        .filter(|reply| reply.header("idempotency-replayed").is_none());
    assert_eq!(first.count(), 1);
    assert_eq!(api.head().await.0, 1);
}

#[tokio::test]
async fn one_key_means_different_orders_for_different_owners_and_without_a_key_each_request_is_an_order() {
    let api = Api::start().await;
    let keyless = json!({ "products": [{ "name": "Dal", "quantity": 2 }] });
    let replies = [
        api.create(WEB, input(KEY)).await,
        api.create(APP, input(KEY)).await,
        api.create(WEB, keyless.clone()).await,
        api.create(WEB, keyless).await,
    ];
    let ids: HashSet<_> = replies
        .iter()
        .map(|reply| reply.json()["data"]["createOrder"]["id"].to_string())
        .collect();
    assert_eq!(ids.len(), 4);
}
