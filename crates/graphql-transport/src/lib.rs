//! GraphQL over HTTP, WebSocket and server-sent events, with async-graphql as the engine.

mod args;
mod documents;
mod engine;
mod error;
mod http;
mod limits;
mod metrics;
mod operation;
mod reply;
mod request;
mod session;
mod settings;
mod sse;
mod subscribe;
mod transport;
mod ws;

pub use args::SettingsArgs;
pub use documents::Prepared;
pub use engine::Engine;
pub use error::{Code, Refusal};
pub use http::nothing_here;
pub use limits::Limits;
pub use reply::render;
pub use request::GraphqlRequest;
pub use session::{ApiKeys, Authenticate, Session};
pub use settings::{Origins, Settings, StreamSettings};
pub use subscribe::{EngineSubscriptions, Next, Outcome, Subscribe};
pub use transport::Transport;
