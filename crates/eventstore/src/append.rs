//! What is asked of the log and what it answers.

use std::{collections::HashSet, fmt, sync::Arc};

use crate::{AppendError, NewEvent, RecordedEvent, Revision, StreamName};

/// The most events of one append, and of one group.
pub(crate) const MAX_EVENTS: usize = 512;
/// The most bytes of one append.
pub(crate) const MAX_APPEND_BYTES: usize = 1024 * 1024;

/// What the appender believes about the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Nothing. A repeated append is recognised only while its events are still the stream's last.
    Any,
    /// That it has no event.
    NoStream,
    /// That it has an event. Repetitions are recognised as with `Any`.
    StreamExists,
    /// That its last event has this revision.
    Exact(Revision),
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("anything"),
            Self::NoStream => f.write_str("no stream"),
            Self::StreamExists => f.write_str("a stream"),
            Self::Exact(revision) => write!(f, "revision {revision}"),
        }
    }
}

/// Which appends a writer takes first when more are waiting than fit into a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Continues work that is under way; goes first.
    Continue,
    /// Starts new work.
    Start,
}

/// Events to be written to one stream, all or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The stream.
    pub stream: StreamName,
    /// What the appender believes about it.
    pub expected: Expected,
    /// 1 to 512 events of at most 1 MiB in all.
    pub events: Vec<NewEvent>,
    /// Whether it goes first.
    pub urgency: Urgency,
}

impl Append {
    pub(crate) fn bytes(&self) -> usize {
        self.events
            .iter()
            .map(|event| size_of::<NewEvent>() + event.data.len() + event.metadata.len())
            .sum()
    }

    pub(crate) fn validate(&self) -> Result<(), AppendError> {
        let (events, bytes) = (self.events.len(), self.bytes());
        if events == 0 {
            return Err(AppendError::Empty);
        }
        if events > MAX_EVENTS || bytes > MAX_APPEND_BYTES {
            return Err(AppendError::TooLarge { events, bytes });
        }
        let mut seen = HashSet::with_capacity(events);
        match self.events.iter().find(|event| !seen.insert(event.id)) {
            Some(twice) => Err(AppendError::IdReused {
                stream: self.stream.clone(),
                event_id: twice.id,
            }),
            None => Ok(()),
        }
    }
}

/// An append that is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Its events as they were recorded.
    pub events: Vec<Arc<RecordedEvent>>,
    /// True where an earlier success was recognised by its event ids and nothing was written now.
    pub replayed: bool,
}
