//! The program `tiffin-notifier`.

use std::{future::ready, process::ExitCode};

use clap::Parser;
use prometheus_client::registry::Registry;
use tiffin_bus::Bus;
use tiffin_eventstore::{DatabaseUrl, EventStore};
use tiffin_graphql::Role;
use tiffin_graphql_transport::SettingsArgs;
use tiffin_notifier::{Config, Deps};
use tiffin_runtime::{
    Common, Error, HttpServer, HttpSettings, KeySettings, NatsSettings, Process, Readiness,
};
use tokio_util::task::TaskTracker;

/// Answers GraphQL subscriptions, over WebSocket at /graphql/ws and server-sent events at /graphql/stream.
#[derive(Debug, Parser)]
#[command(name = "tiffin-notifier", version)]
struct Settings {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    http: HttpSettings,
    #[command(flatten)]
    transport: SettingsArgs,
    #[command(flatten)]
    nats: NatsSettings,
    #[command(flatten)]
    keys: KeySettings,
    /// The database that holds the log: `postgres://…`
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: DatabaseUrl,
}

impl tiffin_runtime::Settings for Settings {
    fn common(&self) -> &Common {
        &self.common
    }
}

fn main() -> ExitCode {
    tiffin_runtime::main(start)
}

async fn start(settings: Settings, process: Process) -> anyhow::Result<()> {
    let Process { lifecycle, admin, .. } = process;
    if let DatabaseUrl::Sqlite(_) = settings.database_url {
        let reason = "SQLite is for one process alone: use postgres:, or run everything by `tiffin dev`";
        return Err(Error::setting("DATABASE_URL", reason).into());
    }
    let server = HttpServer::bind(&settings.http).await?;
    let keys = settings.keys.load(Role::Customer, Role::Operator)?;
    lifecycle.spawn("keys", keys.clone().follow(lifecycle.soft.clone()));

    let store = EventStore::open(tiffin_eventstore::Config::new(settings.database_url)).await?;
    let nats = tiffin_bus::Config {
        url: settings.nats.nats_url.expose().to_owned(),
        name: "notifier".to_owned(),
    };
    // Its tasks end with the process, so that what is still open on the way out is served.
    let bus = Bus::connect(nats, &TaskTracker::new(), lifecycle.hard.clone())
        .await
        .map_err(|error| Error::setting("TIFFIN_NATS_URL", error))?;

    let mut registry = Registry::default();
    store.register(&mut registry);
    bus.register(&mut registry);
    let deps = Deps {
        store: store.clone(),
        bus: bus.clone(),
        keys,
    };
    let config = Config {
        transport: settings.transport.into(),
    };
    let router = tiffin_notifier::start(deps, config, &lifecycle, &mut registry);
    server.serve(router, &lifecycle);
    admin.serve(registry, readiness(store, bus));
    tracing::info!("ready");
    Ok(())
}

/// Ready is what can read the log; NATS is reported beside it.
fn readiness(store: EventStore, bus: Bus) -> Readiness {
    Readiness::default()
        .needs("database", move || {
            let store = store.clone();
            async move {
                let head = store.head().await.map_err(|error| error.to_string())?;
                Ok(format!("log at {}", head.position))
            }
        })
        .reports("nats", move || {
            let state = bus.state().borrow().clone();
            let word = format!("{state:?}");
            ready(if state.is_connected() { Ok(word) } else { Err(word) })
        })
}
