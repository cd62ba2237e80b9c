//! The program `tiffin-orders`.

use std::process::ExitCode;

use clap::Parser;
use prometheus_client::registry::Registry;
use tiffin_bus::Bus;
use tiffin_eventstore::{DatabaseUrl, EventStore};
use tiffin_orders::{Config, Deps, SagaSettings};
use tiffin_runtime::{Common, Error, NatsSettings, Process, Readiness};
use tokio_util::task::TaskTracker;

/// Carries orders through their workflow, and publishes how they change.
#[derive(Debug, Parser)]
#[command(name = "tiffin-orders", version)]
struct Settings {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    nats: NatsSettings,
    #[command(flatten)]
    saga: SagaSettings,
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
    let config = Config {
        stream_replicas: settings.nats.stream_replicas,
        ..settings.saga.config()?
    };

    let store = EventStore::open(tiffin_eventstore::Config::new(settings.database_url)).await?;
    let nats = tiffin_bus::Config {
        url: settings.nats.nats_url.expose().to_owned(),
        name: "orders".to_owned(),
    };
    // Its tasks end with the process, so that what others still do on the way out can use it.
    let bus = Bus::connect(nats, &TaskTracker::new(), lifecycle.hard.clone())
        .await
        .map_err(|error| Error::setting("TIFFIN_NATS_URL", error))?;
    let announce = tiffin_bus::announce_commits(bus.clone(), store.clone(), lifecycle.soft.clone());
    lifecycle.spawn("announcements", announce);

    let mut registry = Registry::default();
    store.register(&mut registry);
    bus.register(&mut registry);
    let deps = Deps {
        store: store.clone(),
        bus: bus.clone(),
    };
    tiffin_orders::start(deps, config, &lifecycle, &mut registry).await?;
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
            async move {
                if state.is_connected() {
                    Ok(format!("{state:?}"))
                } else {
                    Err(format!("{state:?}"))
                }
            }
        })
}
