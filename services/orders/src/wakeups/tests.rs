//! The index over a real log, on both databases.

use std::{any::Any, sync::Arc, time::Duration};

use prometheus_client::registry::Registry;
use tempfile::TempDir;
use tiffin_eventstore::{
    Append, Cursor, DatabaseUrl, Derived, DerivedError, EventStore, Expected, Position, RecordedEvent,
    Revision, StreamName, Urgency,
};
use tiffin_order::{Fact, NewFact, Order, OrderId, Owner, Products, Reason, Status};
use tiffin_proto::Context;
use tiffin_runtime::Lifecycle;
use tiffin_testkit::Postgres;
use tiffin_trace::Tracer;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{CENSUS, CENSUS_LONGEST, Wakeups, trail::entry, until_next_census};
use crate::{
    Config,
    metrics::Metrics,
    saga::{Runner, Saga, Workflows, cache::Cache, event},
    tables::{Census, Entry, MIGRATIONS, SCHEMA, Tables, Wants},
};

struct World {
    wakeups: Wakeups,
    store: EventStore,
    _data: Box<dyn Any + Send + Sync>,
}

impl World {
    async fn sqlite() -> Self {
        let folder = TempDir::new().unwrap();
        Self::new(DatabaseUrl::Sqlite(folder.path().to_owned()), folder).await
    }

    async fn postgres() -> Self {
        let database = Postgres::shared().await.database().await;
        Self::new(DatabaseUrl::Postgres(database.url.clone()), database).await
    }

    async fn new(url: DatabaseUrl, data: impl Any + Send + Sync) -> Self {
        EventStore::migrate(&url).await.unwrap();
        crate::migrate(&url).await.unwrap();
        let store = EventStore::open(tiffin_eventstore::Config::new(url))
            .await
            .unwrap();
        let derived = Derived::open(&store, SCHEMA, MIGRATIONS).await.unwrap();
        let config = Config::default();
        let metrics = Metrics::new();
        let saga = Saga {
            store: store.clone(),
            workflows: Workflows::new(store.clone(), config.workflow, 1.0),
            cache: Cache::default(),
            metrics: metrics.clone(),
            tracer: Tracer::silent(0.0),
        };
        let runner = Runner::new(saga, Lifecycle::new(Duration::from_secs(1)));
        metrics.register(&mut Registry::default(), runner.clone());
        let wakeups = Wakeups {
            store: store.clone(),
            tables: Tables::new(derived),
            runner,
            metrics,
        };
        Self {
            wakeups,
            store,
            _data: Box::new(data),
        }
    }

    async fn place(&self) -> Arc<RecordedEvent> {
        let owner = Owner::parse("web").unwrap();
        let fact = Fact::Created {
            owner,
            products: Products::parse([("Dal", 1)]).unwrap(),
        };
        self.append(OrderId::new(Uuid::now_v7()), fact, Expected::NoStream)
            .await
    }

    async fn cancel(&self, id: OrderId) -> Arc<RecordedEvent> {
        let fact = Fact::Cancelled {
            reason: Reason::CancelledByStaff,
        };
        self.append(id, fact, Expected::Exact(Revision(0))).await
    }

    async fn append(&self, id: OrderId, fact: Fact, expected: Expected) -> Arc<RecordedEvent> {
        let append = Append {
            stream: StreamName::from(id.stream()),
            expected,
            events: vec![event(
                id,
                &Order::Absent,
                &NewFact::from(fact),
                &Context::default(),
            )],
            urgency: Urgency::Start,
        };
        self.store.append(append).await.unwrap().events.remove(0)
    }

    fn tables(&self) -> &Tables {
        &self.wakeups.tables
    }

    /// Sweeps the whole log as if all of it were old, and the index had come to its end.
    async fn sweep(&self) {
        let saved = self.tables().checkpoint().await.unwrap().cursor;
        let head = self.store.head().await.unwrap();
        self.tables().advance(&[], &saved, head).await.unwrap();
        self.sweep_a_late_index().await;
    }

    async fn sweep_a_late_index(&self) {
        let settled = self.store.now() + Duration::from_hours(1);
        self.wakeups.sweep_page(Position::START, settled).await.unwrap();
    }

    fn repairs(&self) -> u64 {
        self.wakeups.metrics.repairs.get()
    }
}

/// Runs every test on both databases.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    super::$name(super::World::sqlite().await).await;
                }
            )*
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    super::$name(super::World::postgres().await).await;
                }
            )*
        }
    };
}

on_both! {
    a_row_never_goes_back_in_the_log,
    overdue_orders_are_paged_by_time,
    an_index_that_others_moved_is_left_to_them,
    an_index_that_restarts_is_empty_and_at_the_beginning,
    a_missing_row_is_made_again,
    a_late_index_is_helped_and_not_called_wrong,
    a_row_of_a_finished_order_is_removed,
    a_right_index_is_left_alone,
}

fn order(number: u128) -> OrderId {
    OrderId::new(Uuid::from_u128(number))
}

fn at(second: u64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::from_secs(second)
}

fn wanting(number: u128, position: u64, wants: Wants, status: Option<Status>) -> Entry {
    Entry {
        order: order(number),
        position: Position(position),
        wants,
        status,
    }
}

async fn a_row_never_goes_back_in_the_log(world: World) {
    let tables = world.tables();
    tables
        .repair(wanting(1, 5, Wants::Wake(at(50)), Some(Status::Paid)))
        .await
        .unwrap();
    tables
        .repair(wanting(1, 4, Wants::Wake(at(40)), Some(Status::Pending)))
        .await
        .unwrap();
    tables
        .repair(wanting(2, 3, Wants::Attention, None))
        .await
        .unwrap();
    let expected = Census {
        open: vec![("PAID".to_owned(), 1), ("PENDING".to_owned(), 1)],
        parked: 1,
        earliest: Some(at(50)),
    };
    let mut census = tables.census().await.unwrap();
    census.open.sort();
    assert_eq!(census, expected);
    // An event that does not say the status leaves it.
    tables
        .repair(wanting(1, 6, Wants::Wake(at(60)), None))
        .await
        .unwrap();
    assert_eq!(tables.position(order(1)).await.unwrap(), Some(Position(6)));
    assert_eq!(tables.census().await.unwrap().earliest, Some(at(60)));
    tables
        .repair(wanting(1, 7, Wants::Nothing, Some(Status::Cancelled)))
        .await
        .unwrap();
    assert_eq!(tables.position(order(1)).await.unwrap(), None);
}

async fn overdue_orders_are_paged_by_time(world: World) {
    let tables = world.tables();
    let rows: Vec<_> = (0..1201)
        .map(|n| wanting(n + 1, 1, Wants::Wake(at(u64::try_from(n / 2).unwrap())), None))
        .collect();
    let end = Cursor {
        position: Position(1),
        event_id: Uuid::from_u128(1),
    };
    tables.advance(&rows, &Cursor::START, end).await.unwrap();
    tables
        .repair(wanting(5000, 1, Wants::Attention, None))
        .await
        .unwrap();
    let mut seen = Vec::new();
    let mut last = None;
    loop {
        let page = tables.overdue(at(599), last, 100).await.unwrap();
        seen.extend(page.iter().map(|row| row.order));
        last = page.last().copied();
        if last.is_none() {
            break;
        }
    }
    // Two for each second from 0 to 599; the one at 600 is not due, and the one set aside never is.
    assert_eq!(seen, (1..=1200).map(order).collect::<Vec<_>>());
}

async fn an_index_that_others_moved_is_left_to_them(world: World) {
    let tables = world.tables();
    let cursor = |n| Cursor {
        position: Position(n),
        event_id: Uuid::from_u128(n.into()),
    };
    tables.advance(&[], &Cursor::START, cursor(1)).await.unwrap();
    let row = [wanting(1, 2, Wants::Wake(at(1)), None)];
    let fenced = tables.advance(&row, &Cursor::START, cursor(2)).await;
    assert!(matches!(fenced, Err(DerivedError::Fenced(_))), "{fenced:?}");
    assert_eq!(
        tables.position(order(1)).await.unwrap(),
        None,
        "nothing of it was written"
    );
    let fenced = tables.restart(&cursor(2)).await;
    assert!(matches!(fenced, Err(DerivedError::Fenced(_))), "{fenced:?}");
    assert_eq!(tables.checkpoint().await.unwrap().cursor, cursor(1));
}

async fn an_index_that_restarts_is_empty_and_at_the_beginning(world: World) {
    let tables = world.tables();
    let cursor = Cursor {
        position: Position(1),
        event_id: Uuid::from_u128(1),
    };
    // More than are deleted at a time.
    let rows: Vec<_> = (1..=6_000)
        .map(|number| wanting(number, 1, Wants::Wake(at(1)), None))
        .collect();
    tables.advance(&rows, &Cursor::START, cursor).await.unwrap();
    tables.restart(&cursor).await.unwrap();
    assert_eq!(tables.checkpoint().await.unwrap().cursor, Cursor::START);
    assert_eq!(tables.census().await.unwrap(), Census::default());
    tables.advance(&[], &Cursor::START, cursor).await.unwrap();
}

async fn a_missing_row_is_made_again(world: World) {
    let event = world.place().await;
    let id = OrderId::from_stream(event.stream.as_str()).unwrap();
    world.sweep().await;
    assert_eq!(world.tables().position(id).await.unwrap(), Some(event.position));
    let expected = event.created_at + Duration::from_secs(2);
    assert_eq!(world.tables().census().await.unwrap().earliest, Some(expected));
    assert_eq!(world.repairs(), 1);
}

async fn a_late_index_is_helped_and_not_called_wrong(world: World) {
    let event = world.place().await;
    let id = OrderId::from_stream(event.stream.as_str()).unwrap();
    world.sweep_a_late_index().await;
    assert_eq!(world.tables().position(id).await.unwrap(), Some(event.position));
    assert_eq!(world.repairs(), 0);
}

async fn a_row_of_a_finished_order_is_removed(world: World) {
    let event = world.place().await;
    let id = OrderId::from_stream(event.stream.as_str()).unwrap();
    world.tables().repair(entry(&event).unwrap()).await.unwrap();
    world.cancel(id).await;
    world.sweep().await;
    assert_eq!(world.tables().position(id).await.unwrap(), None);
    assert_eq!(world.repairs(), 1);
}

async fn a_right_index_is_left_alone(world: World) {
    let open = world.place().await;
    let gone = world.place().await;
    world
        .cancel(OrderId::from_stream(gone.stream.as_str()).unwrap())
        .await;
    world.tables().repair(entry(&open).unwrap()).await.unwrap();
    world.sweep().await;
    assert_eq!(world.repairs(), 0);
}

#[test]
fn a_census_that_takes_long_is_taken_seldom_but_within_half_a_minute() {
    assert_eq!(until_next_census(Duration::from_millis(3)), CENSUS);
    assert_eq!(
        until_next_census(Duration::from_millis(100)),
        Duration::from_secs(5)
    );
    assert_eq!(until_next_census(Duration::from_secs(20)), CENSUS_LONGEST);
}
