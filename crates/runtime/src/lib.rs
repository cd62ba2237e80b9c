//! What a long-running program needs around its own work: settings, logs, traces, health, HTTP, keys, a graceful stop.

mod admin;
mod apart;
pub mod config;
mod error;
mod healthcheck;
mod held;
mod http;
pub mod keys;
mod leash;
mod lifecycle;
pub mod program;
mod secret;
mod settings;
pub mod telemetry;
mod tls;
mod traces;

pub use admin::{Admin, Readiness};
pub use error::Error;
pub use http::HttpServer;
pub use keys::{Holder, Keys};
pub use leash::Leash;
pub use lifecycle::{Ending, Lifecycle};
pub use program::{Process, Settings, main};
pub use secret::Secret;
pub use settings::{Common, HttpSettings, KeySettings, LogFormat, LogSettings, NatsSettings, socket_address};
pub use traces::Traces;

/// Every program that uses this crate allocates through mimalloc.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
