//! For tests only: real servers on free ports, clients, and `eventually!`. Nothing started here outlives the test
//! program, not even when it is killed.

mod eventually;
mod graphql;
mod nats;
mod postgres;
mod process;
mod program;
mod service;
mod sse;
mod tools;
mod websocket;

pub use eventually::poll_until;
pub use graphql::GraphQl;
pub use nats::NatsServer;
pub use postgres::{Database, Postgres};
pub use process::{Process, command, free_port, scratch_folder};
pub use program::program;
pub use service::{Service, ServiceSpec};
pub use sse::{SseEvent, SseStream};
pub use tools::{nats_cli, nats_server, postgres_tool, prometheus_tool, workspace};
pub use websocket::{Received, WebSocketClient};
