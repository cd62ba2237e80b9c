//! A database for one test, and short ways to say what the tests say often.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use prometheus_client::{encoding::text::encode, registry::Registry};
use sqlx::{ConnectOptions, Connection, PgConnection, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tiffin_eventstore::{
    Append, AppendError, Appended, Config, Cursor, DatabaseUrl, Direction, EventStore, Expected, NewEvent,
    Position, RecordedEvent, Revision, StreamName, Tx, Urgency,
};
use tiffin_testkit::{Database, Postgres, postgres_tool, scratch_folder};
use tokio::process::Command;
use uuid::Uuid;

/// A database of the test's own.
pub(crate) enum World {
    Sqlite(TempDir),
    Postgres(Database),
}

impl World {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().expect("a temporary folder"))
    }

    pub(crate) async fn postgres() -> Self {
        Self::Postgres(Postgres::shared().await.database().await)
    }

    pub(crate) fn url(&self) -> DatabaseUrl {
        match self {
            Self::Sqlite(folder) => DatabaseUrl::Sqlite(folder.path().to_owned()),
            Self::Postgres(database) => DatabaseUrl::Postgres(database.url.clone()),
        }
    }

    /// Whether several processes may use it.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    pub(crate) fn config(&self) -> Config {
        Config::new(self.url())
    }

    /// A store over this database, whose tables it makes.
    pub(crate) async fn store(&self) -> EventStore {
        self.store_with(self.config()).await
    }

    pub(crate) async fn store_with(&self, config: Config) -> EventStore {
        EventStore::migrate(&config.url).await.expect("migrations");
        EventStore::open(config).await.expect("a store")
    }
}

/// A copy of a log.
pub(crate) struct Backup(PathBuf);

/// SQLite's own way of copying one database over another that is in use, which only Python's standard library offers
/// without more.
async fn copy_sqlite(from: &Path, to: &Path) {
    const COPY: &str =
        "import sqlite3, sys; sqlite3.connect(sys.argv[1]).backup(sqlite3.connect(sys.argv[2]))";
    run(Command::new("python3").args(["-c", COPY]).args([from, to])).await;
}

async fn run(command: &mut Command) {
    let output = command.output().await.expect("the program can be started");
    assert!(output.status.success(), "{command:?}: {output:?}");
}

pub(crate) fn event(data: &str) -> NewEvent {
    NewEvent {
        id: Uuid::now_v7(),
        kind: "happened".into(),
        data: data.as_bytes().to_vec().into(),
        metadata: b"meta".to_vec().into(),
    }
}

pub(crate) fn append(stream: &str, expected: Expected, events: Vec<NewEvent>) -> Append {
    Append {
        stream: stream.into(),
        expected,
        events,
        urgency: Urgency::Continue,
    }
}

pub(crate) fn start(stream: &str, events: Vec<NewEvent>) -> Append {
    Append {
        urgency: Urgency::Start,
        ..append(stream, Expected::NoStream, events)
    }
}

pub(crate) fn exact(revision: u64) -> Expected {
    Expected::Exact(Revision(revision))
}

/// A stream with `count` events, appended one by one.
pub(crate) async fn grow(store: &EventStore, stream: &str, count: u64) -> Vec<Arc<RecordedEvent>> {
    let mut events = Vec::new();
    for n in 0..count {
        let expected = n.checked_sub(1).map_or(Expected::NoStream, exact);
        let appended = store
            .append(append(stream, expected, vec![event(&n.to_string())]))
            .await;
        events.extend(appended.expect("the stream grows").events);
    }
    events
}

pub(crate) async fn whole_log(store: &EventStore) -> Vec<Arc<RecordedEvent>> {
    store
        .read_all(Position::START, Direction::Forwards, usize::MAX)
        .await
        .expect("the log")
}

pub(crate) async fn whole_stream(store: &EventStore, stream: &str) -> Vec<Arc<RecordedEvent>> {
    store
        .read_stream(&stream.into(), Revision::FIRST, Direction::Forwards, usize::MAX)
        .await
        .expect("the stream")
}

/// The rule of the log: positions from 1 without a gap, revisions from 0 without a gap, time that never falls.
#[track_caller]
pub(crate) fn check_log(log: &[Arc<RecordedEvent>]) {
    let mut next = std::collections::HashMap::<StreamName, u64>::new();
    for (event, position) in log.iter().zip(1..) {
        assert_eq!(event.position, Position(position));
        let revision = next.entry(event.stream.clone()).or_default();
        assert_eq!(event.revision, Revision(*revision), "{}", event.stream);
        *revision += 1;
    }
    assert!(log.is_sorted_by_key(|event| event.created_at));
}

#[track_caller]
pub(crate) fn conflict(answer: Result<Appended, AppendError>) -> Option<Revision> {
    match answer {
        Err(AppendError::Conflict { actual, .. }) => actual,
        other => panic!("a conflict was expected, not {other:?}"),
    }
}

pub(crate) fn data(event: &RecordedEvent) -> &str {
    std::str::from_utf8(&event.data).expect("text")
}

/// The connection of a transaction on PostgreSQL.
pub(crate) fn on_postgres(tx: &mut Tx) -> &mut PgConnection {
    match tx {
        Tx::Postgres(lent) => lent,
        Tx::Sqlite(_) => panic!("on SQLite"),
    }
}

/// A store's metrics as they are now.
pub(crate) fn shown(store: &EventStore) -> String {
    let mut registry = Registry::default();
    store.register(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    text
}

pub(crate) fn cursor(events: &[Arc<RecordedEvent>]) -> Cursor {
    events.last().map_or(Cursor::START, |event| event.cursor())
}

impl World {
    /// A copy of the log as it is now.
    pub(crate) async fn back_up(&self) -> Backup {
        let file = scratch_folder("backup").join("log");
        match self {
            Self::Sqlite(folder) => copy_sqlite(&folder.path().join("log.db"), &file).await,
            Self::Postgres(database) => {
                let mut dump = Command::new(postgres_tool("pg_dump"));
                let dump = dump.args(["--schema=log", "--clean", "--if-exists", "-d", &database.url]);
                run(dump.arg("-f").arg(&file)).await;
            }
        }
        Backup(file)
    }

    /// Puts a copy of the log back under whoever uses it.
    pub(crate) async fn restore(&self, Backup(file): &Backup) {
        match self {
            Self::Sqlite(folder) => copy_sqlite(file, &folder.path().join("log.db")).await,
            Self::Postgres(database) => {
                let mut restore = Command::new(postgres_tool("psql"));
                let restore = restore.args(["-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-d", &database.url]);
                let restore = restore.arg("-f").arg(file);
                loop {
                    let output = restore.output().await.expect("psql can be started");
                    if output.status.success() {
                        return;
                    }
                    // A statement of a running store may have come in between; then nothing was changed.
                    let said = String::from_utf8_lossy(&output.stderr);
                    assert!(said.contains("deadlock detected"), "{said}");
                }
            }
        }
    }

    /// Writes events behind the stores' backs, each to a new stream.
    pub(crate) async fn forge(&self, count: usize) {
        for n in 0..count {
            let (name, id) = (format!("forged-{n}"), Uuid::now_v7());
            match self {
                Self::Sqlite(_) => {
                    let insert = "INSERT INTO events SELECT max(position) + 1, max(position) + 1, $1, 0, $2, 't', x'00', \
                         x'00', max(created_at) FROM events";
                    let insert = sqlx::query(insert).bind(name).bind(id);
                    insert.execute(&mut self.raw_sqlite().await).await.unwrap();
                }
                Self::Postgres(_) => {
                    let call =
                        "SELECT FROM log.start_v1(0, $2, ARRAY[$1], '{1}', ARRAY[$2], '{t}', '{x}', '{x}')";
                    let call = sqlx::query(call).bind(name).bind(id);
                    call.execute(&mut self.raw_postgres().await).await.unwrap();
                }
            }
        }
    }

    pub(crate) async fn raw_sqlite(&self) -> SqliteConnection {
        let Self::Sqlite(folder) = self else {
            panic!("SQLite")
        };
        let options = SqliteConnectOptions::new().filename(folder.path().join("log.db"));
        options.connect().await.unwrap()
    }

    pub(crate) async fn raw_postgres(&self) -> PgConnection {
        let Self::Postgres(database) = self else {
            panic!("PostgreSQL")
        };
        PgConnection::connect(&database.url).await.unwrap()
    }
}
