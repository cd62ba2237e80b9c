//! Placing and reading orders.

use axum::{body::Body, http::Request};
use serde_json::json;
use tiffin_order::Status;
use tiffin_proto::Context;

use crate::harness::{Api, WEB};

#[tokio::test]
async fn an_order_is_answered_for_once_it_is_in_the_log() {
    let api = Api::start().await;
    let input =
        json!({ "products": [{ "name": "  Dal ", "quantity": 2 }, { "name": "Roti", "quantity": 1 }] });
    let reply = api.create(WEB, input).await;
    assert_eq!(api.head().await.0, 1);
    let order = &reply.json()["data"]["createOrder"];
    assert_eq!(order["status"], "PENDING");
    assert_eq!(order["version"], 1);
    assert_eq!(order["createdAt"], order["updatedAt"]);
    assert_eq!(
        order["products"],
        json!([{ "name": "Dal", "quantity": 2 }, { "name": "Roti", "quantity": 1 }])
    );
    let placed = json!({
        "version": 1, "status": "PENDING", "at": order["createdAt"], "actor": "web", "reason": null, "note": null
    });
    assert_eq!(order["timeline"], json!([placed]));
    let read = api.order(WEB, order["id"].as_str().unwrap()).await;
    assert_eq!(&read.json()["data"]["order"], order);
}

#[tokio::test]
async fn an_order_tells_its_whole_way() {
    let api = Api::start().await;
    let id = api.some_order().await;
    api.carry_on(&id, Status::Delivered).await;
    let order = &api.order(WEB, &id).await.json()["data"]["order"];
    assert_eq!(order["status"], "DELIVERED");
    assert_eq!(order["version"], 5);
    let way: Vec<_> = order["timeline"].as_array().unwrap().iter().collect();
    let statuses: Vec<_> = way
        .iter()
        .map(|change| change["status"].as_str().unwrap())
        .collect();
    assert_eq!(
        statuses,
        ["PENDING", "PAID", "PREPARING", "OUT_FOR_DELIVERY", "DELIVERED"]
    );
    let versions: Vec<_> = way
        .iter()
        .map(|change| change["version"].as_i64().unwrap())
        .collect();
    assert_eq!(versions, [1, 2, 3, 4, 5]);
    assert_eq!(way[4]["at"], order["updatedAt"]);
    assert_eq!(way[4]["actor"], json!(null));
}

#[tokio::test]
async fn the_callers_trace_goes_into_the_log() {
    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let api = Api::start().await;
    let query = "mutation { createOrder(input: {products: [{name: \"Dal\", quantity: 1}]}) { id } }";
    let request = Request::post("/graphql")
        .header("x-api-key", WEB)
        .header("content-type", "application/json")
        .header("traceparent", TRACE)
        .body(Body::from(json!({ "query": query }).to_string()))
        .unwrap();
    api.send(request).await;
    let events = api
        .store
        .read_all(
            tiffin_eventstore::Position::START,
            tiffin_eventstore::Direction::Forwards,
            10,
        )
        .await
        .unwrap();
    let trace = Context::decode(&events[0].metadata).unwrap().trace;
    assert_eq!(trace.unwrap().to_string(), TRACE);
}

#[tokio::test]
async fn the_front_page_says_what_is_where() {
    let api = Api::start().await;
    let reply = api.send(Request::get("/").body(Body::empty()).unwrap()).await;
    assert!(reply.status.is_success());
    assert!(String::from_utf8_lossy(&reply.bytes).contains("/graphql/stream"));
}
