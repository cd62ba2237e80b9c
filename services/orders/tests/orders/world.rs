//! One log, one nats-server, and as many replicas of the service as a test wants.

use std::{any::Any, sync::Arc, time::Duration};

use bytes::Bytes;
use prometheus_client::registry::Registry;
use tempfile::TempDir;
use tiffin_bus::{Bus, Message, Relay, RelayConfig, State, StreamSpec, TRACE};
use tiffin_eventstore::{
    Append, AppendError, DatabaseUrl, Derived, Direction, EventStore, Expected, Migrations, NewEvent,
    Position, RecordedEvent, Revision, StreamName, Urgency,
};
use tiffin_order::{Fact, NewFact, Order, OrderId, Owner, Products, Status, Workflow};
use tiffin_orders::{Config, Dependencies};
use tiffin_proto::{Context, Envelope, apply, bus_payload, encode, kind, public};
use tiffin_runtime::{Ending, Lifecycle};
use tiffin_testkit::{NatsServer, Postgres, eventually};
use tiffin_trace::{Span, Tracer};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// What announcements belong to.
const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const NO_TABLES: Migrations = Migrations {
    sqlite: &[],
    postgres: &[],
};

/// A log and a nats-server of one test.
pub(crate) struct World {
    pub(crate) store: EventStore,
    pub(crate) nats: NatsServer,
    pub(crate) bus: Bus,
    /// What replicas record.
    pub(crate) tracer: Tracer,
    url: DatabaseUrl,
    announcing: CancellationToken,
    // Deleted with the world.
    _data: Box<dyn Any + Send + Sync>,
}

/// A running service.
pub(crate) struct Replica {
    lifecycle: Lifecycle,
    registry: Registry,
}

impl World {
    pub(crate) async fn sqlite() -> Self {
        let folder = TempDir::new().unwrap();
        let url = DatabaseUrl::Sqlite(folder.path().to_owned());
        Self::new(url, folder).await
    }

    pub(crate) async fn postgres() -> Self {
        let database = Postgres::shared().await.database().await;
        Self::new(DatabaseUrl::Postgres(database.url.clone()), database).await
    }

    /// One on a PostgreSQL server of its own, which can be restored.
    pub(crate) async fn restorable() -> (Self, Postgres) {
        let server = Postgres::start().await;
        let database = server.database().await;
        (
            Self::new(DatabaseUrl::Postgres(database.url.clone()), database).await,
            server,
        )
    }

    async fn new(url: DatabaseUrl, data: impl Any + Send + Sync) -> Self {
        EventStore::migrate(&url).await.unwrap();
        tiffin_orders::migrate(&url).await.unwrap();
        Derived::migrate(&url, "api", NO_TABLES).await.unwrap();
        let store = EventStore::open(tiffin_eventstore::Config::new(url.clone()))
            .await
            .unwrap();
        let nats = NatsServer::start().await;
        let config = tiffin_bus::Config {
            url: nats.url(),
            name: "test".to_owned(),
            ca: None,
        };
        let announcing = CancellationToken::new();
        let bus = Bus::connect(config, &TaskTracker::new(), announcing.clone())
            .await
            .unwrap();
        bus.state().wait_for(State::is_connected).await.unwrap();
        Self {
            store,
            nats,
            bus,
            tracer: Tracer::silent(0.0),
            url,
            announcing,
            _data: Box::new(data),
        }
    }

    /// A store as another process would have it; SQLite is for one process alone.
    async fn another_store(&self) -> EventStore {
        match &self.url {
            DatabaseUrl::Sqlite(_) => self.store.clone(),
            url @ DatabaseUrl::Postgres(_) => EventStore::open(tiffin_eventstore::Config::new(url.clone()))
                .await
                .unwrap(),
        }
    }

    /// Publishes new orders as `api` does.
    pub(crate) async fn announce(&self) {
        let derived = Derived::open(&self.store, "api", NO_TABLES).await.unwrap();
        let tracker = TaskTracker::new();
        let lease = derived.lease("relay", "test".to_owned(), &tracker, self.announcing.clone());
        let config = RelayConfig {
            name: "order-created",
            stream: created(),
            store: self.store.clone(),
            derived,
            lease,
        };
        let relay = Relay::new(&self.bus, config, announcement);
        tracker.spawn(relay.run(self.announcing.clone()));
    }

    /// Starts a replica under a workflow with these waits, in milliseconds.
    pub(crate) async fn replica(&self, waits: [u32; 4]) -> Replica {
        self.replica_at(1.0, waits).await
    }

    /// Starts a replica that divides these waits, in milliseconds, by `speed`.
    pub(crate) async fn replica_at(&self, speed: f64, waits: [u32; 4]) -> Replica {
        let lifecycle = Lifecycle::new(Duration::from_secs(5));
        let mut registry = Registry::default();
        let dependencies = Dependencies {
            store: self.another_store().await,
            bus: self.bus.clone(),
            tracer: self.tracer.clone(),
        };
        let config = Config {
            workflow: workflow(waits),
            speed,
            ..Config::default()
        };
        tiffin_orders::start(dependencies, config, &lifecycle, &mut registry)
            .await
            .unwrap();
        eventually!(
            self.bus
                .request("orders.order.get", Bytes::from_static(b"{}"), PATIENCE)
                .await
                .is_ok(),
            |ok| *ok
        );
        Replica { lifecycle, registry }
    }

    /// Places an order.
    pub(crate) async fn place(&self) -> OrderId {
        let id = OrderId::new(Uuid::now_v7());
        self.append(id, created_event(id)).await;
        id
    }

    /// Places an order whose first event cannot be read by who folds it.
    pub(crate) async fn place_damaged(&self) -> OrderId {
        let id = OrderId::new(Uuid::now_v7());
        let event = created_event(id);
        let data = tiffin_proto::v1::EventData {
            public: public(&event.data).unwrap(),
            fact: Bytes::from_static(b"\xff\xff\xff"),
            personal: Bytes::new(),
        };
        self.append(
            id,
            NewEvent {
                data: prost::Message::encode_to_vec(&data).into(),
                ..event
            },
        )
        .await;
        id
    }

    async fn append(&self, id: OrderId, event: NewEvent) {
        let append = Append {
            stream: StreamName::from(id.stream()),
            expected: Expected::NoStream,
            events: vec![event],
            urgency: Urgency::Start,
        };
        match self.store.append(append.clone()).await {
            // Nothing was written; the store knows the log that is there by now.
            Err(AppendError::LogReplaced) => self.store.append(append).await,
            appended => appended,
        }
        .unwrap();
    }

    pub(crate) async fn events(&self, stream: &str) -> Vec<Arc<RecordedEvent>> {
        let stream = StreamName::from(stream.to_owned());
        self.store
            .read_stream(&stream, Revision::FIRST, Direction::Forwards, 100)
            .await
            .unwrap()
    }

    pub(crate) async fn order(&self, id: OrderId) -> Order {
        self.events(&id.stream())
            .await
            .iter()
            .fold(Order::Absent, |order, event| {
                apply(order, &event.kind, &event.data, &event.metadata, event.created_at).unwrap()
            })
    }

    /// The versions that the order's customer could see, with their statuses.
    pub(crate) async fn seen(&self, id: OrderId) -> Vec<(u32, Status)> {
        let envelopes = self.events(&id.stream()).await;
        let envelopes = envelopes
            .iter()
            .map(|event| Envelope::decode(&event.metadata).unwrap());
        envelopes
            .filter_map(|envelope| Some((envelope.version?.get(), envelope.status?)))
            .collect()
    }

    pub(crate) async fn until(&self, id: OrderId, status: Status, patience: Duration) {
        eventually!(within patience, self.order(id).await.status(), |now| *now == Some(status));
    }

    pub(crate) async fn until_events(&self, id: OrderId, count: usize) {
        eventually!(self.events(&id.stream()).await.len(), |found| *found >= count);
    }

    /// The streams in the log whose names begin so.
    pub(crate) async fn streams(&self, prefix: &str) -> Vec<String> {
        let all = self
            .store
            .read_all(Position::START, Direction::Forwards, 10_000)
            .await
            .unwrap();
        let first = all.iter().filter(|event| event.revision == Revision::FIRST);
        first
            .map(|event| event.stream.to_string())
            .filter(|name| name.starts_with(prefix))
            .collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.announcing.cancel();
    }
}

impl Replica {
    /// Stops the service as SIGTERM does.
    pub(crate) async fn stop(self) {
        self.lifecycle.soft.cancel();
        assert_eq!(self.lifecycle.finished().await, Ending::Clean);
    }

    /// A sample of the metrics, such as `tiffin_orders_parked_total{what="order"}`.
    pub(crate) fn metric(&self, sample: &str) -> u64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().unwrap())
    }
}

/// Every status of an order that nobody cancels, with its version.
pub(crate) fn delivered() -> Vec<(u32, Status)> {
    (1..)
        .zip(
            Status::ALL
                .into_iter()
                .filter(|status| *status != Status::Cancelled),
        )
        .collect()
}

fn workflow(waits: [u32; 4]) -> Workflow {
    let names = ["payment", "confirmation", "ready", "delivery"];
    let steps = names
        .iter()
        .zip(waits)
        .map(|(name, wait)| format!("[[step]]\nname = \"{name}\"\nkind = \"wait\"\nwait = \"{wait}ms\"\n"));
    Workflow::parse(&steps.collect::<String>()).unwrap()
}

fn created_event(id: OrderId) -> NewEvent {
    let owner = Owner::parse("web").unwrap();
    let products = Products::parse([("Dal", 2)]).unwrap();
    let fact = NewFact::from(Fact::Created { owner, products });
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        .parse()
        .ok();
    let encoded = encode(
        id,
        &Order::Absent,
        &fact,
        &Context {
            trace,
            ..Context::default()
        },
    );
    NewEvent {
        id: Uuid::now_v7(),
        kind: encoded.kind.into(),
        data: encoded.data,
        metadata: encoded.metadata,
    }
}

fn created() -> StreamSpec {
    StreamSpec {
        name: "ORDER_CREATED",
        description: "As api makes it.",
        subjects: &["order.created.*"],
        max_age: Duration::from_hours(1),
        max_messages: 1000,
        max_bytes: 1 << 20,
        replicas: 1,
        version: 1,
    }
}

fn announcement(event: &RecordedEvent) -> Option<Message> {
    let id = OrderId::from_stream(event.stream.as_str()).filter(|_| &*event.kind == kind::ORDER_CREATED)?;
    Some(Message {
        subject: format!("order.created.{id}"),
        headers: vec![(TRACE, SAMPLED.to_owned())],
        payload: bus_payload(&public(&event.data)?, event.created_at),
        span: Span::default(),
    })
}
