//! The list over a real log, on both databases.

use std::{any::Any, cmp::Reverse, collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use tempfile::TempDir;
use tiffin_eventstore::{
    Append, Cursor, DatabaseUrl, Derived, DerivedError, Direction, EventStore, Expected, NewEvent, Position,
    RecordedEvent, Revision, Urgency,
};
use tiffin_order::{Fact, NewFact, Order, OrderId, Owner, Products, Reason, Status, Version, evolve};
use tiffin_proto::Context;
use tiffin_testkit::{Postgres, eventually};
use time::OffsetDateTime;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    List, ListMetrics,
    batch::{self, Batch},
};
use crate::tables::{Entry, Generation, MIGRATIONS, Part, Row, SCHEMA, Tables};

struct World {
    list: List,
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
        Self {
            list: List {
                store,
                tables: Tables::new(derived),
                metrics: ListMetrics::default(),
                wanted: Arc::default(),
                replaced: Notify::new(),
            },
            _data: Box::new(data),
        }
    }

    fn tables(&self) -> &Tables {
        &self.list.tables
    }

    /// Puts rows into the generation that is served, as if they came from the beginning of the log.
    async fn put(&self, rows: &[Row]) -> (Generation, Cursor) {
        let live = self.tables().generations().await.unwrap().live;
        let from = self.tables().checkpoint(live).await.unwrap();
        let to = cursor(from.position.0 + 1);
        self.tables().advance(live, rows, &from, to).await.unwrap();
        (live, to)
    }

    async fn page(&self, part: &Part<'_>) -> Vec<Entry> {
        self.tables().look().await.unwrap().page(part).await.unwrap()
    }

    async fn numbers(&self) -> Vec<u64> {
        numbers(self.page(&EVERYTHING).await)
    }

    /// What the log says of every order.
    async fn fold(&self) -> Vec<Entry> {
        let events = self
            .list
            .store
            .read_all(Position::START, Direction::Forwards, usize::MAX)
            .await
            .unwrap();
        let mut newest = BTreeMap::new();
        for row in events.iter().filter_map(|event| batch::row(event).unwrap()) {
            newest.insert(Reverse(row.number), row);
        }
        let entry = |row: Row| Entry {
            number: row.number,
            updated_at: row.updated_at,
            public: row.public.into(),
        };
        newest.into_values().map(entry).collect()
    }

    /// Places two orders and cancels one of them, so often.
    async fn trade(&self, times: usize) {
        for _ in 0..times {
            self.place().await;
            let placed = self.place().await;
            self.cancel(&placed).await;
        }
    }

    /// Keeps the list until this generation is served.
    async fn keep_until(&self, generation: Generation) {
        let live = async || self.tables().generations().await.unwrap().live;
        tokio::select! {
            () = self.list.keep() => {}
            _ = async { eventually!(live().await, |live| *live == generation) } => {}
        }
    }

    async fn place(&self) -> Arc<RecordedEvent> {
        let id = OrderId::new(Uuid::now_v7());
        self.record(id, &Order::Absent, placed(), Expected::NoStream)
            .await
    }

    /// Cancels an order that was just placed.
    async fn cancel(&self, event: &RecordedEvent) {
        let id = OrderId::from_stream(event.stream.as_str()).unwrap();
        let order = evolve(Order::Absent, &placed(), event.created_at);
        let reason = Reason::CancelledByStaff;
        self.record(
            id,
            &order,
            Fact::Cancelled { reason },
            Expected::Exact(Revision::FIRST),
        )
        .await;
    }

    async fn record(&self, id: OrderId, order: &Order, fact: Fact, expected: Expected) -> Arc<RecordedEvent> {
        let event = tiffin_proto::encode(id, order, &NewFact::from(fact), &Context::default());
        self.append(id, expected, event.data, event.metadata).await
    }

    async fn append(
        &self,
        id: OrderId,
        expected: Expected,
        data: Bytes,
        metadata: Bytes,
    ) -> Arc<RecordedEvent> {
        let append = Append {
            stream: id.stream().into(),
            expected,
            events: vec![NewEvent {
                id: Uuid::now_v7(),
                kind: "order-something".into(),
                data,
                metadata,
            }],
            urgency: Urgency::Start,
        };
        self.list.store.append(append).await.unwrap().events.remove(0)
    }
}

fn placed() -> Fact {
    Fact::Created {
        owner: Owner::parse("web").unwrap(),
        products: Products::parse([("Dal", 1)]).unwrap(),
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
    an_order_never_goes_back,
    a_list_that_others_moved_is_left_to_them,
    every_part_of_the_list_is_what_a_look_at_all_of_it_gives,
    a_time_is_the_number_of_the_first_order_since,
    what_is_obsolete_is_deleted_and_whoever_follows_it_is_stopped,
    a_list_of_another_log_is_made_anew,
    an_event_that_cannot_be_read_is_passed_over_and_counted,
    a_list_built_anew_while_orders_come_is_what_the_log_says,
    a_building_that_was_interrupted_goes_on_where_it_was,
    a_list_that_has_come_further_is_not_replaced,
}

const EVERYTHING: Part<'_> = Part {
    statuses: &[],
    above: Position::START,
    below: Position::END,
    direction: Direction::Backwards,
    limit: 10_000,
};

fn at(second: u64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::from_secs(second)
}

fn cursor(position: u64) -> Cursor {
    Cursor {
        position: Position(position),
        event_id: Uuid::from_u128(position.into()),
    }
}

fn row(number: u64, version: u32, status: Status) -> Row {
    Row {
        number: Position(number),
        order: OrderId::new(Uuid::from_u128(number.into())),
        status,
        version: Version::new(version).unwrap(),
        created_at: at(number / 2),
        updated_at: at(number / 2 + u64::from(version)),
        public: vec![u8::try_from(version).unwrap()].into(),
    }
}

fn numbers(entries: Vec<Entry>) -> Vec<u64> {
    entries.into_iter().map(|entry| entry.number.0).collect()
}

async fn an_order_never_goes_back(world: World) {
    world.put(&[row(7, 2, Status::Paid)]).await;
    world.put(&[row(7, 1, Status::Pending)]).await;
    let part = Part {
        statuses: &[Status::Paid],
        ..EVERYTHING
    };
    let entries = world.page(&part).await;
    let paid = Entry {
        number: Position(7),
        updated_at: at(5),
        public: vec![2],
    };
    assert_eq!(entries, [paid]);
    world.put(&[row(7, 3, Status::Preparing)]).await;
    assert_eq!(world.page(&part).await, []);
}

async fn a_list_that_others_moved_is_left_to_them(world: World) {
    let (live, reached) = world.put(&[]).await;
    let rows = [row(1, 1, Status::Pending)];
    let fenced = world
        .tables()
        .advance(live, &rows, &Cursor::START, cursor(9))
        .await;
    assert!(matches!(fenced, Err(DerivedError::Fenced(_))), "{fenced:?}");
    assert!(world.numbers().await.is_empty(), "nothing of it was written");
    assert_eq!(world.tables().checkpoint(live).await.unwrap(), reached);
}

async fn every_part_of_the_list_is_what_a_look_at_all_of_it_gives(world: World) {
    // The statuses lie in stretches, and one of them nowhere.
    let status = |number: u64| Status::ALL[usize::try_from(number * number / 300 % 5).unwrap()];
    let rows: Vec<_> = (1..=1_100).map(|number| row(number, 1, status(number))).collect();
    world.put(&rows).await;
    let chosen: [&[Status]; 5] = [
        &[],
        &[Status::Paid],
        &[Status::Pending, Status::Delivered],
        &[Status::Cancelled],
        &Status::ALL,
    ];
    let spans = [(0, u64::MAX), (500, 520), (1_090, 1_200), (700, 700), (0, 2)];
    for statuses in chosen {
        for (above, below) in spans {
            for (direction, limit) in [(Direction::Forwards, 5), (Direction::Backwards, 200)] {
                let part = Part {
                    statuses,
                    above: Position(above),
                    below: Position(below),
                    direction,
                    limit,
                };
                let within = (1..=1_100).filter(|number| above < *number && *number < below);
                let mut expected: Vec<_> = within
                    .filter(|number| statuses.is_empty() || statuses.contains(&status(*number)))
                    .collect();
                if direction == Direction::Backwards {
                    expected.reverse();
                }
                expected.truncate(limit as usize);
                assert_eq!(numbers(world.page(&part).await), expected, "{part:?}");
            }
        }
    }
}

async fn a_time_is_the_number_of_the_first_order_since(world: World) {
    world
        .put(&[2, 4, 5, 9].map(|number| row(number, 1, Status::Paid)))
        .await;
    // Placed in the seconds 1, 2, 2 and 4.
    for (second, number) in [
        (0, Some(2)),
        (1, Some(2)),
        (2, Some(4)),
        (3, Some(9)),
        (4, Some(9)),
        (5, None),
    ] {
        let first = world
            .tables()
            .look()
            .await
            .unwrap()
            .first_since(at(second))
            .await
            .unwrap();
        assert_eq!(first, number.map(Position), "{second}");
    }
}

async fn what_is_obsolete_is_deleted_and_whoever_follows_it_is_stopped(world: World) {
    let rows: Vec<_> = [1, 2, 6_000, 23_000]
        .map(|number| row(number, 1, Status::Paid))
        .into();
    let (old, reached) = world.put(&rows).await;
    world.tables().begin_anew().await.unwrap();
    assert!(world.numbers().await.is_empty());
    world.put(&[row(3, 1, Status::Paid)]).await;
    world.tables().clear().await.unwrap();
    assert_eq!(world.numbers().await, [3], "what is served stays");
    assert_eq!(world.tables().obsolete().await.unwrap(), None);
    let fenced = world.tables().advance(old, &rows, &reached, cursor(9)).await;
    assert!(matches!(fenced, Err(DerivedError::Fenced(_))), "{fenced:?}");
}

async fn a_list_of_another_log_is_made_anew(world: World) {
    world.put(&[row(50, 1, Status::Paid)]).await;
    world.trade(1).await;
    let expected = world.fold().await;
    tokio::select! {
        () = world.list.follow() => {}
        _ = async { eventually!(world.page(&EVERYTHING).await, |entries| *entries == expected) } => {}
    }
}

async fn an_event_that_cannot_be_read_is_passed_over_and_counted(world: World) {
    let first = world.place().await;
    let id = OrderId::from_stream(first.stream.as_str()).unwrap();
    let rubbish = Bytes::from_static(b"\x0a\x02\xff\xff");
    world
        .append(id, Expected::Exact(Revision::FIRST), rubbish, Bytes::new())
        .await;
    let last = world.place().await;
    let expected = [last.stream_no.0, first.stream_no.0];
    tokio::select! {
        () = world.list.follow() => {}
        _ = async { eventually!(world.numbers().await, |numbers| *numbers == expected) } => {}
    }
    assert_eq!(world.list.metrics.skipped.get(), 1);
}

async fn a_list_built_anew_while_orders_come_is_what_the_log_says(world: World) {
    world.trade(20).await;
    // The list that is served is wrong.
    let live = world.tables().generations().await.unwrap().live;
    let first = world
        .list
        .store
        .read_all(Position::START, Direction::Forwards, 1)
        .await
        .unwrap()[0]
        .cursor();
    let wrong = [row(1, 9, Status::Paid)];
    world
        .tables()
        .advance(live, &wrong, &Cursor::START, first)
        .await
        .unwrap();
    let generation = world.tables().begin_building().await.unwrap();
    tokio::join!(world.keep_until(generation), world.trade(20));
    let expected = world.fold().await;
    tokio::select! {
        () = world.list.keep() => {}
        _ = async { eventually!(world.page(&EVERYTHING).await, |entries| *entries == expected) } => {}
    }
    assert_eq!(world.tables().generations().await.unwrap().building, None);
}

async fn a_building_that_was_interrupted_goes_on_where_it_was(world: World) {
    let tables = world.tables();
    world.trade(5).await;
    let generation = tables.begin_building().await.unwrap();
    assert_eq!(
        tables.begin_building().await.unwrap(),
        generation,
        "there is one at a time"
    );
    let events = world
        .list
        .store
        .read_all(Position::START, Direction::Forwards, 7)
        .await
        .unwrap();
    let mut batch = Batch::new(Cursor::START);
    for event in &events {
        batch.push(event).unwrap();
    }
    let mark = row(1, 9, Status::Paid);
    let mut rows = batch.take();
    rows[0] = mark.clone();
    tables
        .advance(generation, &rows, &Cursor::START, batch.reached())
        .await
        .unwrap();
    world.keep_until(generation).await;
    let mut expected = world.fold().await;
    let first = expected.last_mut().unwrap();
    (first.updated_at, first.public) = (mark.updated_at, mark.public.into());
    assert_eq!(
        world.page(&EVERYTHING).await,
        expected,
        "what was written before was not written again"
    );
}

async fn a_list_that_has_come_further_is_not_replaced(world: World) {
    let tables = world.tables();
    let generation = tables.begin_building().await.unwrap();
    world.put(&[row(1, 1, Status::Paid)]).await;
    world.put(&[row(2, 1, Status::Paid)]).await;
    let replaced = tables
        .replace(generation, &[row(1, 1, Status::Paid)], &Cursor::START, cursor(1))
        .await
        .unwrap();
    assert!(!replaced);
    assert_eq!(world.numbers().await, [2, 1]);
    let rest = [row(2, 2, Status::Preparing)];
    assert!(
        tables
            .replace(generation, &rest, &cursor(1), cursor(2))
            .await
            .unwrap()
    );
    assert_eq!(world.numbers().await, [2, 1]);
    assert_eq!(tables.generations().await.unwrap().live, generation);
    let again = tables
        .replace(generation, &[], &cursor(2), cursor(2))
        .await
        .unwrap();
    assert!(!again, "it is no building any more");
}
