//! Events, and where they stand: in their stream and in the log.

use std::{borrow::Borrow, fmt, sync::Arc};

use bytes::Bytes;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Cursor;

/// An event's place in the log: from 1, without gaps, in the order of commits. 0 is before the first event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub u64);

/// An event's place in its stream: from 0, without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

impl Position {
    /// Before the first event.
    pub const START: Self = Self(0);
    /// After the last event: where reading everything backwards begins.
    pub const END: Self = Self(i64::MAX.unsigned_abs());

    /// As a column has it; nothing is after [`END`](Self::END).
    pub fn to_sql(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// From a column; nothing is before [`START`](Self::START).
    pub fn from_sql(value: i64) -> Self {
        Self(u64::try_from(value).unwrap_or_default())
    }
}

impl Revision {
    /// A stream's first event, where reading it forwards begins.
    pub const FIRST: Self = Self(0);
    /// After any event: where reading a stream backwards begins.
    pub const END: Self = Self(i64::MAX.unsigned_abs());

    /// The revision after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    pub(crate) fn to_sql(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    pub(crate) fn from_sql(value: i64) -> Self {
        Self(u64::try_from(value).unwrap_or_default())
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The direction of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Oldest first.
    Forwards,
    /// Newest first.
    Backwards,
}

/// A stream's name, cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName(Arc<str>);

impl StreamName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: Into<Arc<str>>> From<T> for StreamName {
    fn from(name: T) -> Self {
        Self(name.into())
    }
}

impl Borrow<str> for StreamName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An event that is not in the log yet. Its id is drawn once per decision and kept over every repetition of the append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The event's identity, by which a repeated append is recognised.
    pub id: Uuid,
    /// The event's type.
    pub kind: Arc<str>,
    /// What happened.
    pub data: Bytes,
    /// What is to be known about the event without reading it.
    pub metadata: Bytes,
}

/// An event of the log; it never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Its place in the log.
    pub position: Position,
    /// Its stream.
    pub stream: StreamName,
    /// The position of its stream's first event, which is that stream's number.
    pub stream_no: Position,
    /// Its place in its stream.
    pub revision: Revision,
    /// Its identity.
    pub id: Uuid,
    /// Its type.
    pub kind: Arc<str>,
    /// What happened.
    pub data: Bytes,
    /// What is to be known about it without reading it.
    pub metadata: Bytes,
    /// When it was written, by the database's clock (UTC, whole microseconds); it never falls along the log.
    pub created_at: OffsetDateTime,
}

impl RecordedEvent {
    /// The cursor of a reader that has seen everything up to and including this event.
    pub fn cursor(&self) -> Cursor {
        Cursor {
            position: self.position,
            event_id: self.id,
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.data.len() + self.metadata.len()
    }
}

/// Whole microseconds since 1970, as columns have them, as a time; what no calendar holds becomes 1970.
pub fn from_micros(micros: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// A time as whole microseconds since 1970, as columns have it, the earlier where there is a fraction.
pub fn to_micros(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos().div_euclid(1_000)).unwrap_or(i64::MAX)
}
