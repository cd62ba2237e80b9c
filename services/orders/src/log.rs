//! The log as operators read it: a page at a time, which may wait for news; without what may be personal.

use std::{sync::Arc, time::Duration};

use prost::Message;
use tiffin_eventstore::{Cursor, Direction, EventStore, ReadError, RecordedEvent, Revision, SubscribeError};
use tiffin_order::OrderId;
use tiffin_platform::error;
use tiffin_proto::{timestamp, v1};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio_util::sync::CancellationToken;

/// The most events of a page.
const EVENTS: usize = 500;
/// The most bytes of a page, but for its last event: also as JSON far below what NATS carries.
const BYTES: usize = 128 * 1024;
/// The longest wait for news.
const WAIT: Duration = Duration::from_secs(2);

/// The reader's clock may be so far ahead of the database's.
const AHEAD: Duration = Duration::from_mins(1);

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// `after` is not one of the three.
    #[error("after: neither a cursor nor a time")]
    NoPlace,
    /// `after` is a time at which nothing can have been written.
    #[error("after: this time is yet to come")]
    YetToCome,
    /// The cursor is of another log.
    #[error("the log does not hold the event of this cursor")]
    UnknownCursor,
    /// The log cannot be read now.
    #[error("the log cannot be read: {0}")]
    Unavailable(String),
}

/// Reads the log until the process stops.
#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) store: EventStore,
    pub(crate) stop: CancellationToken,
}

impl Log {
    /// The events after a place, of one order if it is given; waits for some if there are none.
    pub(crate) async fn read(
        &self,
        after: &str,
        order: Option<OrderId>,
        limit: u32,
        wait: Duration,
    ) -> Result<v1::Events, LogError> {
        let mut page = Page::new(self.place(after).await?, order, limit);
        self.add_past(&mut page).await?;
        if page.events.is_empty() {
            let news = tokio::time::timeout(wait.min(WAIT), self.add_news(&mut page));
            if let Some(Ok(ended)) = self.stop.run_until_cancelled(news).await {
                ended?;
            }
        }
        Ok(v1::Events {
            events: page.events,
            cursor: page.cursor.to_string(),
        })
    }

    /// The place that a text names.
    pub(crate) async fn place(&self, after: &str) -> Result<Cursor, LogError> {
        match after {
            "" => Ok(self.store.head().await?),
            "start" => Ok(Cursor::START),
            text => {
                if let Ok(cursor) = text.parse() {
                    let held = self.store.holds(cursor).await?;
                    return held.then_some(cursor).ok_or(LogError::UnknownCursor);
                }
                let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| LogError::NoPlace)?;
                if time > self.store.now() + AHEAD {
                    return Err(LogError::YetToCome);
                }
                Ok(self.store.before(time).await?)
            }
        }
    }

    /// Adds what is in the log already; an order's stream is read instead of everything.
    async fn add_past(&self, page: &mut Page) -> Result<(), LogError> {
        let Some(order) = page.order else {
            page.add(&self.store.read_after(page.cursor, page.limit).await?);
            return Ok(());
        };
        let head = self.store.head().await?;
        let stream = order.stream().into();
        let events = self
            .store
            .read_stream(&stream, Revision::FIRST, Direction::Forwards, usize::MAX)
            .await?;
        let later = events.partition_point(|event| event.position <= page.cursor.position);
        page.add(&events[later..]);
        if page.events.is_empty() && head.position > page.cursor.position {
            page.cursor = head;
        }
        Ok(())
    }

    async fn add_news(&self, page: &mut Page) -> Result<(), LogError> {
        let mut news = self.store.subscribe(page.cursor);
        while page.events.is_empty() {
            page.add(&news.next().await?);
        }
        Ok(())
    }
}

impl From<ReadError> for LogError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::LogReplaced => Self::UnknownCursor,
            ReadError::Unavailable(fault) => Self::Unavailable(fault.to_string()),
        }
    }
}

impl From<SubscribeError> for LogError {
    fn from(error: SubscribeError) -> Self {
        match error {
            SubscribeError::LogReplaced => Self::UnknownCursor,
            SubscribeError::Closed => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<LogError> for v1::Error {
    fn from(problem: LogError) -> Self {
        match problem {
            LogError::NoPlace => error(
                "BAD_USER_INPUT",
                &problem,
                "Use a cursor that was answered before, `start`, or a time such as 2026-01-31T18:30:00Z.",
            ),
            LogError::YetToCome => error(
                "BAD_USER_INPUT",
                &problem,
                "Name a time that has passed, or none: then the next event is the first.",
            ),
            LogError::UnknownCursor => error(
                "BAD_USER_INPUT",
                &problem,
                "The log was restored, or is another one: begin anew, with a time or with `start`.",
            ),
            LogError::Unavailable(_) => {
                tracing::debug!(error = %problem, "a request could not be answered");
                error(
                    "UNAVAILABLE",
                    "the log cannot be reached at the moment",
                    "Send the same request again in a moment.",
                )
            }
        }
    }
}

/// What is to be answered, and how far it reaches.
struct Page {
    cursor: Cursor,
    order: Option<OrderId>,
    limit: usize,
    events: Vec<v1::LoggedEvent>,
    bytes: usize,
}

impl Page {
    fn new(cursor: Cursor, order: Option<OrderId>, limit: u32) -> Self {
        let limit = usize::try_from(limit).unwrap_or(EVENTS);
        Self {
            cursor,
            order,
            limit: if limit == 0 { EVENTS } else { limit.min(EVENTS) },
            events: Vec::new(),
            bytes: 0,
        }
    }

    /// Takes events that follow on the cursor while there is room.
    fn add(&mut self, events: &[Arc<RecordedEvent>]) {
        for event in events {
            if self.events.len() >= self.limit || self.bytes >= BYTES {
                return;
            }
            self.cursor = event.cursor();
            let order = OrderId::from_stream(event.stream.as_str());
            if self.order.is_none() || self.order == order {
                let logged = logged(event, order);
                self.bytes += logged.encoded_len();
                self.events.push(logged);
            }
        }
    }
}

/// What is known of an event whatever its type.
fn logged(event: &RecordedEvent, order: Option<OrderId>) -> v1::LoggedEvent {
    let metadata = v1::EventMetadata::decode(event.metadata.clone()).unwrap_or_default();
    let envelope = metadata.envelope.unwrap_or_default();
    v1::LoggedEvent {
        position: event.position.0,
        cursor: event.cursor().to_string(),
        recorded_at: Some(timestamp(event.created_at)),
        id: event.id.to_string(),
        kind: event.kind.to_string(),
        stream: event.stream.to_string(),
        order: order.map(|order| order.to_string()).unwrap_or_default(),
        version: envelope.version,
        status: envelope.status,
        reason: envelope.reason,
        actor: metadata.actor,
    }
}
