//! Messages and the two headers by which a stream's messages are known as events of the log.

use async_nats::{HeaderMap, HeaderName, header::NATS_EXPECTED_LAST_SEQUENCE};
use bytes::Bytes;
use tiffin_eventstore::{Cursor, Position};
use tiffin_trace::{Span, TraceParent};
use uuid::Uuid;

/// Header: the id of the event that the message carries (CloudEvents' `id`).
pub const EVENT_ID: &str = "ce-id";
/// Header: the event's position in the log, a decimal number.
pub const POSITION: &str = "tiffin-position";
/// Header: what the message belongs to, in W3C form; only where that is sampled.
pub const TRACE: &str = "traceparent";

/// What a relay publishes for an event; it adds [`EVENT_ID`] and [`POSITION`] itself.
#[derive(Clone, Debug)]
pub struct Message {
    /// Where it is published: one of the stream's subjects.
    pub subject: String,
    /// Its headers.
    pub headers: Vec<(&'static str, String)>,
    /// Its payload.
    pub payload: Bytes,
    /// The publication, which ends when the message is acknowledged.
    pub span: Span,
}

/// The headers of a message received.
#[derive(Clone, Debug, Default)]
pub struct Headers(HeaderMap);

impl Headers {
    /// The first value of the header `name`.
    pub fn get(&self, name: &'static str) -> Option<&str> {
        self.0
            .get(HeaderName::from_static(name))
            .map(async_nats::HeaderValue::as_str)
    }

    /// What the message belongs to, if that is sampled.
    pub fn trace(&self) -> Option<TraceParent> {
        let trace: TraceParent = self.get(TRACE)?.parse().ok()?;
        trace.sampled().then_some(trace)
    }

    /// The event that the message carries, if a relay published it.
    pub fn event(&self) -> Option<Cursor> {
        let position = self.get(POSITION)?.parse().ok().map(Position)?;
        let event_id = Uuid::try_parse(self.get(EVENT_ID)?).ok()?;
        Some(Cursor { position, event_id })
    }
}

impl From<Option<HeaderMap>> for Headers {
    fn from(headers: Option<HeaderMap>) -> Headers {
        Headers(headers.unwrap_or_default())
    }
}

impl From<HeaderMap> for Headers {
    fn from(headers: HeaderMap) -> Headers {
        Headers(headers)
    }
}

/// The headers of a message as the event at `event`.
pub(crate) fn stamped(said: Vec<(&'static str, String)>, event: Cursor) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(HeaderName::from_static(EVENT_ID), event.event_id.to_string());
    headers.insert(HeaderName::from_static(POSITION), event.position.0.to_string());
    for (name, value) in said {
        headers.insert(HeaderName::from_static(name), value);
    }
    headers
}

/// The headers with which a message is published as the event at `event`, directly after `last_sequence`. That it
/// was stored in another stream is found by its acknowledgement.
pub(crate) fn published(said: Vec<(&'static str, String)>, event: Cursor, last_sequence: u64) -> HeaderMap {
    let mut headers = stamped(said, event);
    headers.insert(NATS_EXPECTED_LAST_SEQUENCE, last_sequence.to_string());
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_message_names_its_event() {
        let event = Cursor {
            position: Position(7),
            event_id: Uuid::from_u128(9),
        };
        let said = vec![("ce-type", "order.created".to_owned())];
        let headers = Headers(published(said, event, 41));
        assert_eq!(headers.event(), Some(event));
        assert_eq!(headers.get("ce-type"), Some("order.created"));
        assert_eq!(headers.get("Nats-Expected-Last-Sequence"), Some("41"));
    }

    #[test]
    fn a_message_without_a_sound_stamp_names_no_event() {
        for (position, id) in [("x", "00000000-0000-0000-0000-000000000009"), ("7", "nine")] {
            let mut headers = HeaderMap::new();
            headers.insert(POSITION, position);
            headers.insert(EVENT_ID, id);
            assert_eq!(Headers(headers).event(), None);
        }
        assert_eq!(Headers::default().event(), None);
    }
}
