//! A notifier in this process, over a real store and a real nats-server.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use prometheus_client::{encoding::text::encode, registry::Registry};
use serde_json::{Value, json};
use tiffin_bus::{Bus, Message, Relay, RelayConfig, StreamSpec};
use tiffin_eventstore::{DatabaseUrl, Derived, EventStore, Migrations, RecordedEvent, Revision};
use tiffin_notifier::{Config, Dependencies, start};
use tiffin_order::OrderId;
use tiffin_proto::{bus_payload, public};
use tiffin_runtime::{HttpServer, HttpSettings, KeySettings, Lifecycle, Secret};
use tiffin_testkit::{GraphQl, NatsServer, SseStream, scratch_folder};
use tiffin_trace::{Span, Tracer};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::placed::Placed;

pub(crate) const KEY: &str = "da2-ordinarycustomerskey00000";
pub(crate) const OPERATOR_KEY: &str = "operator-key-of-these-tests-00000";

/// Whom [`KEY`] stands for.
pub(crate) const CUSTOMER: &str = "customer";

pub(crate) const WATCH: &str = "subscription Watch($id: ID!, $after: Int) \
     { onOrderUpdated(id: $id, afterVersion: $after) { id status version } }";

const STREAM: StreamSpec = StreamSpec {
    name: "ORDER_UPDATED",
    description: "Every change of an order",
    subjects: &["order.updated.*"],
    max_age: Duration::from_hours(1),
    max_messages: 100_000,
    max_bytes: 64 * 1024 * 1024,
    replicas: 1,
    version: 1,
};

/// A store, a broker, and a relay between them.
pub(crate) struct World {
    pub(crate) store: EventStore,
    pub(crate) nats: NatsServer,
    stop: CancellationToken,
}

impl World {
    pub(crate) async fn start() -> Self {
        let url = DatabaseUrl::Sqlite(scratch_folder("data"));
        let migrations = Migrations {
            sqlite: &[],
            postgres: &[],
        };
        EventStore::migrate(&url).await.unwrap();
        Derived::migrate(&url, "orders", migrations).await.unwrap();
        let store = EventStore::open(tiffin_eventstore::Config::new(url))
            .await
            .unwrap();
        let derived = Derived::open(&store, "orders", migrations).await.unwrap();
        let world = Self {
            store,
            nats: NatsServer::start().await,
            stop: CancellationToken::new(),
        };
        let bus = world.bus("orders").await;
        let lease = derived.lease(
            "relay",
            "test".to_owned(),
            &TaskTracker::new(),
            world.stop.clone(),
        );
        let config = RelayConfig {
            name: "order-updated",
            stream: STREAM,
            store: world.store.clone(),
            derived,
            lease,
        };
        tokio::spawn(Relay::new(&bus, config, message).run(world.stop.clone()));
        world
    }

    async fn bus(&self, name: &str) -> Bus {
        let config = tiffin_bus::Config {
            url: self.nats.url(),
            name: name.to_owned(),
            ca: None,
        };
        Bus::connect(config, &TaskTracker::new(), self.stop.clone())
            .await
            .unwrap()
    }

    /// One more notifier; any number work together.
    pub(crate) async fn notifier(&self) -> Notifier {
        self.notifier_with_keys(None).await
    }

    /// A notifier that knows the keys of a file, too.
    pub(crate) async fn notifier_with_keys(&self, file: Option<PathBuf>) -> Notifier {
        let lifecycle = Lifecycle::new(Duration::from_secs(4));
        let keys = KeySettings {
            keys: file,
            api_key: Some(Secret::new(KEY)),
            operator_key: Some(Secret::new(OPERATOR_KEY)),
        };
        let keys = keys.load().unwrap();
        let clock = self.store.clone();
        let follow_keys = keys.clone().follow(move || clock.now(), lifecycle.soft.clone());
        lifecycle.spawn("keys", follow_keys);
        let dependencies = Dependencies {
            store: self.store.clone(),
            bus: self.bus("notifier").await,
            keys,
            tracer: Tracer::silent(0.0),
        };
        let mut registry = Registry::default();
        let router = start(dependencies, Config::default(), &lifecycle, &mut registry);
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let settings = HttpSettings {
            listen,
            max_connections: 1_000,
            tls_cert: None,
            tls_key: None,
        };
        let http = HttpServer::bind(&settings).unwrap();
        let url = format!("http://{}", http.address().unwrap());
        http.serve(router, &lifecycle);
        Notifier {
            url,
            lifecycle,
            registry: Arc::new(registry),
        }
    }

    /// An order of [`KEY`]'s holder at version 1.
    pub(crate) async fn place(&self) -> Placed {
        self.place_for(CUSTOMER).await
    }

    pub(crate) async fn place_for(&self, owner: &str) -> Placed {
        Placed::by(owner, &self.store).await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The message of each change but the first, which is in another stream.
fn message(event: &RecordedEvent) -> Option<Message> {
    let id = OrderId::from_stream(event.stream.as_str()).filter(|_| event.revision > Revision::FIRST)?;
    Some(Message {
        subject: format!("order.updated.{id}"),
        headers: Vec::new(),
        payload: bus_payload(&public(&event.data)?, event.created_at),
        span: Span::default(),
    })
}

/// A running notifier.
pub(crate) struct Notifier {
    pub(crate) url: String,
    pub(crate) lifecycle: Lifecycle,
    registry: Arc<Registry>,
}

impl Notifier {
    pub(crate) fn client(&self) -> GraphQl {
        GraphQl::new(&self.url, KEY)
    }

    pub(crate) async fn watch(&self, order: &Placed, after: Option<u32>) -> SseStream {
        self.resume(order, after, None).await
    }

    pub(crate) async fn resume(
        &self,
        order: &Placed,
        after: Option<u32>,
        last_event_id: Option<&str>,
    ) -> SseStream {
        let variables = json!({ "id": order.id.to_string(), "after": after });
        self.client()
            .subscribe(WATCH, variables, last_event_id)
            .await
            .unwrap()
    }

    pub(crate) fn metric(&self, name: &str) -> f64 {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        let line = text.lines().find(|line| line.split(' ').next() == Some(name));
        let value = line
            .unwrap_or_else(|| panic!("{name} is not in:\n{text}"))
            .rsplit(' ')
            .next()
            .unwrap();
        value.parse().unwrap()
    }
}

/// The version in an event of a stream, which must also be its id.
pub(crate) async fn version(stream: &mut SseStream) -> Option<u32> {
    let event = stream.next().await.unwrap()?;
    if event.event == "complete" {
        return None;
    }
    assert_eq!(event.event, "next");
    let data: Value = event.json().unwrap();
    let version = &data["data"]["onOrderUpdated"]["version"];
    assert_eq!(event.id, version.to_string(), "{data}");
    Some(u32::try_from(version.as_u64().unwrap()).unwrap())
}

/// All versions until the subscription completes.
pub(crate) async fn versions(stream: &mut SseStream) -> Vec<u32> {
    let mut versions = Vec::new();
    while let Some(version) = version(stream).await {
        versions.push(version);
    }
    versions
}
