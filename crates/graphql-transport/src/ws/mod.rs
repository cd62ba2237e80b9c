//! Subscriptions over WebSocket, in the protocol graphql-transport-ws.

mod close;
mod connection;
mod message;
mod operations;
mod times;
mod upgrade;

pub(crate) use upgrade::router;

const TRANSPORT: &str = "ws";
