//! The transports as clients meet them.

mod client;
mod documents;
mod failing;
mod hints;
mod http;
mod http_limits;
mod sse;
mod support;
mod ws_endings;
mod ws_protocol;
