//! The transports as clients meet them.

mod documents;
mod http;
mod sse;
mod support;
mod websocket;
