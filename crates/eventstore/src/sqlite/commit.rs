//! Writing a group: one autocommitted, multi-row INSERT.

use std::path::Path;

use sqlx::SqliteConnection;
use time::OffsetDateTime;

use super::{
    connect::{Durability, connect, writing},
    insert::Inserts,
};
use crate::{
    Cursor, Fault, NewEvent, Position,
    backend::{Committed, Fate, Group},
    event::from_micros,
};

/// How many pages may gather in the WAL before they are moved into the database.
const CHECKPOINT_PAGES: usize = 1_000;
const PAGE: usize = 4_096;
/// The pages that every group touches: the last leaf of the table and of each index, and what leads to them.
const GROUP_PAGES: usize = 6;
/// What a row has beside its payload, in the table and in the indexes.
const ROW: usize = 128;

/// The one connection that writes, and what it knows about the log's end.
pub(super) struct Writer {
    connection: SqliteConnection,
    inserts: Inserts,
    last: Position,
    created_at: OffsetDateTime,
    pages: usize,
    /// Whether the log was found not to end there.
    outdated: bool,
}

impl Writer {
    pub(super) async fn connect(file: &Path) -> Result<Self, Fault> {
        let mut connection = connect(&writing(file, Durability::Full)).await?;
        let last: Option<(i64, i64)> =
            sqlx::query_as("SELECT position, created_at FROM events ORDER BY position DESC LIMIT 1")
                .fetch_optional(&mut connection)
                .await?;
        let (last, created_at) = last.unwrap_or_default();
        // What an earlier process left in the WAL is unknown, so it is moved at the first occasion.
        let pages = CHECKPOINT_PAGES;
        Ok(Self {
            connection,
            inserts: Inserts::default(),
            last: Position::from_sql(last),
            created_at: from_micros(created_at),
            pages,
            outdated: false,
        })
    }

    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// Whether it has a wrong idea of the log's end: another one is to be connected, which reads it.
    pub(super) fn is_outdated(&self) -> bool {
        self.outdated
    }

    pub(super) fn into_connection(self) -> SqliteConnection {
        self.connection
    }

    pub(super) async fn commit(&mut self, group: &Group<'_>) -> Result<Committed, Fault> {
        let before = self.last;
        let created_at = self.created_at.max(crate::clock::machine());
        let rows: usize = group.entries.iter().map(|entry| entry.events.len()).sum();
        let (insert, numbers) = self.inserts.of(group, before, created_at);
        match insert.execute(&mut self.connection).await {
            Ok(done) if done.rows_affected() == 0 => {
                self.outdated = true;
                if self.holds(group.cursor).await? {
                    // Somebody has written since: this very group, before a fault, or whoever put another log here.
                    Ok(all_lost(group))
                } else {
                    Ok(Committed::Replaced)
                }
            }
            Ok(_) => {
                let payload = |event: &NewEvent| event.data.len() + event.metadata.len();
                let bytes: usize = group
                    .entries
                    .iter()
                    .flat_map(|entry| entry.events)
                    .map(payload)
                    .sum();
                self.pages += GROUP_PAGES + (bytes + rows * ROW) / PAGE;
                self.last = Position(before.0 + rows as u64);
                self.created_at = created_at;
                let fates = numbers
                    .into_iter()
                    .map(|stream_no| Fate::Written { stream_no })
                    .collect();
                Ok(Committed::Written {
                    before,
                    created_at,
                    fates,
                })
            }
            // The log ends where it was believed to, and a place in a stream is taken: a new stream is none, or this very
            // group was written before a fault, and the connection was made since.
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(all_lost(group)),
            Err(error) => Err(error.into()),
        }
    }

    async fn holds(&mut self, cursor: Cursor) -> Result<bool, Fault> {
        let holds = sqlx::query_scalar(
            "SELECT $1 = 0 OR EXISTS (SELECT 1 FROM events WHERE position = $1 AND event_id = $2)",
        );
        let holds = holds.bind(cursor.position.to_sql()).bind(cursor.event_id);
        Ok(holds.fetch_one(&mut self.connection).await?)
    }

    /// Whether so much has gathered in the WAL that it is to be moved.
    pub(super) fn is_checkpoint_due(&self) -> bool {
        self.pages >= CHECKPOINT_PAGES
    }

    /// Moves the WAL into the database once enough has gathered: often and little at a time, between two groups.
    pub(super) async fn checkpoint_if_due(&mut self) {
        if !self.is_checkpoint_due() {
            return;
        }
        self.pages = 0;
        let checkpoint = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)")
            .fetch_all(&mut self.connection)
            .await;
        if let Err(error) = checkpoint {
            tracing::warn!(%error, "the log's WAL was not moved into the database");
        }
    }
}

/// Nothing was written, and each append is to be judged by what is there.
fn all_lost(group: &Group<'_>) -> Committed {
    Committed::Written {
        before: group.cursor.position,
        created_at: OffsetDateTime::UNIX_EPOCH,
        fates: vec![Fate::Lost; group.entries.len()],
    }
}
