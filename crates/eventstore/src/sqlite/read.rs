//! Reading events.

use std::sync::Arc;

use sqlx::{QueryBuilder, Sqlite, SqliteConnection, SqlitePool};

use crate::{
    Direction, Fault, RecordedEvent, StreamName,
    backend::{Look, Read, by_look},
    sql::{Looked, Row, looked, recorded},
};

const FORWARDS: &str = "SELECT * FROM recorded_v1 WHERE position > $1 ORDER BY position LIMIT $2";
const BACKWARDS: &str = "SELECT * FROM recorded_v1 WHERE position < $1 ORDER BY position DESC LIMIT $2";
const STREAM_FORWARDS: &str = "SELECT * FROM recorded_v1 \
     WHERE stream_no = (SELECT position FROM events WHERE stream = $1 AND revision = 0) AND revision >= $2 \
     ORDER BY revision LIMIT $3";
const STREAM_BACKWARDS: &str = "SELECT * FROM recorded_v1 \
     WHERE stream_no = (SELECT position FROM events WHERE stream = $1 AND revision = 0) AND revision <= $2 \
     ORDER BY revision DESC LIMIT $3";
/// After `wanted (name)`.
const STREAMS: &str = " SELECT r.* FROM wanted w JOIN events f ON f.stream = w.name AND f.revision = 0 \
     JOIN recorded_v1 r ON r.stream_no = f.position ORDER BY r.stream_no, r.revision";
/// After `wanted (n, name, low, high, last)`.
const LOOK: &str = " SELECT w.n, r.* FROM wanted w JOIN events f ON f.stream = w.name AND f.revision = 0 \
     JOIN recorded_v1 r ON r.stream_no = f.position AND r.revision >= w.low AND r.revision < w.high \
     UNION ALL SELECT w.n, r.* FROM wanted w JOIN events f ON f.stream = w.name AND f.revision = 0 \
     JOIN recorded_v1 r ON r.stream_no = f.position \
     AND r.revision > (SELECT max(revision) FROM events WHERE stream_no = f.position) - w.last ORDER BY 1, 5";
/// Far below SQLite's limit of bound values.
const MOST_STREAMS: usize = 10_000;

pub(super) async fn read(pool: &SqlitePool, read: Read<'_>) -> Result<Vec<Arc<RecordedEvent>>, Fault> {
    let rows: Vec<Row> = match read {
        Read::All {
            after,
            direction,
            limit,
        } => {
            let statement = match direction {
                Direction::Forwards => FORWARDS,
                Direction::Backwards => BACKWARDS,
            };
            sqlx::query_as(statement)
                .bind(after.to_sql())
                .bind(rows(limit))
                .fetch_all(pool)
                .await?
        }
        Read::Stream {
            name,
            from,
            direction,
            limit,
        } => {
            let statement = match direction {
                Direction::Forwards => STREAM_FORWARDS,
                Direction::Backwards => STREAM_BACKWARDS,
            };
            let query = sqlx::query_as(statement)
                .bind(name.as_str())
                .bind(from.to_sql())
                .bind(rows(limit));
            query.fetch_all(pool).await?
        }
        Read::Streams { names } => {
            let mut found = Vec::new();
            for names in names.chunks(MOST_STREAMS) {
                let mut query = streams(names);
                found.extend(
                    query
                        .build_query_as::<Row>()
                        .persistent(false)
                        .fetch_all(pool)
                        .await?,
                );
            }
            found
        }
    };
    Ok(rows.into_iter().map(recorded).collect())
}

fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn streams(names: &[StreamName]) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("WITH wanted (name) AS (");
    query.push_values(names, |mut row, name| {
        row.push_bind(name.as_str());
    });
    query.push(")").push(STREAMS);
    query
}

pub(super) async fn look(
    connection: &mut SqliteConnection,
    looks: &[Look<'_>],
) -> Result<Vec<Vec<Arc<RecordedEvent>>>, Fault> {
    let mut query = QueryBuilder::<Sqlite>::new("WITH wanted (n, name, low, high, last) AS (");
    query.push_values(looks.iter().enumerate(), |mut row, (n, look)| {
        let low = look.from.to_sql();
        let high = low.saturating_add(rows(look.count));
        row.push(n)
            .push_bind(look.stream.as_str())
            .push_bind(low)
            .push_bind(high)
            .push_bind(rows(look.last));
    });
    query.push(")").push(LOOK);
    // Texts of large groups are seldom the same, so only small ones are worth being kept prepared.
    let found: Vec<Looked> = query
        .build_query_as()
        .persistent(looks.len() <= 16)
        .fetch_all(connection)
        .await?;
    Ok(by_look(looks.len(), found.into_iter().map(looked)))
}
