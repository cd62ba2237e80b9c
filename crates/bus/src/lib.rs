//! The bus: NATS and JetStream as Tiffin uses them, the relay that carries the event store's log into a stream,
//! and the feed that follows stream and log together.
//!
//! Everything here works when NATS is away: connecting returns at once, components wait for the server on their
//! own tasks, and whatever the broker lost is published again or read from the log. Only this crate knows the
//! NATS client.

mod address;
mod ahead;
mod announce;
mod backoff;
mod bus;
mod complaints;
mod connection;
mod consumer;
mod core;
mod ensure;
mod feed;
mod message;
mod metrics;
mod relay;
mod republish;
mod request;
mod service;
mod spec;

pub use address::without_credentials;
pub use ahead::Ahead;
pub use announce::announce_commits;
pub use bus::Bus;
pub use connection::{Config, ConfigError, OLDEST_SERVER, State, check_url};
pub use consumer::{Delivery, PullConsumer};
pub use core::{CoreMessage, CoreSubscription, SendError};
pub use feed::{Feed, FeedItem};
pub use message::{EVENT_ID, Headers, Message, POSITION, TRACE};
pub use relay::{Relay, RelayConfig};
pub use republish::{NUMBER, RepublishError, Republished, Republisher};
pub use request::RequestError;
pub use service::{Endpoint, ServiceError, ServiceRequest, ServiceSpec, serve};
pub use spec::{ConsumerSpec, StreamSpec};
