//! Puts the parts together.

use std::sync::Arc;

use axum::{Router, http::HeaderMap};
use prometheus_client::registry::Registry;
use tiffin_bus::{Bus, Feed};
use tiffin_eventstore::{EventStore, Grant, LogAccess};
use tiffin_graphql::{Caller, Ports, Principal};
use tiffin_graphql_transport::{ApiKeys, Authenticate, Engine, Session, Settings, Transport};
use tiffin_runtime::{Holder, Keys, Lifecycle};
use tiffin_trace::Tracer;
use tokio_util::sync::CancellationToken;

use crate::{
    follow::follow,
    hub::Hub,
    metrics::Metrics,
    snapshots::{self, Snapshots},
    updates::Updates,
};

/// The stream in which every change of an order is published.
const STREAM: &str = "ORDER_UPDATED";

/// What the notifier needs of the database: it reads the log.
pub const GRANT: Grant = Grant {
    role: "tiffin_notifier",
    log: LogAccess::Read,
    schema: None,
};

/// What the notifier works with; one process may run several services over the same.
#[derive(Clone)]
pub struct Dependencies {
    /// The log, which it only reads.
    pub store: EventStore,
    /// What makes it fast.
    pub bus: Bus,
    /// The API keys that are accepted.
    pub keys: Keys<Principal>,
    /// Begins its spans.
    pub tracer: Tracer,
}

/// What can be set about the notifier.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Limits and times of its transports.
    pub transport: Settings,
}

/// Begins to follow the changes of all orders, and gives the routes at which subscriptions are answered:
/// `/graphql/ws` and `/graphql/stream`. When the lifecycle's soft token is cancelled, open connections are closed
/// spread over the grace period, so that their clients do not come back all at once.
pub fn start(
    dependencies: Dependencies,
    config: Config,
    lifecycle: &Lifecycle,
    registry: &mut Registry,
) -> Router {
    let Dependencies {
        store,
        bus,
        keys,
        tracer,
    } = dependencies;
    let mut settings = config.transport;
    settings.streams.drain = settings.streams.drain.min(lifecycle.grace().mul_f64(0.75));
    let clock = store.clone();
    let metrics = Metrics::new(Arc::new(move || clock.now()));
    metrics.register(registry);
    let hub = Hub::default();
    let (snapshots, queue) = Snapshots::new();
    // These go on while open connections are being closed, and end when the last is.
    let served = CancellationToken::new();
    let watched = hub.clone();
    let feed = Feed::new(&bus, store.clone(), STREAM, move || !watched.is_empty());
    spawn(
        lifecycle,
        "feed",
        &served,
        follow(feed, hub.clone(), metrics.clone(), tracer.clone()),
    );
    spawn(
        lifecycle,
        "snapshots",
        &served,
        snapshots::serve(queue, store.clone(), metrics.clone()),
    );

    // The engine checks documents and answers introspection; subscriptions never reach its resolvers.
    let engine = Engine::new(tiffin_graphql::builder(Ports::default()), settings);
    let (tracker, stop) = (lifecycle.tracker.clone(), lifecycle.soft.clone());
    let transport = Transport::new(engine, Arc::new(callers(keys, store)), tracker, stop);
    transport.register(registry.sub_registry_with_prefix("tiffin_notifier"));
    let updates = Arc::new(Updates {
        hub,
        snapshots,
        metrics,
        tracer,
        _serving: served.drop_guard(),
    });
    transport.ws(updates.clone()).merge(transport.sse(updates))
}

/// Who watches, by the key that a connection has.
fn callers(keys: Keys<Principal>, store: EventStore) -> impl Authenticate {
    ApiKeys::new(move |key: &str, _: &HeaderMap| {
        let Holder { principal, revoked } = keys.holder(key, store.now())?;
        let caller = Caller {
            principal,
            trace: None,
        };
        Some(Session::new(caller).until(revoked))
    })
}

fn spawn(
    lifecycle: &Lifecycle,
    name: &'static str,
    served: &CancellationToken,
    task: impl Future<Output = ()> + Send + 'static,
) {
    let served = served.clone();
    lifecycle.spawn(name, async move {
        served.run_until_cancelled(task).await;
    });
}
