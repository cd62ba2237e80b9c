//! A GraphQL client for one origin.

use anyhow::Context;
use reqwest::{
    RequestBuilder,
    header::{ACCEPT, HeaderMap},
};
use serde_json::{Value, json};

use crate::{sse::SseStream, websocket::WebSocketClient};

/// Speaks GraphQL with one service, or with all behind one origin, under one API key.
#[derive(Clone, Debug)]
pub struct GraphQl {
    base: String,
    key: Option<String>,
    client: reqwest::Client,
}

impl GraphQl {
    /// A client of `base`, such as `http://127.0.0.1:8080`.
    pub fn new(base: impl Into<String>, key: impl Into<String>) -> Self {
        Self {
            key: Some(key.into()),
            ..Self::anonymous(base)
        }
    }

    /// A client without a key.
    pub fn anonymous(base: impl Into<String>) -> Self {
        Self {
            base: base.into(),
            key: None,
            client: reqwest::Client::new(),
        }
    }

    /// POSTs an operation and returns the answer's body, errors included.
    pub async fn post(&self, query: &str, variables: Value) -> anyhow::Result<Value> {
        Ok(self.post_with(query, variables, HeaderMap::new()).await?.1)
    }

    /// POSTs an operation with further headers; returns the answer's headers too.
    pub async fn post_with(
        &self,
        query: &str,
        variables: Value,
        headers: HeaderMap,
    ) -> anyhow::Result<(HeaderMap, Value)> {
        let request = self
            .client
            .post(format!("{}/graphql", self.base))
            .headers(headers);
        let answer = self
            .keyed(request)
            .json(&json!({ "query": query, "variables": variables }))
            .send()
            .await?;
        let headers = answer.headers().clone();
        let text = answer.text().await?;
        let body = serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"))?;
        Ok((headers, body))
    }

    /// Subscribes through server-sent events, going on after `last_event_id` if there is one.
    pub async fn subscribe(
        &self,
        query: &str,
        variables: Value,
        last_event_id: Option<&str>,
    ) -> anyhow::Result<SseStream> {
        let mut request = self
            .client
            .post(format!("{}/graphql/stream", self.base))
            .header(ACCEPT, "text/event-stream");
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let answer = self
            .keyed(request)
            .json(&json!({ "query": query, "variables": variables }))
            .send()
            .await?;
        SseStream::new(answer).await
    }

    /// Opens a WebSocket and initialises it with the key.
    pub async fn websocket(&self) -> anyhow::Result<WebSocketClient> {
        let payload = self
            .key
            .as_ref()
            .map_or_else(|| json!({}), |key| json!({ "x-api-key": key }));
        let mut socket = self.websocket_uninitialised().await?;
        socket.initialise(payload).await?;
        Ok(socket)
    }

    /// Opens a WebSocket and sends nothing.
    pub async fn websocket_uninitialised(&self) -> anyhow::Result<WebSocketClient> {
        let base = self.base.replacen("http", "ws", 1);
        WebSocketClient::connect(&format!("{base}/graphql/ws")).await
    }

    fn keyed(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.key {
            Some(key) => request.header("x-api-key", key),
            None => request,
        }
    }
}
