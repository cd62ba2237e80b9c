//! The three services over one store and one bus.

use std::time::Duration;

use prometheus_client::registry::Registry;
use tiffin_bus::{Bus, State};
use tiffin_eventstore::{DatabaseUrl, EventStore};
use tiffin_graphql::Role;
use tiffin_runtime::{Error, HttpServer, Keys, Process, Readiness};
use tokio_util::task::TaskTracker;

use crate::migrate;

/// How long NATS may take to answer before everything goes on without it.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the services are made of.
pub(super) struct Plan {
    pub(super) database: DatabaseUrl,
    pub(super) nats_url: String,
    pub(super) keys: Keys<Role>,
    pub(super) transport: tiffin_graphql_transport::Settings,
    pub(super) saga: tiffin_orders::Config,
}

/// What they share.
pub(super) struct Services {
    pub(super) store: EventStore,
}

pub(super) async fn start(plan: Plan, http: HttpServer, process: &Process) -> anyhow::Result<Services> {
    let lifecycle = &process.lifecycle;
    migrate::all(&plan.database).await?;
    let postgres = matches!(plan.database, DatabaseUrl::Postgres(_));
    let store = EventStore::open(tiffin_eventstore::Config::new(plan.database)).await?;
    let bus = connect(plan.nats_url, process).await?;
    let mut registry = Registry::default();
    store.register(&mut registry);
    bus.register(&mut registry);
    let soft = || lifecycle.soft.clone();
    lifecycle.spawn("keys", plan.keys.clone().follow(soft()));
    if postgres {
        // Services of other processes may work on the same database.
        let announce = tiffin_bus::announce_commits(bus.clone(), store.clone(), soft());
        lifecycle.spawn("announcements", announce);
    }

    let orders = tiffin_orders::Deps {
        store: store.clone(),
        bus: bus.clone(),
    };
    tiffin_orders::start(orders, plan.saga, lifecycle, &mut registry).await?;
    let api = tiffin_api::Dependencies {
        store: store.clone(),
        bus: bus.clone(),
        keys: plan.keys.clone(),
        sampler: process.sampler,
    };
    let config = tiffin_api::Config {
        transport: plan.transport.clone(),
        ..tiffin_api::Config::default()
    };
    let queries = tiffin_api::start(api, config, lifecycle, &mut registry).await?;
    let notifier = tiffin_notifier::Dependencies {
        store: store.clone(),
        bus: bus.clone(),
        keys: plan.keys,
    };
    let config = tiffin_notifier::Config {
        transport: plan.transport,
    };
    let subscriptions = tiffin_notifier::start(notifier, config, lifecycle, &mut registry);
    process.admin.serve(registry, readiness(store.clone(), bus));
    http.serve(queries.merge(subscriptions), lifecycle);
    Ok(Services { store })
}

/// Connects, and waits a moment so that a server which is too old is noticed.
async fn connect(url: String, process: &Process) -> anyhow::Result<Bus> {
    let config = tiffin_bus::Config {
        url,
        name: "tiffin".to_owned(),
    };
    // Not the lifecycle's tracker: all others use the bus until they have ended.
    let bus = Bus::connect(config, &TaskTracker::new(), process.lifecycle.hard.clone())
        .await
        .map_err(|error| Error::setting("TIFFIN_NATS_URL", error))?;
    let mut state = bus.state();
    let known = state.wait_for(|state| *state != State::Disconnected);
    if let Ok(Ok(state)) = tokio::time::timeout(PATIENCE, known).await
        && let State::Refused { version } = &*state
    {
        let reason = format!("the nats-server there is of version {version}; 2.14 or later is needed");
        return Err(Error::setting("TIFFIN_NATS_URL", reason).into());
    }
    Ok(bus)
}

/// Ready is what can read the log; NATS is reported beside it.
fn readiness(store: EventStore, bus: Bus) -> Readiness {
    let log = move || {
        let store = store.clone();
        async move {
            let head = store.head().await.map_err(|error| error.to_string())?;
            Ok(format!("log at {}", head.position))
        }
    };
    let nats = move || {
        let answer = match &*bus.state().borrow() {
            State::Connected { version } => Ok(format!("connected to {version}")),
            State::Refused { version } => Err(format!("version {version} is too old")),
            State::Disconnected => Err("disconnected".to_owned()),
        };
        std::future::ready(answer)
    };
    Readiness::default().needs("database", log).reports("nats", nats)
}
