//! Reading events.

use std::{sync::Arc, time::Duration};

use sqlx::PgConnection;

use crate::{
    Direction, Fault, RecordedEvent, Replication, Standbys, StreamName,
    backend::{Look, Read, by_look},
    sql::{Looked, Row, looked, recorded},
};

const FORWARDS: &str = "SELECT * FROM log.recorded_v1 WHERE position > $1 ORDER BY position LIMIT $2";
const BACKWARDS: &str = "SELECT * FROM log.recorded_v1 WHERE position < $1 ORDER BY position DESC LIMIT $2";
const STREAM_FORWARDS: &str = "SELECT * FROM log.recorded_v1 \
     WHERE stream_no = (SELECT position FROM log.events WHERE stream = $1 AND revision = 0) AND revision >= $2 \
     ORDER BY revision LIMIT $3";
const STREAM_BACKWARDS: &str = "SELECT * FROM log.recorded_v1 \
     WHERE stream_no = (SELECT position FROM log.events WHERE stream = $1 AND revision = 0) AND revision <= $2 \
     ORDER BY revision DESC LIMIT $3";
/// `OFFSET 0` keeps the planner from turning it round: of a log that was small it would read every event, and look whose
/// it is.
const STREAMS: &str = "SELECT e.* FROM unnest($1) AS w (name) CROSS JOIN LATERAL ( \
     SELECT * FROM log.recorded_v1 \
     WHERE stream_no = (SELECT position FROM log.events WHERE stream = w.name AND revision = 0) OFFSET 0 \
     ) e ORDER BY e.stream_no, e.revision";
const LOOK: &str = "SELECT n, position, stream_no, stream, revision, event_id, type, data, metadata, created_at \
     FROM log.look_v1($1, $2, $3, $4)";
const REPLICATION: &str = "SELECT synchronous, asynchronous, lag_seconds, lag_bytes, retained_bytes \
     FROM log.replication_v1()";

pub(super) async fn read(
    connection: &mut PgConnection,
    read: Read<'_>,
) -> Result<Vec<Arc<RecordedEvent>>, Fault> {
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
                .fetch_all(connection)
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
            query.fetch_all(connection).await?
        }
        Read::Streams { names } => {
            let names: Vec<_> = names.iter().map(StreamName::as_str).collect();
            sqlx::query_as(STREAMS).bind(names).fetch_all(connection).await?
        }
    };
    Ok(rows.into_iter().map(recorded).collect())
}

fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(super) async fn replication(connection: &mut PgConnection) -> Result<Replication, Fault> {
    type Row = (Option<i64>, Option<i64>, Option<f64>, Option<i64>, Option<i64>);
    let row: Row = sqlx::query_as(REPLICATION).fetch_one(connection).await?;
    let (Some(synchronous), Some(asynchronous), Some(seconds), Some(lag), Some(retained)) = row else {
        return Ok(Replication::Hidden);
    };
    Ok(Replication::Known(Standbys {
        synchronous: synchronous.unsigned_abs(),
        asynchronous: asynchronous.unsigned_abs(),
        lag: Duration::try_from_secs_f64(seconds).unwrap_or_default(),
        lag_bytes: lag.unsigned_abs(),
        retained_bytes: retained.unsigned_abs(),
    }))
}

pub(super) async fn look(
    connection: &mut PgConnection,
    looks: &[Look<'_>],
) -> Result<Vec<Vec<Arc<RecordedEvent>>>, Fault> {
    let column = |value: fn(&Look<'_>) -> i64| looks.iter().map(value).collect::<Vec<_>>();
    let query = sqlx::query_as::<_, Looked>(LOOK)
        .bind(looks.iter().map(|look| look.stream.as_str()).collect::<Vec<_>>())
        .bind(column(|look| look.from.to_sql()))
        .bind(column(|look| rows(look.count)))
        .bind(column(|look| rows(look.last)));
    let found = query.fetch_all(connection).await?;
    Ok(by_look(looks.len(), found.into_iter().map(looked)))
}
