//! Publishes events of the log once more, for whoever lost them: into a stream of their own, so that the streams that
//! everybody follows go on holding each event once and in order.
//!
//! What is published under one name is one sequence. How far it has come is read from its last message, and each page
//! is one atomic batch that is refused where that is not the last message any more. So whoever is asked twice, or dies
//! in between, repeats nothing and leaves nothing out, and nobody keeps anything in mind.

mod page;

use std::{error::Error, sync::Arc};

use async_nats::{
    HeaderMap, header,
    jetstream::{
        self, ErrorCode,
        context::{PublishError, PublishErrorKind},
        message::PublishMessage,
        stream::{Config, DiscardPolicy, LastRawMessageErrorKind, Stream},
    },
};
use tiffin_eventstore::{Cursor, EventStore, ReadError, RecordedEvent, StreamName};
use uuid::Uuid;

use crate::{
    bus::Bus,
    ensure::{self, EnsureError},
    message::{self, Headers, Message},
    spec::StreamSpec,
};

/// Header: how many messages there are under the name up to this one, a decimal number.
pub const NUMBER: &str = "tiffin-number";
/// The first token of the subjects.
const PREFIX: &str = "again";
/// What a first message's expected sequence is about; the client has no name for it.
const EXPECTED_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence-Subject";

/// Why nothing was published. All but [`Gone`](Self::Gone) may be asked for again.
#[derive(Debug, thiserror::Error)]
pub enum RepublishError {
    /// There is no usable server just now.
    #[error("not connected to NATS")]
    Disconnected,
    /// Somebody else publishes under the same name.
    #[error("somebody else publishes under the same name")]
    Contended,
    /// Somebody has deleted what was published under the name, perhaps before its reader had it.
    #[error("of {expected} messages that were published under the name only {left} are left")]
    Gone {
        /// How many there were.
        expected: u64,
        /// How many there are.
        left: u64,
    },
    /// The stream holds as much as it may.
    #[error("the stream {0} is full")]
    Full(&'static str),
    /// The log does not hold the event after which to go on.
    #[error("the log does not hold the event after which to go on")]
    UnknownCursor,
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// JetStream refuses, or does not answer.
    #[error("the stream cannot be used: {0}")]
    Stream(#[source] async_nats::Error),
}

/// How far a republishing has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Republished {
    /// Everything up to here is in the stream.
    pub cursor: Cursor,
    /// So many messages are in the stream under the name.
    pub messages: u64,
}

type Map = Arc<dyn Fn(&RecordedEvent) -> Option<Message> + Send + Sync>;

/// Publishes the log's events once more.
#[derive(Clone)]
pub struct Republisher {
    bus: Bus,
    store: EventStore,
    stream: StreamSpec,
    map: Map,
}

/// The last message under a name.
struct Last {
    sequence: u64,
    event: Option<Cursor>,
    number: u64,
}

impl Republisher {
    /// One that publishes what `map` makes of an event into `stream`, whose subjects begin with `again.*.`: a message to
    /// `order.created.7` goes to `again.<name>.order.created.7`. Unlike others, this stream refuses what it has no room
    /// for, and may be purged.
    pub fn new(
        bus: &Bus,
        store: EventStore,
        stream: StreamSpec,
        map: impl Fn(&RecordedEvent) -> Option<Message> + Send + Sync + 'static,
    ) -> Republisher {
        Republisher {
            bus: bus.clone(),
            store,
            stream,
            map: Arc::new(map),
        }
    }

    /// The subjects of what is published under a name, which is a token of letters, digits, `-` and `_`.
    pub fn subjects(name: &str) -> String {
        format!("{PREFIX}.{name}.>")
    }

    /// How many messages there are under a name; makes the stream if it is not there.
    ///
    /// # Errors
    /// NATS is away, or refuses.
    pub async fn count(&self, name: &str) -> Result<u64, RepublishError> {
        let last = self.last(name).await?;
        Ok(last.map_or(0, |last| last.number))
    }

    /// Publishes what comes next after `after`, or after the last message under the name if that is later; of one stream
    /// of the log alone if `only` names it. `expected`: how many messages there were before under the name.
    ///
    /// # Errors
    /// See [`RepublishError`]: nothing, or everything, of this page was published.
    pub async fn page(
        &self,
        name: &str,
        after: Cursor,
        only: Option<&StreamName>,
        expected: u64,
    ) -> Result<Republished, RepublishError> {
        let last = self.last(name).await?;
        let (sequence, number) = last.as_ref().map_or((0, 0), |last| (last.sequence, last.number));
        if number < expected {
            let left = number;
            return Err(RepublishError::Gone { expected, left });
        }
        let published = last.and_then(|last| last.event);
        let after = published
            .filter(|event| event.position > after.position)
            .unwrap_or(after);
        if !self.store.holds(after).await? {
            return Err(RepublishError::UnknownCursor);
        }
        let page = match only {
            None => self.next(after).await?,
            Some(stream) => self.next_of(stream, after).await?,
        };
        let (cursor, count) = (page.cursor, page.messages.len() as u64);
        if count > 0 {
            self.publish(name, sequence, number, page.messages).await?;
        }
        Ok(Republished {
            cursor,
            messages: number + count,
        })
    }

    async fn last(&self, name: &str) -> Result<Option<Last>, RepublishError> {
        use LastRawMessageErrorKind as Kind;
        let stream = self.ensured().await?;
        match stream
            .get_last_raw_message_by_subject(&Self::subjects(name))
            .await
        {
            Ok(message) => {
                let headers = Headers::from(message.headers);
                let number = headers.get(NUMBER).and_then(|number| number.parse().ok());
                Ok(Some(Last {
                    sequence: message.sequence,
                    event: headers.event(),
                    number: number.unwrap_or(0),
                }))
            }
            Err(error) => match error.kind() {
                Kind::NoMessageFound => Ok(None),
                Kind::JetStream(inner) if inner.error_code() == ErrorCode::NO_MESSAGE_FOUND => Ok(None),
                _ => Err(RepublishError::Stream(error.into())),
            },
        }
    }

    /// The stream, made when it is first wanted, and brought up to date.
    async fn ensured(&self) -> Result<Stream, RepublishError> {
        let connection = self.bus.publishing();
        if !connection.state.borrow().is_connected() {
            return Err(RepublishError::Disconnected);
        }
        let config = Config {
            discard: DiscardPolicy::New,
            deny_delete: false,
            deny_purge: false,
            allow_atomic_publish: true,
            allow_batch_publish: false,
            ..self.stream.config()
        };
        Ok(ensure::configured(&connection.jetstream, &self.stream, config).await?)
    }

    /// Publishes all messages or none, directly after `sequence` among those of the name.
    async fn publish(
        &self,
        name: &str,
        sequence: u64,
        number: u64,
        messages: Vec<(Message, Cursor)>,
    ) -> Result<(), RepublishError> {
        let connection = self.bus.publishing();
        let batch = Uuid::now_v7().simple().to_string();
        let count = messages.len();
        for (place, (message, event)) in (1_u64..).zip(messages) {
            let mut headers = message::stamped(message.headers, event);
            headers.insert(NUMBER, (number + place).to_string());
            headers.insert(header::NATS_BATCH_ID, batch.as_str());
            headers.insert(header::NATS_BATCH_SEQUENCE, place.to_string());
            if place == 1 {
                expect(&mut headers, self.stream.name, name, sequence);
            }
            let subject = format!("{PREFIX}.{name}.{}", message.subject);
            if place < count as u64 {
                let sent = connection
                    .client
                    .publish_with_headers(subject, headers, message.payload);
                sent.await.map_err(|error| RepublishError::Stream(error.into()))?;
            } else {
                headers.insert(header::NATS_BATCH_COMMIT, header::NATS_BATCH_COMMIT_FINAL);
                let last = PublishMessage::build().headers(headers).payload(message.payload);
                let ack = connection.jetstream.send_publish(subject, last).await;
                let stored = async { ack?.await }.await;
                stored.map_err(|error| self.refused(error))?;
            }
        }
        Ok(())
    }

    fn refused(&self, error: PublishError) -> RepublishError {
        let code = error
            .source()
            .and_then(|source| source.downcast_ref::<jetstream::Error>())
            .map(jetstream::Error::error_code);
        match error.kind() {
            PublishErrorKind::WrongLastSequence => RepublishError::Contended,
            PublishErrorKind::BrokenPipe => RepublishError::Disconnected,
            _ if code == Some(ErrorCode::STREAM_STORE_FAILED) => RepublishError::Full(self.stream.name),
            _ => RepublishError::Stream(error.into()),
        }
    }
}

/// The last message under the name is the one at `sequence`, or there is none (0).
fn expect(headers: &mut HeaderMap, stream: &str, name: &str, sequence: u64) {
    headers.insert(header::NATS_EXPECTED_STREAM, stream);
    headers.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, sequence.to_string());
    headers.insert(EXPECTED_SUBJECT, Republisher::subjects(name));
}

impl From<EnsureError> for RepublishError {
    fn from(error: EnsureError) -> RepublishError {
        RepublishError::Stream(error.into())
    }
}
