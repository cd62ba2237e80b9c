//! Subscriptions over server-sent events, in graphql-sse's mode of distinct connections.

mod event;
mod stream;

pub(crate) use stream::router;

const TRANSPORT: &str = "sse";
