//! Everything that can be set about the transports.

use std::time::Duration;

use crate::limits::Limits;

/// Settings of the transports; the defaults fit a public server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The query limits.
    pub limits: Limits,
    /// Whether `__schema` and `__type` are answered.
    pub introspection: bool,
    /// Memory for documents that were seen before, in bytes, roughly.
    pub document_cache_bytes: usize,
    /// How many new documents are parsed and validated at the same time.
    pub compilations: usize,
    /// How many more may wait for that; those above are refused with `OVERLOADED`.
    pub compilations_waiting: usize,
    /// How long a query or mutation may take.
    pub request_timeout: Duration,
    /// Whose pages may use the transports from a browser.
    pub origins: Origins,
    /// WebSocket and SSE.
    pub streams: StreamSettings,
}

/// Settings of the transports that stay open.
#[derive(Clone, Debug)]
pub struct StreamSettings {
    /// How many connections, WebSocket and SSE, may be open at a time; those above are refused with `OVERLOADED`.
    pub connections: usize,
    /// Subscriptions of one WebSocket at a time.
    pub subscriptions: usize,
    /// How long a WebSocket may take to be authenticated.
    pub init_timeout: Duration,
    /// How often an open connection is sent a ping (WebSocket) or a comment (SSE).
    pub ping_interval: Duration,
    /// A WebSocket from which nothing came for so long, not even the answer to a ping, is dead.
    pub dead_after: Duration,
    /// A connection that accepts nothing for so long is closed.
    pub send_timeout: Duration,
    /// At a graceful stop, connections are closed one by one over this time.
    pub drain: Duration,
}

/// Whose pages may use the transports from a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Everybody's. No cookie is ever read, so a foreign page has no authority but what it sends itself.
    Any,
    /// These, such as `https://shop.example`. A request without an origin is not from a browser and may pass.
    Only(Vec<String>),
}

impl Default for Settings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            limits: Limits::default(),
            introspection: true,
            document_cache_bytes: 16 * 1024 * 1024,
            compilations: 2 * cores,
            compilations_waiting: 1_024,
            request_timeout: Duration::from_secs(5),
            origins: Origins::Any,
            streams: StreamSettings::default(),
        }
    }
}

impl Settings {
    /// The same, where so many connections may stay open.
    #[must_use]
    pub fn with_connections(mut self, connections: usize) -> Self {
        self.streams.connections = connections;
        self
    }
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            connections: 20_000,
            subscriptions: 20,
            init_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(15),
            dead_after: Duration::from_secs(30),
            send_timeout: Duration::from_secs(30),
            drain: Duration::from_secs(15),
        }
    }
}

impl Origins {
    /// Whether a request with this `Origin` header may pass.
    pub(crate) fn allow(&self, origin: Option<&str>) -> bool {
        match (self, origin) {
            (Self::Any, _) | (_, None) => true,
            (Self::Only(known), Some(origin)) => known.iter().any(|known| known == origin),
        }
    }
}
