//! Puts the service together.

use std::sync::Arc;

use axum::{
    Router,
    http::{HeaderMap, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use prometheus_client::registry::Registry;
use tiffin_bus::{Bus, Relay, RelayConfig};
use tiffin_eventstore::{DatabaseUrl, Derived, EventStore, Grant, Lease, LogAccess, MigrateError, OpenError};
use tiffin_graphql::{Caller, Ports, Principal};
use tiffin_graphql_transport::{ApiKeys, Authenticate, Engine, Session, Transport};
use tiffin_runtime::{Holder, Keys, Lifecycle};
use tiffin_trace::Tracer;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    admission::Admission,
    config::Config,
    list::{List, ListMetrics, Portions},
    metrics::Metrics,
    orders::Orders,
    relay,
    requests::{self, Rebuilds},
    tables::{MIGRATIONS, SCHEMA, Tables},
};

/// What the service works with; one process may run several services over the same.
#[derive(Clone)]
pub struct Dependencies {
    /// The log of all events.
    pub store: EventStore,
    /// The way to the other services.
    pub bus: Bus,
    /// The API keys that are accepted.
    pub keys: Keys<Principal>,
    /// Begins its spans, and decides which new traces are sampled.
    pub tracer: Tracer,
}

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What it derives from the log cannot be opened.
    #[error("cannot open the tables of api")]
    Derived(#[from] OpenError),
}

/// What the service needs of the database: it starts streams and keeps the list of orders.
pub const GRANT: Grant = Grant {
    role: "tiffin_api",
    log: LogAccess::Start,
    schema: Some((SCHEMA, MIGRATIONS)),
};

/// Creates or changes the tables of `api`. Safe from several processes at once.
///
/// # Errors
/// If the database refuses or does not answer.
pub async fn migrate(url: &DatabaseUrl) -> Result<(), MigrateError> {
    Derived::migrate(url, SCHEMA, MIGRATIONS).await
}

/// Starts the service's tasks and returns what it answers over HTTP.
///
/// # Errors
/// If its tables cannot be opened or are not those of this version.
pub async fn start(
    dependencies: Dependencies,
    config: Config,
    lifecycle: &Lifecycle,
    registry: &mut Registry,
) -> Result<Router, StartError> {
    let Dependencies {
        store,
        bus,
        keys,
        tracer,
    } = dependencies;
    let derived = Derived::open(&store, SCHEMA, MIGRATIONS).await?;
    let holder = format!("api-{}", Uuid::now_v7());
    let lease = derived.lease("api", holder, &lifecycle.tracker, lifecycle.soft.clone());
    let list = Tables::new(derived.clone());
    keep_list(&store, &list, &bus, lease.clone(), lifecycle, registry);
    let relaying = RelayConfig {
        name: "order-created",
        stream: relay::stream(config.stream_replicas),
        store: store.clone(),
        derived,
        lease,
    };
    publish(&bus, relaying, tracer.clone(), lifecycle);

    let limits = config.admission.within(config.transport.request_timeout);
    let admission = Admission::new(store.clone(), limits, lifecycle.soft.clone());
    lifecycle.spawn("admission", admission.clone().follow());

    let metrics = Metrics::default();
    metrics.register(registry, &admission);
    let orders = Orders {
        store: store.clone(),
        bus,
        list,
        admission,
        patience: config.transport.request_timeout.mul_f64(0.8),
        metrics,
        tracer: tracer.clone(),
    };
    let ports = Ports {
        orders: Some(Arc::new(orders)),
        updates: None,
    };
    let engine = Engine::new(tiffin_graphql::builder(ports), config.transport);
    let (tracker, stop) = (lifecycle.tracker.clone(), lifecycle.soft.clone());
    let transport = Transport::new(engine, Arc::new(callers(keys, store, tracer)), tracker, stop);
    transport.register(registry.sub_registry_with_prefix("tiffin_api"));
    Ok(transport.http().route("/", get(about)))
}

/// Publishes new orders while the lease is held.
fn publish(bus: &Bus, relaying: RelayConfig, tracer: Tracer, lifecycle: &Lifecycle) {
    let relay = Relay::new(bus, relaying, move |event| relay::message(&tracer, event));
    let relaying = relay.gathering(relay::GATHER).run(lifecycle.soft.clone());
    lifecycle.spawn("relay of order.created", relaying);
}

/// Who asks, by the key that a request has; its span goes on from the one that the client names.
fn callers(keys: Keys<Principal>, store: EventStore, tracer: Tracer) -> impl Authenticate {
    ApiKeys::new(move |key: &str, headers: &HeaderMap| {
        let Holder { principal, revoked } = keys.holder(key, store.now())?;
        let given = headers.get("traceparent").and_then(|value| value.to_str().ok());
        let span = tracer.request(given, "request");
        let caller = Caller {
            principal,
            trace: span.context(),
        };
        Some(Session::new(caller).until(revoked).within(span))
    })
}

/// Keeps the list of orders while the lease is held, and answers those who want it built anew.
fn keep_list(
    store: &EventStore,
    tables: &Tables,
    bus: &Bus,
    lease: Lease,
    lifecycle: &Lifecycle,
    registry: &mut Registry,
) {
    let (store, tables, wanted) = (store.clone(), tables.clone(), Arc::new(Notify::new()));
    let rebuilds = Rebuilds {
        store: store.clone(),
        tables: tables.clone(),
        wanted: Arc::clone(&wanted),
    };
    let list = List {
        store,
        tables,
        metrics: ListMetrics::default(),
        portions: Portions::default(),
        wanted,
        replaced: Notify::new(),
    };
    list.metrics.register(registry);
    let stop = || lifecycle.soft.clone();
    lifecycle.spawn("list of orders", list.lead(lease, stop()));
    let serving = tiffin_bus::serve(bus.clone(), requests::spec(&rebuilds), stop());
    lifecycle.spawn("service api", serving);
}

/// What whoever opens the address in a browser is told.
async fn about() -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "text/plain; charset=utf-8")],
        include_str!("about.txt"),
    )
}
