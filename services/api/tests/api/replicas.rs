//! Two replicas on one PostgreSQL database are as one.

use std::collections::HashSet;

use futures::future::join_all;
use serde_json::json;
use tiffin_api::Config;
use tiffin_testkit::Postgres;

use crate::harness::{Api, NO_NATS, WEB};

#[tokio::test]
async fn one_key_at_two_replicas_makes_one_order_which_both_know() {
    let database = Postgres::shared().await.database().await;
    let url: tiffin_eventstore::DatabaseUrl = database.url.parse().unwrap();
    let one = Api::start_on(url.clone(), Config::default(), NO_NATS).await;
    let other = Api::start_on(url, Config::default(), NO_NATS).await;

    let input =
        json!({ "products": [{ "name": "Dal", "quantity": 2 }], "idempotencyKey": "a-key-of-20-letters" });
    let requests = (0..64).map(|number| if number % 2 == 0 { &one } else { &other });
    let replies = join_all(requests.map(|api| api.create(WEB, input.clone()))).await;
    let answers: HashSet<_> = replies.iter().map(|reply| reply.bytes.clone()).collect();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(one.head().await.0, 1);

    let id = replies[0].json()["data"]["createOrder"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(one.order(WEB, &id).await.bytes, other.order(WEB, &id).await.bytes);
}
