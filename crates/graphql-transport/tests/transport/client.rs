//! A client of graphql-transport-ws.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tiffin_graphql_transport::{Settings, StreamSettings};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, client::IntoClientRequest},
};

use crate::support::Server;

pub(crate) struct Client(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

/// What a server says.
#[derive(Debug, PartialEq)]
pub(crate) enum Said {
    Message(Value),
    Ping,
    Closed(u16, String),
}

impl Client {
    pub(crate) async fn connect(server: &Server) -> Self {
        Self::try_connect(server, &[("sec-websocket-protocol", "graphql-transport-ws")])
            .await
            .expect("an upgrade")
    }

    pub(crate) async fn try_connect(
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
    pub(crate) async fn ready(server: &Server) -> Self {
        let mut client = Self::connect(server).await;
        client.say(json!({ "type": "connection_init" })).await;
        assert_eq!(
            client.hear().await,
            Said::Message(json!({ "type": "connection_ack" }))
        );
        client
    }

    pub(crate) async fn say(&mut self, message: Value) {
        self.0
            .send(Message::text(message.to_string()))
            .await
            .expect("it is sent");
    }

    pub(crate) async fn subscribe(&mut self, id: &str, query: &str) {
        self.say(json!({ "id": id, "type": "subscribe", "payload": { "query": query } }))
            .await;
    }

    pub(crate) async fn hear(&mut self) -> Said {
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
    pub(crate) async fn hear_of(&mut self, id: &str) -> (String, Value) {
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

    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            if let Said::Closed(code, _) = self.hear().await {
                return code;
            }
        }
    }
}

pub(crate) fn with(streams: StreamSettings) -> Server {
    Server::with(Settings {
        streams,
        ..Settings::default()
    })
}
