//! The three services over one store and one bus.

use std::time::Duration;

use tiffin_bus::{Bus, State};
use tiffin_eventstore::{DatabaseUrl, EventStore};
use tiffin_graphql::Principal;
use tiffin_graphql_transport::nothing_here;
use tiffin_platform::Platform;
use tiffin_runtime::{Error, HttpServer, Keys, Process};

use crate::migrate;

/// How long NATS may take to answer before everything goes on without it. It is not needed, only waited for because it
/// mostly is there.
const PATIENCE: Duration = Duration::from_millis(500);

/// What is said at addresses that are nobody's.
const ELSEWHERE: &str = "POST queries and mutations to /graphql; subscribe over WebSocket at /graphql/ws or by \
     server-sent events at /graphql/stream.";

/// What the services are made of.
pub(super) struct Plan {
    pub(super) database: DatabaseUrl,
    pub(super) nats_url: String,
    pub(super) keys: Keys<Principal>,
    pub(super) transport: tiffin_graphql_transport::Settings,
    pub(super) saga: tiffin_orders::Config,
}

/// What they share.
pub(super) struct Services {
    pub(super) store: EventStore,
    pub(super) bus: Bus,
}

pub(super) async fn start(plan: Plan, http: HttpServer, process: &Process) -> anyhow::Result<Services> {
    let lifecycle = &process.lifecycle;
    migrate::all(&plan.database).await?;
    let postgres = matches!(plan.database, DatabaseUrl::Postgres(_));
    let nats = tiffin_bus::Config {
        url: plan.nats_url,
        name: "tiffin".to_owned(),
        ca: None,
    };
    let mut platform = Platform::open(plan.database, nats, lifecycle).await?;
    refuse_old(&platform.bus).await?;
    let (store, bus) = (platform.store.clone(), platform.bus.clone());
    let clock = store.clone();
    let follow_keys = plan
        .keys
        .clone()
        .follow(move || clock.now(), lifecycle.soft.clone());
    lifecycle.spawn("keys", follow_keys);
    if postgres {
        // Services of other processes may work on the same database.
        platform.announce_commits(lifecycle);
    }

    let registry = &mut platform.registry;
    let orders = tiffin_orders::Dependencies {
        store: store.clone(),
        bus: bus.clone(),
        tracer: process.traces.tracer("tiffin-orders")?,
    };
    tiffin_orders::start(orders, plan.saga, lifecycle, registry).await?;
    let api = tiffin_api::Dependencies {
        store: store.clone(),
        bus: bus.clone(),
        keys: plan.keys.clone(),
        tracer: process.traces.tracer("tiffin-api")?,
    };
    let config = tiffin_api::Config {
        transport: plan.transport.clone(),
        ..tiffin_api::Config::default()
    };
    let queries = tiffin_api::start(api, config, lifecycle, registry).await?;
    let notifier = tiffin_notifier::Dependencies {
        store: store.clone(),
        bus: bus.clone(),
        keys: plan.keys,
        tracer: process.traces.tracer("tiffin-notifier")?,
    };
    let config = tiffin_notifier::Config {
        transport: plan.transport,
    };
    let subscriptions = tiffin_notifier::start(notifier, config, lifecycle, registry);
    platform.show(&process.admin);
    let router = queries.merge(subscriptions).fallback(nothing_here(ELSEWHERE));
    http.serve(router, lifecycle);
    Ok(Services { store, bus })
}

/// Waits a moment for the server, so that one which is too old is noticed.
async fn refuse_old(bus: &Bus) -> Result<(), Error> {
    let mut state = bus.state();
    let known = state.wait_for(|state| *state != State::Disconnected);
    match tokio::time::timeout(PATIENCE, known).await {
        Ok(Ok(state)) if !state.is_connected() => Err(Error::setting("TIFFIN_NATS_URL", &*state)),
        _ => Ok(()),
    }
}
