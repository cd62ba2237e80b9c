//! Rows inserted in batches by one plain connection, each batch on disk before the next begins.
//!
//! The table has the columns and the unique indexes of the log. Nothing is checked: the streams, revisions and
//! positions are simply counted on.

use std::{
    fmt::Write,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Result;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use tiffin_eventstore::NewEvent;
use uuid::Uuid;

use crate::{
    figures::{DATA, EVENTS, KIND, METADATA},
    run::{Clock, Run, Subject, latencies, note},
    usage::Watched,
};

/// Rows of a batch, unless another size is asked for.
pub(crate) const BATCH: u64 = 64;

/// One connection and its table.
pub(crate) struct Rows {
    connection: Connected,
    sql: String,
    watched: Watched,
    size: u64,
    data: &'static [u8],
    metadata: &'static [u8],
    next: u64,
    stream_no: u64,
}

enum Connected {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

const COLUMNS: &str = "position, stream_no, stream, revision, event_id, type, data, metadata, created_at";

impl Rows {
    /// A file of its own in `folder`, with the settings under which a commit is on disk.
    pub(crate) async fn sqlite(folder: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(folder.join("floor.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("cache_size", "-32768")
            .disable_statement_logging();
        let mut connection = options.connect().await?;
        for statement in tables("INTEGER", "TEXT", "BLOB", "BLOB") {
            sqlx::query(AssertSqlSafe(statement))
                .execute(&mut connection)
                .await?;
        }
        Ok(Self::new(Connected::Sqlite(connection), Watched::this()))
    }

    /// A table in a database of its own.
    pub(crate) async fn postgres(url: &str, watched: Watched) -> Result<Self> {
        let mut connection = PgConnection::connect(url).await?;
        for statement in tables("bigint", "text", "uuid", "bytea") {
            sqlx::query(AssertSqlSafe(statement))
                .execute(&mut connection)
                .await?;
        }
        Ok(Self::new(Connected::Postgres(connection), watched))
    }

    fn new(connection: Connected, watched: Watched) -> Self {
        let mut rows = Self {
            connection,
            sql: String::new(),
            watched,
            size: 0,
            data: DATA,
            metadata: METADATA,
            next: 1,
            stream_no: 1,
        };
        rows.batches_of(BATCH);
        rows
    }

    /// With batches of another size.
    pub(crate) fn batches_of(&mut self, size: u64) {
        self.size = size;
        self.sql = match self.connection {
            Connected::Sqlite(_) => {
                let row = "(?, ?, ?, ?, ?, ?, ?, ?, ?)";
                let mut sql = format!("INSERT INTO floor ({COLUMNS}) VALUES {row}");
                for _ in 1..size {
                    // Writing to a string cannot fail.
                    let _infallible = write!(sql, ", {row}");
                }
                sql
            }
            Connected::Postgres(_) => format!(
                "INSERT INTO floor ({COLUMNS}) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], \
                 $4::bigint[], $5::uuid[], $6::text[], $7::bytea[], $8::bytea[], $9::bigint[])"
            ),
        };
    }

    /// With rows as long as this event.
    pub(crate) fn rows_like(&mut self, event: &NewEvent) {
        self.data = &DATA[..event.data.len().min(DATA.len())];
        self.metadata = &METADATA[..event.metadata.len().min(METADATA.len())];
    }

    /// Inserts one batch.
    pub(crate) async fn insert(&mut self) -> Result<()> {
        let batch = self.batch();
        let sql = AssertSqlSafe(self.sql.clone());
        match &mut self.connection {
            Connected::Sqlite(connection) => {
                let mut query = sqlx::query(sql);
                for row in batch {
                    query = query.bind(row.position).bind(row.stream_no).bind(row.stream);
                    query = query.bind(row.revision).bind(row.event_id).bind(KIND);
                    query = query.bind(self.data).bind(self.metadata).bind(row.position);
                }
                query.execute(connection).await?;
            }
            Connected::Postgres(connection) => {
                let positions: Vec<i64> = batch.iter().map(|row| row.position).collect();
                let streams: Vec<i64> = batch.iter().map(|row| row.stream_no).collect();
                let revisions: Vec<i64> = batch.iter().map(|row| row.revision).collect();
                let ids: Vec<Uuid> = batch.iter().map(|row| row.event_id).collect();
                let names: Vec<Option<String>> = batch.into_iter().map(|row| row.stream).collect();
                let same = positions.len();
                let query = sqlx::query(sql).bind(&positions).bind(streams).bind(names);
                let query = query.bind(revisions).bind(ids).bind(vec![KIND; same]);
                let query = query
                    .bind(vec![self.data; same])
                    .bind(vec![self.metadata; same])
                    .bind(&positions);
                query.execute(connection).await?;
            }
        }
        Ok(())
    }

    fn batch(&mut self) -> Vec<Row> {
        let row = |position: u64| {
            let revision = (position - 1) % EVENTS;
            if revision == 0 {
                self.stream_no = position;
            }
            Row {
                position: number(position),
                stream_no: number(self.stream_no),
                stream: (revision == 0).then(|| format!("order-{}", Uuid::now_v7())),
                revision: number(revision),
                event_id: Uuid::now_v7(),
            }
        };
        let rows = (self.next..self.next + self.size).map(row).collect();
        self.next += self.size;
        rows
    }
}

struct Row {
    position: i64,
    stream_no: i64,
    stream: Option<String>,
    revision: i64,
    event_id: Uuid,
}

impl Subject for Rows {
    async fn run(&mut self, time: Duration) -> Result<Run> {
        let watched = self.watched.clone();
        let clock = Clock::start(&watched)?;
        let (start, mut rows, mut latency) = (Instant::now(), 0, latencies());
        while start.elapsed() < time {
            let begun = Instant::now();
            self.insert().await?;
            note(&mut latency, begun.elapsed());
            rows += self.size;
        }
        clock.stop(rows, latency)
    }
}

fn tables(number: &str, text: &str, id: &str, bytes: &str) -> [String; 2] {
    [
        format!(
            "CREATE TABLE floor (position {number} PRIMARY KEY, stream_no {number} NOT NULL, stream {text}, \
             revision {number} NOT NULL, event_id {id} NOT NULL, type {text} NOT NULL, data {bytes} NOT NULL, \
             metadata {bytes} NOT NULL, created_at {number} NOT NULL, UNIQUE (stream_no, revision))"
        ),
        "CREATE UNIQUE INDEX floor_stream ON floor (stream) WHERE revision = 0".to_owned(),
    ]
}

fn number(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}
