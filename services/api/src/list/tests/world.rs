//! A log and a list of it, and rows to put into it.

use std::{any::Any, cmp::Reverse, collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use tempfile::TempDir;
use tiffin_bus::Bus;
use tiffin_eventstore::{
    Append, Cursor, DatabaseUrl, Derived, Direction, EventStore, Expected, NewEvent, Position, RecordedEvent,
    Revision, Urgency,
};
use tiffin_order::{Fact, NewFact, Order, OrderId, Owner, Products, Reason, Status, Version, evolve};
use tiffin_proto::Context;
use tiffin_testkit::{Postgres, eventually};
use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    admission::{Admission, AdmissionLimits},
    list::{List, ListMetrics, Portions, batch},
    metrics::Metrics,
    orders::Orders,
    requests::Rebuilds,
    tables::{Entry, Generation, MIGRATIONS, Part, Row, SCHEMA, Tables},
};

pub(super) struct World {
    pub(super) list: List,
    _data: Box<dyn Any + Send + Sync>,
}

impl World {
    pub(super) async fn sqlite() -> Self {
        let folder = TempDir::new().unwrap();
        Self::new(DatabaseUrl::Sqlite(folder.path().to_owned()), folder).await
    }

    pub(super) async fn postgres() -> Self {
        let database = Postgres::shared().await.database().await;
        Self::new(DatabaseUrl::Postgres(database.url.clone()), database).await
    }

    pub(super) async fn new(url: DatabaseUrl, data: impl Any + Send + Sync) -> Self {
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
                portions: Portions::default(),
                wanted: Arc::default(),
                replaced: Notify::new(),
            },
            _data: Box::new(data),
        }
    }

    pub(super) fn tables(&self) -> &Tables {
        &self.list.tables
    }

    /// What answers those who want the list built anew.
    pub(super) fn rebuilds(&self) -> Rebuilds {
        Rebuilds {
            store: self.list.store.clone(),
            tables: self.tables().clone(),
            wanted: Arc::clone(&self.list.wanted),
        }
    }

    /// What answers those who want to see the list; there is no NATS.
    pub(super) async fn orders(&self) -> Orders {
        let nobody = tiffin_bus::Config {
            url: "nats://127.0.0.1:1".to_owned(),
            name: "api".to_owned(),
            ca: None,
        };
        let bus = Bus::connect(nobody, &TaskTracker::new(), CancellationToken::new())
            .await
            .unwrap();
        let store = self.list.store.clone();
        Orders {
            bus,
            list: self.tables().clone(),
            admission: Admission::new(
                store.clone(),
                AdmissionLimits::default(),
                CancellationToken::new(),
            ),
            patience: Duration::from_secs(4),
            metrics: Metrics::default(),
            store,
            tracer: tiffin_trace::Tracer::silent(0.0),
        }
    }

    /// Puts rows into the generation that is served, as if they came from the beginning of the log.
    pub(super) async fn put(&self, rows: &[Row]) -> (Generation, Cursor) {
        let live = self.tables().generations().await.unwrap().live;
        let from = self.tables().checkpoint(live).await.unwrap();
        let to = cursor(from.position.0 + 1);
        self.tables().advance(live, rows, &from, to).await.unwrap();
        (live, to)
    }

    pub(super) async fn page(&self, part: &Part<'_>) -> Vec<Entry> {
        self.tables().look().await.unwrap().page(part).await.unwrap()
    }

    pub(super) async fn numbers(&self) -> Vec<u64> {
        numbers(self.page(&EVERYTHING).await)
    }

    /// What the log says of every order.
    pub(super) async fn fold(&self) -> Vec<Entry> {
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
    pub(super) async fn trade(&self, times: usize) {
        for _ in 0..times {
            self.place().await;
            let placed = self.place().await;
            self.cancel(&placed).await;
        }
    }

    /// Keeps the list until this generation is served.
    pub(super) async fn keep_until(&self, generation: Generation) {
        let live = async || self.tables().generations().await.unwrap().live;
        tokio::select! {
            () = self.list.keep() => {}
            _ = async { eventually!(live().await, |live| *live == generation) } => {}
        }
    }

    pub(super) async fn place(&self) -> Arc<RecordedEvent> {
        let id = OrderId::new(Uuid::now_v7());
        self.record(id, &Order::Absent, placed(), Expected::NoStream)
            .await
    }

    /// Cancels an order that was just placed.
    pub(super) async fn cancel(&self, event: &RecordedEvent) {
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

    pub(super) async fn record(
        &self,
        id: OrderId,
        order: &Order,
        fact: Fact,
        expected: Expected,
    ) -> Arc<RecordedEvent> {
        let event = tiffin_proto::encode(id, order, &NewFact::from(fact), &Context::default());
        self.append(id, expected, event.data, event.metadata).await
    }

    pub(super) async fn append(
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

pub(super) fn placed() -> Fact {
    Fact::Created {
        owner: Owner::parse("web").unwrap(),
        products: Products::parse([("Dal", 1)]).unwrap(),
    }
}

pub(super) const EVERYTHING: Part<'_> = Part {
    statuses: &[],
    above: Position::START,
    below: Position::END,
    direction: Direction::Backwards,
    limit: 10_000,
};

pub(super) fn at(second: u64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::from_secs(second)
}

pub(super) fn cursor(position: u64) -> Cursor {
    Cursor {
        position: Position(position),
        event_id: Uuid::from_u128(position.into()),
    }
}

pub(super) fn row(number: u64, version: u32, status: Status) -> Row {
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

pub(super) fn numbers(entries: Vec<Entry>) -> Vec<u64> {
    entries.into_iter().map(|entry| entry.number.0).collect()
}
