//! What can go wrong, by who has to act on it.

use std::path::PathBuf;

use uuid::Uuid;

use crate::{Expected, Fault, Revision, StreamName};

/// Why an append was not written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// The stream is not where the appender believed it to be: read it again and decide again.
    #[error("stream {stream}: {expected} was expected, its last revision is {}", revision(*.actual))]
    Conflict {
        /// The stream.
        stream: StreamName,
        /// What was believed.
        expected: Expected,
        /// The revision of its last event; `None` if it has none.
        actual: Option<Revision>,
    },
    /// An event with this id stands in that place already, with other content: an error of the caller.
    #[error("stream {stream}: event id {event_id} was used before for another event")]
    IdReused {
        /// The stream.
        stream: StreamName,
        /// The id.
        event_id: Uuid,
    },
    /// The log is no longer the one that this process knew: drop what was derived from it and read again.
    #[error("the log was replaced by another one")]
    LogReplaced,
    /// More than 512 events or 1 MiB.
    #[error("an append of {events} events and {bytes} bytes is too large")]
    TooLarge {
        /// How many events.
        events: usize,
        /// How many bytes.
        bytes: usize,
    },
    /// No event.
    #[error("an append without events")]
    Empty,
    /// The store was closed; what had been handed to the database by then may have been written.
    #[error("the event store is closed")]
    Closed,
    /// The database refused the statement (disk full, rights): nothing was written.
    #[error("the database refuses to write: {0}")]
    Unavailable(Fault),
}

fn revision(actual: Option<Revision>) -> String {
    actual.map_or_else(|| "absent".to_owned(), |actual| actual.to_string())
}

/// Why nothing could be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// The log does not hold the cursor: it was replaced by another one.
    #[error("the log was replaced by another one")]
    LogReplaced,
    /// The database gave no answer, or none in time.
    #[error("the database cannot be read: {0}")]
    Unavailable(Fault),
}

impl ReadError {
    /// Whether it is a fault that passes, of which the store has told already.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Unavailable(fault) if fault.passes())
    }
}

impl From<Fault> for ReadError {
    fn from(fault: Fault) -> Self {
        Self::Unavailable(fault)
    }
}

impl From<sqlx::Error> for ReadError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Why a subscription ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// The log does not hold the subscription's cursor: start again from the beginning.
    #[error("the log was replaced by another one")]
    LogReplaced,
    /// The store was closed.
    #[error("the event store is closed")]
    Closed,
}

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No answer, or one that makes no sense.
    #[error("the database cannot be opened: {0}")]
    Database(Fault),
    /// Another process uses the data folder.
    #[error("another process uses the data folder {}: stop it, or choose another folder", .0.display())]
    InUse(PathBuf),
    /// The data folder cannot be used.
    #[error("the data folder {} cannot be used", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The tables are older than this program.
    #[error("schema {schema} is at version {found}, {needed} is needed: run `tiffin migrate` first")]
    Schema {
        /// Whose tables.
        schema: &'static str,
        /// The version found; 0 if there are no tables.
        found: u32,
        /// The version needed.
        needed: u32,
    },
    /// The database would acknowledge what it may lose.
    #[error(
        "the database runs with {setting} = {value}, so it could lose what it acknowledged; set it to {wanted}"
    )]
    Unsafe {
        /// The setting.
        setting: &'static str,
        /// Its value.
        value: String,
        /// What it has to be.
        wanted: &'static str,
    },
}

impl From<Fault> for OpenError {
    fn from(fault: Fault) -> Self {
        Self::Database(fault)
    }
}

impl From<sqlx::Error> for OpenError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Why the tables could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A statement failed; the schema stays at the version before it.
    #[error("schema {schema}: the step to version {version} failed: {fault}")]
    Step {
        /// Whose tables.
        schema: &'static str,
        /// The version that was not reached.
        version: u32,
        /// Why.
        fault: Fault,
    },
    /// No answer, or one that makes no sense.
    #[error("the database cannot be migrated: {0}")]
    Database(Fault),
    /// The data folder cannot be used.
    #[error("the data folder {} cannot be used", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl From<Fault> for MigrateError {
    fn from(fault: Fault) -> Self {
        Self::Database(fault)
    }
}

impl From<sqlx::Error> for MigrateError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl MigrateError {
    /// What whoever runs the program may do about it, if that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Step { fault, .. } | Self::Database(fault) => fault.hint(),
            Self::Folder { .. } => None,
        }
    }
}

/// Why a derived table was not changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DerivedError {
    /// The checkpoint is not where this follower left it: another one has taken over. Roll back and stop.
    #[error("checkpoint {0} was moved by another follower")]
    Fenced(String),
    /// The database gave no answer, or none in time.
    #[error("the database of derived tables does not answer: {0}")]
    Unavailable(Fault),
}

impl DerivedError {
    /// Whether it is a fault that passes, of which the store has told already.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Unavailable(fault) if fault.passes())
    }
}

impl From<Fault> for DerivedError {
    fn from(fault: Fault) -> Self {
        Self::Unavailable(fault)
    }
}

impl From<sqlx::Error> for DerivedError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(error.into())
    }
}
