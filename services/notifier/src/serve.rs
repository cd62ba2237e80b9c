//! The notifier as a process of its own.

use prometheus_client::registry::Registry;
use tiffin_bus::{Bus, State};
use tiffin_eventstore::{DatabaseUrl, EventStore};
use tiffin_graphql::Role;
use tiffin_runtime::{Error, HttpServer, Process, Readiness};
use tokio_util::task::TaskTracker;

use crate::{Config, Dependencies, Settings, start};

/// Opens everything that the settings name and serves until the process is asked to stop.
///
/// # Errors
/// A setting that is wrong, a port in use, a database that is not as it must be.
pub async fn serve(settings: Settings, process: Process) -> anyhow::Result<()> {
    if matches!(settings.database_url, DatabaseUrl::Sqlite(_)) {
        let reason = "SQLite serves one process only: run `tiffin dev`, or name a PostgreSQL database";
        return Err(Error::setting("DATABASE_URL", reason).into());
    }
    let Process { lifecycle, admin, .. } = process;
    let http = HttpServer::bind(&settings.http).await?;
    let keys = settings.keys.load(Role::Customer, Role::Operator)?;
    let store = EventStore::open(tiffin_eventstore::Config::new(settings.database_url)).await?;
    let nats = tiffin_bus::Config {
        url: settings.nats.nats_url.expose().to_owned(),
        name: "notifier".to_owned(),
    };
    // Not the lifecycle's tracker: the bus serves all others and is the last to go, so nobody waits for it.
    let bus = Bus::connect(nats, &TaskTracker::new(), lifecycle.hard.clone())
        .await
        .map_err(|error| Error::setting("TIFFIN_NATS_URL", error))?;

    let mut registry = Registry::default();
    store.register(&mut registry);
    bus.register(&mut registry);
    lifecycle.spawn("keys", keys.clone().follow(lifecycle.soft.clone()));
    let (readable, connected) = (store.clone(), bus.state());
    let config = Config {
        transport: settings.transport.into(),
    };
    let router = start(
        Dependencies { store, bus, keys },
        config,
        &lifecycle,
        &mut registry,
    );
    let readiness = Readiness::default()
        .needs("database", move || database(readable.clone()))
        .reports("nats", move || {
            std::future::ready(nats_state(&connected.borrow()))
        });
    admin.serve(registry, readiness);
    http.serve(router, &lifecycle);
    Ok(())
}

async fn database(store: EventStore) -> Result<String, String> {
    let head = store.head().await.map_err(|error| error.to_string())?;
    Ok(format!("log at {}", head.position))
}

fn nats_state(state: &State) -> Result<String, String> {
    match state {
        State::Connected { version } => Ok(format!("connected to {version}")),
        State::Refused { version } => Err(format!("version {version} is too old")),
        State::Disconnected => Err("disconnected".to_owned()),
    }
}
