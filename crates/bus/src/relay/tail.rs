//! The headers of a stream's last messages.

use std::time::Duration;

use async_nats::jetstream::{
    Context, Message,
    consumer::{
        AckPolicy, DeliverPolicy,
        pull::{self, MessagesError},
    },
};
use futures::{StreamExt, stream::BoxStream};
use uuid::Uuid;

use super::{fault::Fault, resync::Stored};
use crate::{connection::ACK_TIMEOUT, ensure::EnsureError, message::Headers};

/// Messages read at a time.
const PAGE: usize = 256;
/// How long the server keeps the consumer that reading needs.
const ABANDONED: Duration = Duration::from_secs(10);
const HEARTBEAT: Duration = Duration::from_secs(2);

/// Reads forward to a given sequence.
pub(super) struct Tail {
    pages: BoxStream<'static, Vec<Result<Message, MessagesError>>>,
    read: u64,
    last: u64,
}

impl Tail {
    /// The messages from sequence `first` to `last`.
    pub(super) async fn open(context: &Context, stream: &str, first: u64, last: u64) -> Result<Tail, Fault> {
        let config = pull::Config {
            // So that a server knows from the subject which consumer is meant, and can allow it.
            name: Some(Uuid::now_v7().simple().to_string()),
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: first,
            },
            ack_policy: AckPolicy::None,
            headers_only: true,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: ABANDONED,
            ..pull::Config::default()
        };
        let consumer = context
            .create_consumer_on_stream(config, stream)
            .await
            .map_err(EnsureError::from)?;
        let messages = consumer
            .stream()
            .max_messages_per_batch(PAGE)
            .expires(ACK_TIMEOUT)
            .heartbeat(HEARTBEAT)
            .messages()
            .await
            .map_err(|error| Fault::Stream(error.into()))?;
        Ok(Tail {
            pages: messages.ready_chunks(PAGE).boxed(),
            read: first - 1,
            last,
        })
    }

    /// The next few messages, at least one; `None` at the end.
    pub(super) async fn page(&mut self) -> Result<Option<Vec<Stored>>, Fault> {
        if self.read >= self.last {
            return Ok(None);
        }
        let page = tokio::time::timeout(ACK_TIMEOUT, self.pages.next())
            .await
            .map_err(|elapsed| Fault::Stream(elapsed.into()))?;
        let Some(page) = page else {
            return Err(Fault::NoStream);
        };
        let page = page.into_iter().map(stored).collect::<Result<Vec<_>, _>>()?;
        self.read = page.last().map_or(self.read, |message| message.sequence);
        Ok(Some(
            page.into_iter()
                .filter(|message| message.sequence <= self.last)
                .collect(),
        ))
    }
}

fn stored(message: Result<Message, MessagesError>) -> Result<Stored, Fault> {
    let message = message.map_err(|error| Fault::Stream(error.into()))?;
    let sequence = message.info().map_err(Fault::Stream)?.stream_sequence;
    Ok(Stored {
        sequence,
        event: Headers::from(message.message.headers).event(),
    })
}
