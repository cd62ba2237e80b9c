//! The protocol graphql-transport-ws, step by step.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tiffin_graphql_transport::{Origins, Settings, StreamSettings};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, client::IntoClientRequest},
};

use crate::support::Server;

struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// What a server says.
#[derive(Debug, PartialEq)]
enum Said {
    Message(Value),
    Ping,
    Closed(u16, String),
}

impl Client {
    async fn connect(server: &Server) -> Self {
        Self::try_connect(server, &[("sec-websocket-protocol", "graphql-transport-ws")])
            .await
            .expect("an upgrade")
    }

    async fn try_connect(
        server: &Server,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, tungstenite::Error> {
        let address = server.listen().await;
        let mut request = format!("ws://{address}/graphql/ws").into_client_request()?;
        for (name, value) in headers {
            request
                .headers_mut()
                .insert(*name, value.parse().expect("a header"));
        }
        connect_async(request).await.map(|(socket, _)| Self(socket))
    }

    /// A connection that was acknowledged.
    async fn ready(server: &Server) -> Self {
        let mut client = Self::connect(server).await;
        client.say(json!({ "type": "connection_init" })).await;
        assert_eq!(
            client.hear().await,
            Said::Message(json!({ "type": "connection_ack" }))
        );
        client
    }

    async fn say(&mut self, message: Value) {
        self.0
            .send(Message::text(message.to_string()))
            .await
            .expect("it is sent");
    }

    async fn subscribe(&mut self, id: &str, query: &str) {
        self.say(json!({ "id": id, "type": "subscribe", "payload": { "query": query } }))
            .await;
    }

    async fn hear(&mut self) -> Said {
        let heard = tokio::time::timeout(Duration::from_secs(10), self.0.next())
            .await
            .expect("something is said");
        match heard.expect("more is said").expect("a frame") {
            Message::Text(text) => Said::Message(serde_json::from_str(&text).expect("JSON")),
            Message::Ping(_) => Said::Ping,
            Message::Close(Some(frame)) => Said::Closed(frame.code.into(), frame.reason.to_string()),
            other => panic!("unexpected: {other:?}"),
        }
    }

    /// The next message, which is one about an operation.
    async fn hear_of(&mut self, id: &str) -> (String, Value) {
        match self.hear().await {
            Said::Message(message) => {
                assert_eq!(message["id"], id);
                (
                    message["type"].as_str().expect("a type").to_owned(),
                    message["payload"].clone(),
                )
            }
            other => panic!("unexpected: {other:?}"),
        }
    }

    async fn closed(&mut self) -> u16 {
        loop {
            if let Said::Closed(code, _) = self.hear().await {
                return code;
            }
        }
    }
}

fn with(streams: StreamSettings) -> Server {
    Server::with(Settings {
        streams,
        ..Settings::default()
    })
}

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
            Said::Closed(4403, "The key is not known.".into())
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
    let refused = json!({ "type": "connection_error", "payload": { "message": "The key is not known." } });
    assert_eq!(client.hear().await, Said::Message(refused));
    assert_eq!(client.closed().await, 4403);
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
        dead_after: Duration::from_millis(50),
        ..StreamSettings::default()
    });
    // It does not read, so it does not answer pings.
    let _client = Client::ready(&server).await;
    server.tracker.close();
    tokio::time::timeout(Duration::from_secs(5), server.tracker.wait())
        .await
        .expect("it is given up");
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
    server.tracker.close();
    tokio::time::timeout(Duration::from_secs(20), server.tracker.wait())
        .await
        .expect("it is given up");
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
    server.tracker.close();
    tokio::time::timeout(Duration::from_secs(5), server.tracker.wait())
        .await
        .expect("nothing is left running");
    let late = Client::try_connect(&server, &[("sec-websocket-protocol", "graphql-transport-ws")]).await;
    assert!(matches!(late, Err(tungstenite::Error::Http(response)) if response.status() == 503));
}
