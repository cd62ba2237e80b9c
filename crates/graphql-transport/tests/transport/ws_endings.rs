//! When a WebSocket is closed, given up or never opened, for reasons that are not its client's messages.

use std::time::Duration;

use serde_json::json;
use tiffin_graphql_transport::{Origins, Settings, StreamSettings};
use tokio_tungstenite::tungstenite;

use crate::{
    client::{Client, Said, with},
    support::Server,
};

#[tokio::test]
async fn a_connection_must_be_initialised_in_time() {
    let server = with(StreamSettings {
        init_timeout: Duration::from_millis(20),
        ..StreamSettings::default()
    });
    let mut client = Client::connect(&server).await;
    assert_eq!(
        client.hear().await,
        Said::Closed(4408, "Connection initialisation timeout".into())
    );
}

#[tokio::test]
async fn pings_are_answered_and_sent() {
    let server = with(StreamSettings {
        ping_interval: Duration::from_millis(20),
        ..StreamSettings::default()
    });
    let mut client = Client::ready(&server).await;
    client
        .say(json!({ "type": "ping", "payload": { "a": [1] } }))
        .await;
    let mut heard = client.hear().await;
    while heard == Said::Ping {
        heard = client.hear().await;
    }
    assert_eq!(
        heard,
        Said::Message(json!({ "type": "pong", "payload": { "a": [1] } }))
    );
    client.say(json!({ "type": "pong" })).await;
    assert_eq!(client.hear().await, Said::Ping);
}

#[tokio::test]
async fn a_client_from_which_nothing_comes_is_given_up() {
    let server = with(StreamSettings {
        ping_interval: Duration::from_millis(10),
        dead_after: Duration::from_millis(300),
        ..StreamSettings::default()
    });
    // It does not read, so it does not answer pings.
    let _client = Client::ready(&server).await;
    server.all_gone().await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_given_up() {
    let server = with(StreamSettings {
        send_timeout: Duration::from_millis(100),
        ..StreamSettings::default()
    });
    let mut client = Client::ready(&server).await;
    client
        .subscribe("a", "subscription { count(to: 2147483647) }")
        .await;
    server.all_gone().await;
    assert_eq!(server.metric("graphql_dropped_total{transport=\"ws\"}"), 1);
}

#[tokio::test]
async fn one_connection_carries_a_bounded_number_of_subscriptions() {
    let server = with(StreamSettings {
        subscriptions: 2,
        ..StreamSettings::default()
    });
    let mut client = Client::ready(&server).await;
    for id in ["a", "b"] {
        client.subscribe(id, "subscription { wait(first: 1) }").await;
        assert_eq!(client.hear_of(id).await.0, "next");
    }
    client.subscribe("c", "subscription { wait(first: 1) }").await;
    let (kind, payload) = client.hear_of("c").await;
    assert_eq!(
        (kind.as_str(), &payload[0]["extensions"]["code"]),
        ("error", &json!("RATE_LIMITED"))
    );
    client.say(json!({ "id": "a", "type": "complete" })).await;
    client.subscribe("c", "subscription { wait(first: 1) }").await;
    assert_eq!(client.hear_of("c").await.0, "next");
}

#[tokio::test]
async fn connections_above_the_cap_and_of_unknown_origins_are_not_upgraded() {
    let protocol = ("sec-websocket-protocol", "graphql-transport-ws");
    let status = |refused: Result<Client, tungstenite::Error>| match refused {
        Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
        Err(other) => panic!("unexpected: {other}"),
        Ok(_) => 101,
    };
    let server = with(StreamSettings {
        connections: 1,
        ..StreamSettings::default()
    });
    let first = Client::ready(&server).await;
    assert_eq!(status(Client::try_connect(&server, &[protocol]).await), 503);
    drop(first);

    let origins = Origins::Only(vec!["https://shop.example".to_owned()]);
    let server = Server::with(Settings {
        origins,
        ..Settings::default()
    });
    for (origin, expected) in [("https://shop.example", 101), ("https://a.example", 403)] {
        assert_eq!(
            status(Client::try_connect(&server, &[protocol, ("origin", origin)]).await),
            expected
        );
    }
}

#[tokio::test]
async fn at_a_stop_connections_are_closed_one_by_one_so_that_clients_come_back() {
    let drain = Duration::from_millis(300);
    let server = with(StreamSettings {
        drain,
        ..StreamSettings::default()
    });
    let mut clients = Vec::new();
    for _ in 0..10 {
        let mut client = Client::ready(&server).await;
        client.subscribe("a", "subscription { wait(first: 1) }").await;
        assert_eq!(client.hear_of("a").await.0, "next");
        clients.push(client);
    }
    let stopped = tokio::time::Instant::now();
    server.stop.cancel();
    let closed = clients
        .into_iter()
        .map(|mut client| async move { (client.closed().await, stopped.elapsed()) });
    let closed = futures::future::join_all(closed).await;
    assert!(closed.iter().all(|(code, _)| *code == 1012), "{closed:?}");
    let first = closed.iter().map(|(_, after)| *after).min().expect("ten clients");
    let last = closed.iter().map(|(_, after)| *after).max().expect("ten clients");
    assert!(last.saturating_sub(first) > drain / 10, "all at once: {closed:?}");
    let mut late = Client::connect(&server).await;
    assert_eq!(late.closed().await, 1012);
    server.all_gone().await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_holds_no_stop_up() {
    let server = with(StreamSettings {
        drain: Duration::from_millis(500),
        send_timeout: Duration::from_mins(10),
        ..StreamSettings::default()
    });
    let mut client = Client::ready(&server).await;
    client
        .subscribe("a", "subscription { count(to: 2147483647) }")
        .await;
    assert_eq!(client.hear_of("a").await.0, "next");
    server.stop.cancel();
    server.all_gone().await;
}

#[tokio::test]
async fn a_connection_is_closed_when_its_session_is_revoked_and_others_stay() {
    let server = Server::new();
    let mut clients = Vec::new();
    for payload in [json!({ "x-api-key": "open" }), json!({})] {
        let mut client = Client::connect(&server).await;
        client
            .say(json!({ "type": "connection_init", "payload": payload }))
            .await;
        assert_eq!(
            client.hear().await,
            Said::Message(json!({ "type": "connection_ack" }))
        );
        client.subscribe("a", "subscription { wait(first: 1) }").await;
        assert_eq!(client.hear_of("a").await.0, "next");
        clients.push(client);
    }
    server.revoked.cancel();
    assert_eq!(
        clients[0].hear().await,
        Said::Closed(4403, "This credential is no longer accepted.".into())
    );
    clients[1].subscribe("b", "subscription { wait(first: 2) }").await;
    assert_eq!(clients[1].hear_of("b").await.0, "next");
}
