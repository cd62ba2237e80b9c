//! A consumer of the feed's own on its stream, from the stream's present end on.

use std::time::Duration;

use async_nats::jetstream::{
    self,
    consumer::{
        AckPolicy, DeliverPolicy,
        pull::{self, MessagesError},
    },
};
use futures::StreamExt;
use tracing::debug;

use super::trust::Trust;
use crate::{
    backoff::Backoff,
    bus::Bus,
    consumer::{EXPIRES, HEARTBEAT},
    ensure::EnsureError,
};

const BATCH: usize = 256;
/// How long the server keeps the consumer when nobody pulls.
const ABANDONED: Duration = Duration::from_secs(30);

/// The messages of one incarnation of the stream: its consumer goes with it.
pub(super) struct Attachment {
    messages: pull::Stream,
    pub(super) trust: Trust,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum AttachError {
    #[error(transparent)]
    Ensure(#[from] EnsureError),
    #[error("messages cannot be pulled: {0}")]
    Pull(#[source] async_nats::Error),
    #[error("the stream was replaced meanwhile")]
    Replaced,
    #[error("the pull ended")]
    Ended,
}

impl Attachment {
    /// Attaches to `stream` as soon as that is possible, but not before `delay`.
    pub(super) async fn make(bus: Bus, stream: &'static str, delay: Duration) -> Attachment {
        tokio::time::sleep(delay).await;
        let mut backoff = Backoff::default();
        loop {
            bus.consuming().connected().await;
            match Attachment::attempt(&bus.consuming().jetstream, stream).await {
                Ok(attachment) => return attachment,
                // The log brings everything meanwhile.
                Err(error) => debug!(stream, %error, "feed cannot attach yet"),
            }
            backoff.wait().await;
        }
    }

    async fn attempt(context: &jetstream::Context, stream: &str) -> Result<Attachment, AttachError> {
        let found = context.get_stream(stream).await.map_err(EnsureError::from)?;
        let last_sequence = found.cached_info().state.last_sequence;
        let config = pull::Config {
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: last_sequence + 1,
            },
            ack_policy: AckPolicy::None,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: ABANDONED,
            ..pull::Config::default()
        };
        let consumer = found.create_consumer(config).await.map_err(EnsureError::from)?;
        let messages = consumer
            .stream()
            .max_messages_per_batch(BATCH)
            .expires(EXPIRES)
            .heartbeat(HEARTBEAT)
            .messages()
            .await
            .map_err(|error| AttachError::Pull(error.into()))?;
        let present = found.get_info().await.map_err(EnsureError::from)?;
        if present.created != found.cached_info().created {
            return Err(AttachError::Replaced);
        }
        Ok(Attachment {
            messages,
            trust: Trust::new(last_sequence),
        })
    }

    /// The next message. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<jetstream::Message, AttachError> {
        let message = self.messages.next().await.ok_or(AttachError::Ended)?;
        message.map_err(|error: MessagesError| AttachError::Pull(error.into()))
    }
}
