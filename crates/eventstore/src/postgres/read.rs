//! Reading events.

use std::sync::Arc;

use sqlx::{PgConnection, PgPool};

use crate::{
    Direction, Fault, RecordedEvent, StreamName,
    backend::{Look, Read, by_stream},
    sql::{Looked, Row, looked, postgres as sql, recorded},
};

pub(super) async fn read(pool: &PgPool, read: Read<'_>) -> Result<Vec<Arc<RecordedEvent>>, Fault> {
    let rows: Vec<Row> = match read {
        Read::All {
            after,
            direction,
            limit,
        } => {
            let statement = match direction {
                Direction::Forwards => sql::FORWARDS,
                Direction::Backwards => sql::BACKWARDS,
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
                Direction::Forwards => sql::STREAM_FORWARDS,
                Direction::Backwards => sql::STREAM_BACKWARDS,
            };
            let query = sqlx::query_as(statement)
                .bind(name.as_str())
                .bind(from.to_sql())
                .bind(rows(limit));
            query.fetch_all(pool).await?
        }
        Read::Streams { names } => {
            let names: Vec<_> = names.iter().map(StreamName::as_str).collect();
            sqlx::query_as(sql::STREAMS).bind(names).fetch_all(pool).await?
        }
    };
    Ok(rows.into_iter().map(recorded).collect())
}

fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(super) async fn look(
    connection: &mut PgConnection,
    looks: &[Look<'_>],
) -> Result<Vec<Vec<Arc<RecordedEvent>>>, Fault> {
    let (low, high): (Vec<_>, Vec<_>) = looks.iter().map(Look::bounds).unzip();
    let names: Vec<_> = looks.iter().map(|look| look.stream.as_str()).collect();
    let last: Vec<_> = looks.iter().map(|look| rows(look.last)).collect();
    let query = sqlx::query_as::<_, Looked>(sql::LOOK)
        .bind(names)
        .bind(low)
        .bind(high)
        .bind(last);
    let found = query.fetch_all(connection).await?;
    Ok(by_stream(looks.len(), found.into_iter().map(looked)))
}
