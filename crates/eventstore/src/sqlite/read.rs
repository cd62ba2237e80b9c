//! Reading events.

use std::sync::Arc;

use sqlx::{QueryBuilder, Sqlite, SqliteConnection, SqlitePool};

use crate::{
    Direction, Fault, RecordedEvent, StreamName,
    backend::{Look, Read, by_stream},
    sql::{Looked, Row, looked, recorded, sqlite as sql},
};

pub(super) async fn read(pool: &SqlitePool, read: Read<'_>) -> Result<Vec<Arc<RecordedEvent>>, Fault> {
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
            let mut found = Vec::new();
            for names in names.chunks(10_000) {
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
    query.push(")").push(sql::STREAMS);
    query
}

pub(super) async fn look(
    connection: &mut SqliteConnection,
    looks: &[Look<'_>],
) -> Result<Vec<Vec<Arc<RecordedEvent>>>, Fault> {
    let mut query = QueryBuilder::<Sqlite>::new("WITH wanted (n, name, low, high, last) AS (");
    query.push_values(looks.iter().enumerate(), |mut row, (n, look)| {
        let (low, high) = look.bounds();
        row.push(n)
            .push_bind(look.stream.as_str())
            .push_bind(low)
            .push_bind(high)
            .push_bind(rows(look.last));
    });
    query.push(")").push(sql::LOOK);
    let found: Vec<Looked> = query
        .build_query_as()
        .persistent(looks.len() <= 16)
        .fetch_all(connection)
        .await?;
    Ok(by_stream(looks.len(), found.into_iter().map(looked)))
}
