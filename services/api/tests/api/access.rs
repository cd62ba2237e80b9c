//! Who reaches which order.

use axum::{body::Body, http::Request};
use serde_json::{Value, json};

use crate::harness::{APP, Api, KITCHEN, OPERATOR, WEB};

#[tokio::test]
async fn an_order_of_somebody_else_does_not_exist() {
    let api = Api::start().await;
    let id = api.some_order().await;
    for (key, reaches) in [(WEB, true), (OPERATOR, true), (KITCHEN, true), (APP, false)] {
        let reply = api.order(key, &id).await.json();
        assert_eq!(
            reply["data"]["order"]["id"] == json!(id),
            reaches,
            "{key}: {reply}"
        );
        assert_eq!(reply["errors"], Value::Null);
    }
    let absent = "0198c5a0-7b1e-7c3a-9f5e-3b1f0d9a4c21";
    let error = |reply: crate::harness::Reply| reply.error();
    assert_eq!(
        error(api.cancel(APP, &id, None).await),
        error(api.cancel(APP, absent, None).await)
    );
}

#[tokio::test]
async fn a_role_that_may_not_is_told_so_and_nothing_is_appended() {
    let api = Api::start().await;
    let id = api.some_order().await;
    let head = api.head().await;
    let input = json!({ "products": [{ "name": "Dal", "quantity": 1 }] });
    assert_eq!(api.create(KITCHEN, input).await.code(), "FORBIDDEN");
    assert_eq!(api.cancel(KITCHEN, &id, None).await.code(), "FORBIDDEN");
    assert_eq!(api.head().await, head);
}

#[tokio::test]
async fn the_list_of_all_orders_is_for_staff() {
    let api = Api::start().await;
    for (key, allowed) in [(WEB, false), (APP, false), (OPERATOR, true), (KITCHEN, true)] {
        let reply = api.graphql(key, "{ orders { nodes { id } } }", json!({})).await;
        if allowed {
            assert_eq!(
                reply.json(),
                json!({ "data": { "orders": { "nodes": [] } } }),
                "{key}"
            );
        } else {
            assert_eq!(reply.code(), "FORBIDDEN", "{key}");
        }
    }
}

#[tokio::test]
async fn a_request_without_a_key_and_one_with_a_wrong_key_are_refused() {
    let api = Api::start().await;
    let body = || Body::from(json!({ "query": "{ __typename }" }).to_string());
    let request = || Request::post("/graphql").header("content-type", "application/json");
    let missing = api.send(request().body(body()).unwrap()).await;
    let wrong = api
        .send(request().header("x-api-key", "da2-wrong").body(body()).unwrap())
        .await;
    for reply in [missing, wrong] {
        assert_eq!(reply.status, 401);
        assert_eq!(reply.code(), "UNAUTHENTICATED");
        assert_eq!(reply.error()["errorType"], "UnauthorizedException");
        assert!(reply.error()["extensions"]["hint"].is_string());
    }
}
