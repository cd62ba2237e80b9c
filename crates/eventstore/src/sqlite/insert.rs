//! The statement that writes a group, whose text is one of few, so that SQLite prepares each only once.

use std::{collections::HashMap, sync::Arc};

use sqlx::{AssertSqlSafe, Sqlite, query::Query, sqlite::SqliteArguments};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{NewEvent, Position, Revision, append::MAX_EVENTS, backend::Group, event::to_micros};

const COLUMNS: usize = 9;
/// SQLite's limit of bound values in one statement; four belong to the condition.
const _: () = assert!(MAX_EVENTS * COLUMNS + 4 <= 32_766);

/// Writes nothing if the log does not end where the writer believes or does not hold its cursor. Rows without a position
/// only fill the statement up.
const HEAD: &str = "INSERT INTO events (position, stream_no, stream, revision, event_id, type, data, metadata, created_at) \
     SELECT * FROM (VALUES ";
const ROW: &str = "(?, ?, ?, ?, ?, ?, ?, ?, ?)";
const CONDITION: &str = ") WHERE column1 IS NOT NULL AND coalesce((SELECT max(position) FROM events), 0) = ? \
     AND (? = 0 OR EXISTS (SELECT 1 FROM events WHERE position = ? AND event_id = ?))";

/// The statements by their number of rows.
#[derive(Default)]
pub(super) struct Inserts(HashMap<usize, Arc<str>>);

/// One event, and where it goes.
struct Row<'a> {
    position: Position,
    stream_no: Position,
    stream: Option<&'a str>,
    revision: Revision,
    event: &'a NewEvent,
}

impl Inserts {
    /// The INSERT of a group behind `before`, and the numbers of its streams.
    pub(super) fn of<'q>(
        &mut self,
        group: &Group<'_>,
        before: Position,
        created_at: OffsetDateTime,
    ) -> (Query<'q, Sqlite, SqliteArguments>, Vec<Position>) {
        let (rows, numbers) = rows(group, before);
        let filled = rounded(rows.len());
        let sql = self.0.entry(filled).or_insert_with(|| text(filled));
        let mut insert = sqlx::query(AssertSqlSafe(Arc::clone(sql)));
        let fill = filled - rows.len();
        for row in rows {
            insert = insert
                .bind(row.position.to_sql())
                .bind(row.stream_no.to_sql())
                .bind(row.stream.map(str::to_owned))
                .bind(row.revision.to_sql())
                .bind(row.event.id)
                .bind(row.event.kind.to_string())
                .bind(row.event.data.to_vec())
                .bind(row.event.metadata.to_vec())
                .bind(to_micros(created_at));
        }
        for _ in 0..fill * COLUMNS {
            insert = insert.bind(None::<i64>);
        }
        let cursor = group.cursor.position.to_sql();
        let insert = insert.bind(before.to_sql()).bind(cursor).bind(cursor);
        (insert.bind::<Uuid>(group.cursor.event_id), numbers)
    }
}

fn rows<'a>(group: &Group<'a>, before: Position) -> (Vec<Row<'a>>, Vec<Position>) {
    let mut numbers = Vec::with_capacity(group.entries.len());
    let mut rows = Vec::with_capacity(group.entries.len());
    for entry in &group.entries {
        let next = |rows: &Vec<Row<'_>>| Position(before.0 + rows.len() as u64 + 1);
        let stream_no = entry.stream_no.unwrap_or_else(|| next(&rows));
        numbers.push(stream_no);
        for (revision, event) in (entry.first.0..).zip(entry.events) {
            rows.push(Row {
                position: next(&rows),
                stream_no,
                stream: (revision == 0).then_some(entry.stream.as_str()),
                revision: Revision(revision),
                event,
            });
        }
    }
    (rows, numbers)
}

/// So many rows has the statement that is used for `rows`: any small number, and a few large ones.
fn rounded(rows: usize) -> usize {
    match rows {
        0..=16 => rows,
        17..=128 => rows.next_multiple_of(16),
        _ => rows.next_multiple_of(64),
    }
}

fn text(rows: usize) -> Arc<str> {
    let mut text = HEAD.to_owned();
    for n in 0..rows {
        text.push_str(if n == 0 { "" } else { ", " });
        text.push_str(ROW);
    }
    text.push_str(CONDITION);
    text.into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn few_statements_serve_groups_of_every_size() {
        let sizes: HashSet<_> = (1..=MAX_EVENTS).map(rounded).collect();
        assert!(sizes.len() < 100, "all of them stay prepared: {}", sizes.len());
        assert!((1..=MAX_EVENTS).all(|rows| (rows..=MAX_EVENTS).contains(&rounded(rows))));
    }
}
