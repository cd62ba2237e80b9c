//! Writing a group: one autocommitted, multi-row INSERT.

use std::path::Path;

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use time::OffsetDateTime;

use super::connect::{Durability, connect, writing};
use crate::{
    Cursor, Fault, NewEvent, Position,
    append::MAX_EVENTS,
    backend::{Committed, Fate, Group},
    event::{from_micros, to_micros},
};

const COLUMNS: usize = 9;
/// SQLite's limit of bound values in one statement; four belong to the condition.
const _: () = assert!(MAX_EVENTS * COLUMNS + 4 <= 32_766);

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
    last: Position,
    created_at: OffsetDateTime,
    pages: usize,
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
            last: Position::from_sql(last),
            created_at: from_micros(created_at),
            pages,
        })
    }

    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    pub(super) fn into_connection(self) -> SqliteConnection {
        self.connection
    }

    pub(super) async fn commit(&mut self, group: &Group<'_>) -> Result<Committed, Fault> {
        let before = self.last;
        let created_at = self.created_at.max(crate::clock::machine());
        let (mut insert, numbers) = statement(group, before, created_at);
        // Texts of large groups are seldom the same, so only small ones are worth being kept prepared.
        let rows: usize = group.entries.iter().map(|entry| entry.events.len()).sum();
        let done = insert
            .build()
            .persistent(rows <= 16)
            .execute(&mut self.connection)
            .await;
        match done {
            Ok(done) if done.rows_affected() == 0 && !self.holds(group.cursor).await? => {
                Ok(Committed::Replaced)
            }
            // Somebody has written since: this very group, before a fault, or whoever put another log here.
            Ok(done) if done.rows_affected() == 0 => Ok(all_lost(group)),
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
            // The same, seen from a connection that was made since: a place in a stream is taken.
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

    /// Moves the WAL into the database once enough has gathered: often and little at a time, while nobody waits.
    pub(super) async fn checkpoint_if_due(&mut self) {
        if self.pages < CHECKPOINT_PAGES {
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

/// The INSERT, which writes nothing if the log does not end at `before` or does not hold the writer's cursor, and the
/// streams' numbers.
fn statement(
    group: &Group<'_>,
    before: Position,
    created_at: OffsetDateTime,
) -> (QueryBuilder<Sqlite>, Vec<Position>) {
    let mut position = before.0;
    let mut numbers = Vec::with_capacity(group.entries.len());
    let mut rows = Vec::new();
    for entry in &group.entries {
        let stream_no = entry.stream_no.unwrap_or(Position(position + 1));
        numbers.push(stream_no);
        for (revision, event) in (entry.first.0..).zip(entry.events) {
            position += 1;
            rows.push((
                Position(position),
                stream_no,
                (revision == 0).then_some(entry.stream.as_str()),
                revision,
                event,
            ));
        }
    }

    let mut insert = QueryBuilder::new(
        "INSERT INTO events (position, stream_no, stream, revision, event_id, type, data, metadata, created_at) \
         SELECT * FROM (",
    );
    insert.push_values(rows, |mut row, (position, stream_no, stream, revision, event)| {
        row.push_bind(position.to_sql())
            .push_bind(stream_no.to_sql())
            .push_bind(stream)
            .push_bind(crate::Revision(revision).to_sql())
            .push_bind(event.id)
            .push_bind(&*event.kind)
            .push_bind(&*event.data)
            .push_bind(&*event.metadata)
            .push_bind(to_micros(created_at));
    });
    let cursor = group.cursor.position.to_sql();
    insert
        .push(") WHERE coalesce((SELECT max(position) FROM events), 0) = ")
        .push_bind(before.to_sql());
    insert
        .push(" AND (")
        .push_bind(cursor)
        .push(" = 0 OR EXISTS (SELECT 1 FROM events WHERE position = ");
    insert
        .push_bind(cursor)
        .push(" AND event_id = ")
        .push_bind(group.cursor.event_id)
        .push("))");
    (insert, numbers)
}
