//! A client of the graphql-transport-ws protocol.

use anyhow::{Context, bail};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

/// What a server did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// It sent a message of the protocol; pings were answered already and are not among them.
    Message(Value),
    /// It closed the connection, with a code and a reason.
    Closed(u16, String),
}

/// A connection.
pub struct WebSocketClient {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl WebSocketClient {
    /// Connects and sends nothing.
    pub async fn connect(url: &str) -> anyhow::Result<Self> {
        let mut request = url.into_client_request()?;
        request.headers_mut().insert(
            "sec-websocket-protocol",
            HeaderValue::from_static("graphql-transport-ws"),
        );
        let (socket, _answer) = connect_async(request).await?;
        Ok(Self { socket })
    }

    /// Sends `connection_init` and waits for the acknowledgement.
    pub async fn initialise(&mut self, payload: Value) -> anyhow::Result<()> {
        self.send(json!({ "type": "connection_init", "payload": payload }))
            .await?;
        match self.next().await? {
            Received::Message(message) if message["type"] == "connection_ack" => Ok(()),
            other => bail!("not acknowledged: {other:?}"),
        }
    }

    /// Starts an operation under an id.
    pub async fn subscribe(&mut self, id: &str, query: &str, variables: Value) -> anyhow::Result<()> {
        let payload = json!({ "query": query, "variables": variables });
        self.send(json!({ "id": id, "type": "subscribe", "payload": payload }))
            .await
    }

    /// Sends any message.
    pub async fn send(&mut self, message: Value) -> anyhow::Result<()> {
        Ok(self.socket.send(Message::text(message.to_string())).await?)
    }

    /// What the server does next.
    pub async fn next(&mut self) -> anyhow::Result<Received> {
        loop {
            match self
                .socket
                .next()
                .await
                .context("the connection broke off without a close")??
            {
                Message::Text(text) => {
                    let message: Value = serde_json::from_str(&text)?;
                    if message["type"] != "ping" {
                        return Ok(Received::Message(message));
                    }
                    self.send(json!({ "type": "pong" })).await?;
                }
                Message::Close(frame) => {
                    let frame = frame.context("closed without a code")?;
                    return Ok(Received::Closed(frame.code.into(), frame.reason.to_string()));
                }
                Message::Ping(_) | Message::Pong(_) => {}
                other => bail!("an unexpected frame: {other:?}"),
            }
        }
    }
}
