//! The small trait behind which the two databases are.

use std::sync::Arc;

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{
    Cursor, Direction, Fault, NewEvent, Position, RecordedEvent, Replication, Revision, StreamName,
    pools::Pool,
};

/// A database that holds a log. Every method may be called again after a fault.
#[async_trait]
pub(crate) trait Backend: Send + Sync {
    /// Writes a group in one statement, on the writer's connection. After a passing fault it is unknown whether the
    /// group was written; the same group may be handed in again, and what was written is then lost, not doubled.
    async fn commit(&self, group: &Group<'_>) -> Result<Committed, Fault>;

    /// Looks at streams in one statement, on the writer's connection; one answer for each look.
    async fn look(&self, looks: &[Look<'_>]) -> Result<Vec<Vec<Arc<RecordedEvent>>>, Fault>;

    /// What the writer has to do between groups.
    async fn tidy(&self) {}

    /// Reads events, on a reader's connection.
    async fn read(&self, read: Read<'_>) -> Result<Vec<Arc<RecordedEvent>>, Fault>;

    /// Reads the database's clock.
    async fn now(&self) -> Result<OffsetDateTime, Fault>;

    /// Asks how the database's standbys follow it.
    async fn replication(&self) -> Result<Replication, Fault> {
        Ok(Replication::None)
    }

    /// The connections that read.
    fn readers(&self) -> Option<Pool> {
        None
    }

    /// Closes the connections.
    async fn close(&self);
}

/// Appends that are written together; each to a stream of its own.
pub(crate) struct Group<'a> {
    /// The last event of the log that the writer knows.
    pub(crate) cursor: Cursor,
    pub(crate) entries: Vec<Entry<'a>>,
}

/// One append of a group.
pub(crate) struct Entry<'a> {
    pub(crate) stream: &'a StreamName,
    /// The revision of the append's first event; it is written only if this is the stream's next one.
    pub(crate) first: Revision,
    /// The number of a stream that exists, where it is known.
    pub(crate) stream_no: Option<Position>,
    pub(crate) events: &'a [NewEvent],
}

/// What became of a group.
#[derive(Debug)]
pub(crate) enum Committed {
    /// Its appends were written one after the other, those apart that were lost.
    Written {
        before: Position,
        created_at: OffsetDateTime,
        fates: Vec<Fate>,
    },
    /// Nothing was written: the log does not hold the writer's cursor.
    Replaced,
}

/// What became of one append of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Written { stream_no: Position },
    Lost,
}

/// A look at a stream: `count` events from revision `from` on, and the `last` newest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look<'a> {
    pub(crate) stream: &'a StreamName,
    pub(crate) from: Revision,
    pub(crate) count: usize,
    pub(crate) last: usize,
}

/// A read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Read<'a> {
    /// The log on the far side of a position, which itself is left out.
    All {
        after: Position,
        direction: Direction,
        limit: usize,
    },
    /// A stream from a revision on.
    Stream {
        name: &'a StreamName,
        from: Revision,
        direction: Direction,
        limit: usize,
    },
    /// Whole streams, one after the other.
    Streams { names: &'a [StreamName] },
}

/// Sorts rows into one answer for each look. They come in the order of looks and revisions; what is in a look's place
/// and at its stream's end comes twice.
pub(crate) fn by_look(
    count: usize,
    rows: impl IntoIterator<Item = (i64, Arc<RecordedEvent>)>,
) -> Vec<Vec<Arc<RecordedEvent>>> {
    let mut answers = vec![Vec::<Arc<RecordedEvent>>::new(); count];
    for (n, event) in rows {
        if let Some(answer) = usize::try_from(n).ok().and_then(|n| answers.get_mut(n))
            && answer.last().is_none_or(|last| last.revision < event.revision)
        {
            answer.push(event);
        }
    }
    answers
}
