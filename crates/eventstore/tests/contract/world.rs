//! A database for one test, and short ways to say what the tests say often.

use std::sync::Arc;

use tempfile::TempDir;
use tiffin_eventstore::{
    Append, AppendError, Appended, Config, Cursor, DatabaseUrl, Direction, EventStore, Expected, NewEvent,
    Position, RecordedEvent, Revision, StreamName, Urgency,
};
use tiffin_testkit::{Database, Postgres};
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

pub(crate) fn cursor(events: &[Arc<RecordedEvent>]) -> Cursor {
    events.last().map_or(Cursor::START, |event| event.cursor())
}
