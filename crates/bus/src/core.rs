//! Messages that nobody stores: core NATS, at most once, to whoever listens now.

use std::time::Duration;

use async_nats::Subscriber;
use bytes::Bytes;
use futures::StreamExt;

use crate::{bus::Bus, message::Headers};

/// A server that does not read is not waited for longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why a message was not sent, or a subscription not made.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// There is no usable server just now.
    #[error("not connected to NATS")]
    Disconnected,
    /// The server takes nothing.
    #[error("NATS does not take messages")]
    Stalled,
    /// The subject or the message is not one that NATS takes.
    #[error("NATS refuses the message or subject: {0}")]
    Invalid(#[source] async_nats::Error),
}

/// A message received over core NATS.
#[derive(Clone, Debug)]
pub struct CoreMessage {
    /// The subject it was published on.
    pub subject: String,
    /// Its headers.
    pub headers: Headers,
    /// Its payload.
    pub payload: Bytes,
}

/// A subscription to subjects of core NATS; it outlives the loss of the connection, messages in between are missed.
pub struct CoreSubscription(Subscriber);

impl CoreSubscription {
    /// The next message; `None` once the bus is stopped. Cancel-safe.
    pub async fn next(&mut self) -> Option<CoreMessage> {
        let message = self.0.next().await?;
        Some(CoreMessage {
            subject: message.subject.into_string(),
            headers: message.headers.into(),
            payload: message.payload,
        })
    }
}

impl Bus {
    /// Sends a message to whoever listens now; at most once, unacknowledged.
    pub async fn publish_core(&self, subject: &str, payload: Bytes) -> Result<(), SendError> {
        let connection = self.publishing();
        if !connection.state.borrow().is_connected() {
            return Err(SendError::Disconnected);
        }
        match tokio::time::timeout(PATIENCE, connection.client.publish(subject.to_owned(), payload)).await {
            Ok(sent) => sent.map_err(|error| SendError::Invalid(error.into())),
            Err(_) => Err(SendError::Stalled),
        }
    }

    /// Listens to `subject`, wildcards allowed, from the next time that NATS is there.
    pub async fn subscribe_core(&self, subject: &str) -> Result<CoreSubscription, SendError> {
        let subscribing = self.consuming().client.subscribe(subject.to_owned());
        match tokio::time::timeout(PATIENCE, subscribing).await {
            Ok(subscribed) => subscribed
                .map(CoreSubscription)
                .map_err(|error| SendError::Invalid(error.into())),
            Err(_) => Err(SendError::Stalled),
        }
    }
}
