//! The protocol graphql-transport-ws and its predecessor, message by message.

use futures::SinkExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    client::{Client, Said},
    support::Server,
};

#[tokio::test]
async fn a_subscription_gets_its_results_and_the_end() {
    let mut client = Client::ready(&Server::new()).await;
    client.subscribe("a", "subscription { count(to: 2) }").await;
    assert_eq!(
        client.hear_of("a").await,
        ("next".into(), json!({ "data": { "count": 1 } }))
    );
    assert_eq!(
        client.hear_of("a").await,
        ("next".into(), json!({ "data": { "count": 2 } }))
    );
    assert_eq!(client.hear_of("a").await, ("complete".into(), Value::Null));
    client.subscribe("a", "subscription { count(to: 0) }").await;
    assert_eq!(client.hear_of("a").await.0, "complete", "an id may be used again");
}

#[tokio::test]
async fn subscriptions_run_side_by_side_and_a_completed_one_is_silent() {
    let mut client = Client::ready(&Server::new()).await;
    client.subscribe("a", "subscription { wait(first: 1) }").await;
    assert_eq!(client.hear_of("a").await.0, "next");
    client.subscribe("b", "subscription { wait(first: 2) }").await;
    assert_eq!(
        client.hear_of("b").await,
        ("next".into(), json!({ "data": { "wait": 2 } }))
    );
    client.say(json!({ "id": "a", "type": "complete" })).await;
    client.say(json!({ "id": "never", "type": "complete" })).await;
    client.subscribe("a", "subscription { wait(first: 3) }").await;
    assert_eq!(
        client.hear_of("a").await,
        ("next".into(), json!({ "data": { "wait": 3 } }))
    );
}

#[tokio::test]
async fn a_refused_operation_gets_an_error_and_the_connection_goes_on() {
    let mut client = Client::ready(&Server::new()).await;
    for (query, code) in [
        ("subscription { nope }", "BAD_USER_INPUT"),
        ("subscription { count(to: -1) }", "BAD_USER_INPUT"),
        (
            "subscription { a: count(to: 1) b: count(to: 1) }",
            "QUERY_TOO_COSTLY",
        ),
        ("mutation { add(by: 1) }", "SUBSCRIPTIONS_ONLY"),
        ("{ counter __typename }", "SUBSCRIPTIONS_ONLY"),
    ] {
        client.subscribe("a", query).await;
        let (kind, payload) = client.hear_of("a").await;
        assert_eq!(
            (kind.as_str(), &payload[0]["extensions"]["code"]),
            ("error", &json!(code)),
            "{query}"
        );
    }
    client
        .subscribe(
            "a",
            "{ __typename ...S } fragment S on Query { __schema { queryType { name } } }",
        )
        .await;
    let (kind, payload) = client.hear_of("a").await;
    assert_eq!(
        (kind.as_str(), &payload["data"]["__schema"]["queryType"]["name"]),
        ("next", &json!("Query"))
    );
    assert_eq!(client.hear_of("a").await.0, "complete");
}

#[tokio::test]
async fn what_the_protocol_forbids_closes_the_connection_with_its_code() {
    let server = Server::new();
    let mut client = Client::connect(&server).await;
    client.subscribe("a", "subscription { count(to: 1) }").await;
    assert_eq!(client.hear().await, Said::Closed(4401, "Unauthorized".into()));

    let mut client = Client::ready(&server).await;
    client.say(json!({ "type": "connection_init" })).await;
    assert_eq!(
        client.hear().await,
        Said::Closed(4429, "Too many initialisation requests".into())
    );

    let mut client = Client::ready(&server).await;
    client.subscribe("a", "subscription { wait(first: 1) }").await;
    assert_eq!(client.hear_of("a").await.0, "next");
    client.subscribe("a", "subscription { wait(first: 1) }").await;
    assert_eq!(
        client.hear().await,
        Said::Closed(4409, "Subscriber for a already exists".into())
    );

    for message in [
        "",
        "{",
        r#"{"type":"unknown"}"#,
        r#"{"id":"1","type":"subscribe","payload":{"query":1}}"#,
    ] {
        let mut client = Client::ready(&server).await;
        client.0.send(Message::text(message)).await.expect("it is sent");
        assert_eq!(client.closed().await, 4400, "{message}");
    }
    let mut client = Client::ready(&server).await;
    client
        .subscribe(&"a".repeat(257), "subscription { wait(first: 1) }")
        .await;
    assert_eq!(client.closed().await, 4400, "an id that is sent with each result");
    let mut client = Client::ready(&server).await;
    client
        .0
        .send(Message::binary(b"{}".to_vec()))
        .await
        .expect("it is sent");
    assert_eq!(client.closed().await, 4400);
}

#[tokio::test]
async fn a_message_over_the_limit_closes_the_connection() {
    let mut client = Client::ready(&Server::new()).await;
    client.subscribe("a", &" ".repeat(65 * 1024)).await;
    assert_eq!(client.closed().await, 4400);
}

#[tokio::test]
async fn headers_of_the_upgrade_and_members_of_the_payload_authenticate() {
    let server = Server::new();
    for (header, payload, accepted) in [
        ("open", json!(null), true),
        ("wrong", json!(null), false),
        ("wrong", json!({ "X-API-Key": "open" }), true),
        ("open", json!({ "x-Api-key": "wrong" }), false),
    ] {
        let headers = [
            ("sec-websocket-protocol", "graphql-transport-ws"),
            ("x-api-key", header),
        ];
        let mut client = Client::try_connect(&server, &headers).await.expect("an upgrade");
        client
            .say(json!({ "type": "connection_init", "payload": payload }))
            .await;
        let expected = if accepted {
            Said::Message(json!({ "type": "connection_ack" }))
        } else {
            Said::Closed(4403, "This API key is unknown or has expired.".into())
        };
        assert_eq!(client.hear().await, expected, "{header} {payload}");
    }
}

#[tokio::test]
async fn a_client_that_speaks_neither_protocol_is_told_so() {
    let mut client = Client::try_connect(&Server::new(), &[])
        .await
        .expect("an upgrade");
    assert_eq!(
        client.hear().await,
        Said::Closed(4406, "Subprotocol not acceptable".into())
    );
}

#[tokio::test]
async fn the_older_protocol_is_understood_too() {
    let server = Server::new();
    for offered in ["graphql-ws", "graphql-ws, graphql-transport-ws"] {
        let headers = [("sec-websocket-protocol", offered)];
        let mut client = Client::try_connect(&server, &headers).await.expect("an upgrade");
        client
            .say(json!({ "type": "connection_init", "payload": {} }))
            .await;
        assert_eq!(
            client.hear().await,
            Said::Message(json!({ "type": "connection_ack" }))
        );
        let start = |query: &str| json!({ "id": "1", "type": "start", "payload": { "query": query } });
        client.say(start("subscription { count(to: 1) }")).await;
        assert_eq!(
            client.hear_of("1").await,
            ("data".into(), json!({ "data": { "count": 1 } }))
        );
        assert_eq!(client.hear_of("1").await.0, "complete");
        client.say(start("subscription { nope }")).await;
        let (kind, payload) = client.hear_of("1").await;
        assert_eq!(
            (kind.as_str(), &payload["extensions"]["code"]),
            ("error", &json!("BAD_USER_INPUT"))
        );
    }
    let mut client = Client::try_connect(&server, &[("sec-websocket-protocol", "graphql-ws")])
        .await
        .expect("ok");
    client
        .say(json!({ "type": "connection_init", "payload": { "x-api-key": "wrong" } }))
        .await;
    let refused = json!({ "type": "connection_error", "payload": { "message": "This API key is unknown or has expired." } });
    assert_eq!(client.hear().await, Said::Message(refused));
    assert_eq!(client.closed().await, 4403);
}
