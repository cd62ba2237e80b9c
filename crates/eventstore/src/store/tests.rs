//! What becomes of a store whose own tasks end by a fault.

use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use uuid::Uuid;

use super::*;
use crate::{
    Expected, Fault, NewEvent, RecordedEvent, Revision, SubscribeError, Urgency,
    backend::{Committed, Fate, Group, Look, Read},
    event::from_micros,
};

/// A database over which the writer or the tail comes to grief.
struct Broken {
    writer: bool,
}

#[async_trait]
impl Backend for Broken {
    async fn commit(&self, _: &Group<'_>) -> Result<Committed, Fault> {
        panic!("a bug of the writer")
    }

    async fn look(&self, looks: &[Look<'_>]) -> Result<Vec<Vec<Arc<RecordedEvent>>>, Fault> {
        Ok(vec![Vec::new(); looks.len()])
    }

    async fn read(&self, _: Read<'_>) -> Result<Vec<Arc<RecordedEvent>>, Fault> {
        assert!(self.writer, "a bug of the tail");
        Ok(Vec::new())
    }

    async fn now(&self) -> Result<OffsetDateTime, Fault> {
        Ok(from_micros(0))
    }

    async fn close(&self) {}
}

/// A database that answers each commit with the next of these faults, and writes when there are no more; or says that what
/// it was given was lost, and answers each look with the next of these answers.
#[derive(Default)]
struct Faulty {
    faults: Mutex<VecDeque<Fault>>,
    away: AtomicBool,
    loses: bool,
    looks: Mutex<VecDeque<Result<Vec<Arc<RecordedEvent>>, Fault>>>,
}

#[async_trait]
impl Backend for Faulty {
    async fn commit(&self, group: &Group<'_>) -> Result<Committed, Fault> {
        if self.away.load(Ordering::Relaxed) {
            return Err(Fault::timed_out());
        }
        let stream_no = Position(1);
        let fate = if self.loses {
            Fate::Lost
        } else {
            Fate::Written { stream_no }
        };
        match self.faults.lock().unwrap().pop_front() {
            Some(fault) => Err(fault),
            None => Ok(Committed::Written {
                before: group.cursor.position,
                created_at: from_micros(0),
                fates: vec![fate; group.entries.len()],
            }),
        }
    }

    async fn look(&self, looks: &[Look<'_>]) -> Result<Vec<Vec<Arc<RecordedEvent>>>, Fault> {
        let next = self.looks.lock().unwrap().pop_front();
        Ok(vec![next.unwrap_or_else(|| Ok(Vec::new()))?; looks.len()])
    }

    async fn read(&self, _: Read<'_>) -> Result<Vec<Arc<RecordedEvent>>, Fault> {
        // What a reader is answered says nothing about the writer.
        std::future::pending().await
    }

    async fn now(&self) -> Result<OffsetDateTime, Fault> {
        Ok(from_micros(0))
    }

    async fn close(&self) {}
}

fn store(backend: impl Backend + 'static) -> EventStore {
    store_over(Arc::new(backend))
}

fn store_over(backend: Arc<dyn Backend>) -> EventStore {
    let url = DatabaseUrl::Postgres("postgres://unused".to_owned());
    let clock = Arc::new(Clock::new(from_micros(0)));
    let database = Database::Postgres("postgres://unused".into());
    EventStore::start(&Config::new(url), database, backend, clock, Cursor::START)
}

fn append(stream: &str) -> Append {
    let event = NewEvent {
        id: Uuid::now_v7(),
        kind: "kind".into(),
        data: Vec::new().into(),
        metadata: Vec::new().into(),
    };
    Append {
        stream: stream.into(),
        expected: Expected::NoStream,
        events: vec![event],
        urgency: Urgency::Start,
    }
}

#[tokio::test]
async fn a_writer_that_panics_closes_the_store_and_leaves_nobody_waiting() {
    let store = store(Broken { writer: true });
    let mut subscription = store.subscribe(Cursor::START);
    let closed = store.closed();
    // More than one group holds.
    let appends = (0..600).map(|n| append(&n.to_string()));
    let answers = futures::future::join_all(appends.map(|append| store.append(append))).await;
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Err(AppendError::Closed)))
    );
    closed.await;
    let late = store.append(append("late")).await;
    assert!(matches!(late, Err(AppendError::Closed)));
    assert_eq!(subscription.next().await, Err(SubscribeError::Closed));
}

#[tokio::test]
async fn a_writer_that_ends_with_the_runtime_of_an_appender_closes_the_store_and_leaves_nobody_waiting() {
    let database = Arc::new(Faulty::default());
    database.away.store(true, Ordering::Relaxed);
    let store = store_over(database);
    let foreign = tokio::runtime::Runtime::new().unwrap();
    let there = store.clone();
    foreign.spawn(async move { there.append(append("there")).await });
    while store.trouble().is_none() {
        tokio::task::yield_now().await;
    }
    let here = store.append(append("here"));
    tokio::pin!(here);
    assert!(futures::poll!(&mut here).is_pending());
    foreign.shutdown_background();
    assert!(matches!(here.await, Err(AppendError::Closed)));
    store.closed().await;
}

#[tokio::test]
async fn a_tail_that_panics_closes_the_store() {
    let store = store(Broken { writer: false });
    store.closed().await;
}

#[tokio::test]
async fn events_that_were_asked_for_before_a_replacement_are_not_taken_in() {
    let store = store(Broken { writer: true });
    let tail = &store.0.tail;
    let event = Arc::new(RecordedEvent {
        position: Position(1),
        stream: "s".into(),
        stream_no: Position(1),
        revision: Revision::FIRST,
        id: Uuid::now_v7(),
        kind: "kind".into(),
        data: Vec::new().into(),
        metadata: Vec::new().into(),
        created_at: from_micros(0),
    });
    tail.log_replaced(0).await;
    tail.take_in(&[Arc::clone(&event)], 0);
    assert_eq!(tail.head(), Cursor::START);
    tail.take_in(&[Arc::clone(&event)], 1);
    assert_eq!(tail.head(), event.cursor());
}

#[tokio::test(start_paused = true)]
async fn what_was_written_before_its_answer_was_lost_is_found_though_a_look_for_it_is_refused() {
    let append = append("a");
    let [event] = &append.events[..] else {
        panic!("one event")
    };
    let written = Arc::new(RecordedEvent {
        position: Position(1),
        stream: append.stream.clone(),
        stream_no: Position(1),
        revision: Revision::FIRST,
        id: event.id,
        kind: event.kind.clone(),
        data: event.data.clone(),
        metadata: event.metadata.clone(),
        created_at: from_micros(0),
    });
    let refusal: Fault = sqlx::Error::RowNotFound.into();
    let store = store(Faulty {
        faults: Mutex::new([Fault::timed_out()].into()),
        loses: true,
        looks: Mutex::new([Err(refusal), Ok(vec![written])].into()),
        ..Faulty::default()
    });
    let answer = store.append(append).await;
    assert!(answer.is_ok_and(|appended| appended.replayed));
    assert!(store.trouble().is_none());
}

#[tokio::test(start_paused = true)]
async fn while_the_database_is_away_the_store_says_so() {
    let database = Arc::new(Faulty::default());
    database.away.store(true, Ordering::Relaxed);
    let store = store_over(database.clone());
    let appending = tokio::spawn({
        let store = store.clone();
        async move { store.append(append("s")).await }
    });
    while store.trouble().is_none() {
        tokio::task::yield_now().await;
    }
    assert!(store.trouble().unwrap().passes() && store.oldest_waiting().is_some());
    database.away.store(false, Ordering::Relaxed);
    appending.await.unwrap().unwrap();
    assert!(store.trouble().is_none());
}

#[tokio::test]
async fn a_database_that_refuses_to_write_is_in_trouble_until_it_writes() {
    let database = Faulty::default();
    database
        .faults
        .lock()
        .unwrap()
        .push_back(sqlx::Error::RowNotFound.into());
    let store = store(database);
    let refused = store.append(append("s")).await;
    assert!(matches!(refused, Err(AppendError::Unavailable(_))), "{refused:?}");
    assert!(!store.trouble().unwrap().passes());
    store.append(append("s")).await.unwrap();
    assert!(store.trouble().is_none());
}

#[tokio::test]
async fn a_store_that_is_closed_says_so() {
    let store = store(Broken { writer: true });
    let closed = store.closed();
    tokio::pin!(closed);
    assert!(futures::poll!(&mut closed).is_pending());
    store.close().await;
    closed.await;
}
