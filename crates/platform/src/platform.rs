//! The log and the bus of a process, and what is told of them at its admin port.

use std::future;

use prometheus_client::registry::Registry;
use tiffin_bus::{Ahead, Bus, ConfigError};
use tiffin_eventstore::{DatabaseUrl, EventStore};
use tiffin_runtime::{Admin, Error, Lifecycle, Readiness};
use tokio_util::task::TaskTracker;

use crate::{PlatformSettings, Standby, machine, standby};

/// What the services of one process share.
pub struct Platform {
    /// The log of all events.
    pub store: EventStore,
    /// The way to other services.
    pub bus: Bus,
    /// What the process measures; that of the log and the bus is in it already.
    pub registry: Registry,
    standby: Standby,
}

impl Platform {
    /// Opens what the settings of a service name, whose own name is `name`.
    ///
    /// # Errors
    /// A setting that is wrong, SQLite among them, since other processes work on the log too; a database that is not
    /// as it must be.
    pub async fn of_service(
        name: &str,
        settings: &PlatformSettings,
        lifecycle: &Lifecycle,
    ) -> anyhow::Result<Self> {
        let database = &settings.database_url;
        if matches!(database, DatabaseUrl::Sqlite(_)) {
            let reason = "SQLite serves one process only: run `tiffin dev`, or name a PostgreSQL database";
            return Err(Error::setting("DATABASE_URL", reason).into());
        }
        let nats = tiffin_bus::Config {
            url: settings.nats.nats_url.expose().to_owned(),
            name: name.to_owned(),
            ca: settings.nats.nats_ca.clone(),
        };
        let mut platform = Self::open(database.clone(), nats, lifecycle).await?;
        platform.standby = settings.database_standby;
        Ok(platform)
    }

    /// Opens the log and begins to connect to NATS, under the name that its configuration gives; that NATS is away is no
    /// error. Standbys of the database are only told of.
    ///
    /// # Errors
    /// A NATS URL that is none, a database that is not as it must be.
    pub async fn open(
        database: DatabaseUrl,
        nats: tiffin_bus::Config,
        lifecycle: &Lifecycle,
    ) -> anyhow::Result<Self> {
        let store = EventStore::open(tiffin_eventstore::Config::new(database)).await?;
        let name = nats.name.clone();
        // Not the lifecycle's tracker: the bus serves all others and is the last to go, so nobody waits for it.
        let bus = Bus::connect(nats, &TaskTracker::new(), lifecycle.hard.clone())
            .await
            .map_err(|error| match error {
                ConfigError::Ca(_) => Error::setting("TIFFIN_NATS_CA", error),
                _ => Error::setting("TIFFIN_NATS_URL", error),
            })?;
        needed(lifecycle, "event store", store.closed());
        needed(lifecycle, "bus", bus.closed());
        lifecycle.spawn("standbys", standby::follow(store.clone(), lifecycle.soft.clone()));
        let mut registry = Registry::default();
        machine::register(&name, &mut registry);
        store.register(&mut registry);
        bus.register(&mut registry);
        Ok(Self {
            store,
            bus,
            registry,
            standby: Standby::default(),
        })
    }

    /// Tells the other processes on the same log of this one's commits, and hears of theirs.
    pub fn announce_commits(&self, lifecycle: &Lifecycle) {
        let (bus, store) = (self.bus.clone(), self.store.clone());
        let announcing = tiffin_bus::announce_commits(bus, store, lifecycle.soft.clone());
        lifecycle.spawn("announcements", announcing);
    }

    /// Shows what the process measures, and whether it is ready: that is whoever can read the log, and, where the
    /// settings say so, only while a synchronous standby streams. NATS is reported beside it, whether writing to the log or
    /// to derived tables fails, and whether NATS was found to hold what the log has lost.
    pub fn show(self, admin: &Admin) {
        let Self {
            store,
            bus,
            mut registry,
            standby,
        } = self;
        standby::register(standby, &mut registry);
        let (writer, replicated) = (store.clone(), store.clone());
        let publishing = bus.clone();
        let look = move || standby::look(replicated.clone(), standby);
        let readiness = Readiness::default()
            .needs("database", move || log(store.clone()))
            .needs("standby", look)
            .reports("writes", move || future::ready(writes(&writer)))
            .reports("nats", move || future::ready(nats(&bus)))
            .reports("broker", move || future::ready(broker(&publishing)));
        admin.serve(registry, readiness);
    }
}

/// A process whose log or bus has ended by a fault would seem to live and do nothing: it ends too.
fn needed(lifecycle: &Lifecycle, name: &'static str, closed: impl Future<Output = ()> + Send + 'static) {
    let soft = lifecycle.soft.clone();
    lifecycle.spawn(name, async move {
        soft.run_until_cancelled(closed).await;
    });
}

async fn log(store: EventStore) -> Result<String, String> {
    let head = store.head().await.map_err(|error| error.to_string())?;
    Ok(format!("log at {}", head.position))
}

fn writes(store: &EventStore) -> Result<String, String> {
    let troubles = store.troubles().into_iter();
    unless_any(
        "no trouble",
        troubles.map(|(schema, fault)| format!("{schema}: {fault}")),
    )
}

fn nats(bus: &Bus) -> Result<String, String> {
    let state = bus.state();
    let state = state.borrow();
    if state.is_connected() {
        Ok(state.to_string())
    } else {
        Err(state.to_string())
    }
}

/// Whether the broker has what the log lost.
fn broker(bus: &Bus) -> Result<String, String> {
    unless_any(
        "nothing found that the log does not have",
        bus.ahead().iter().map(Ahead::to_string),
    )
}

/// All that is wrong, if anything is.
fn unless_any(well: &str, wrong: impl Iterator<Item = String>) -> Result<String, String> {
    let wrong: Vec<_> = wrong.collect();
    if wrong.is_empty() {
        Ok(well.to_owned())
    } else {
        Err(wrong.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tiffin_runtime::Ending;

    use super::*;

    /// Nobody listens there.
    const NO_NATS: &str = "nats://127.0.0.1:1";

    async fn open(folder: &tempfile::TempDir) -> (Platform, Lifecycle) {
        let url = DatabaseUrl::Sqlite(folder.path().to_owned());
        EventStore::migrate(&url).await.unwrap();
        let lifecycle = Lifecycle::new(Duration::from_secs(20));
        let nats = tiffin_bus::Config {
            url: NO_NATS.to_owned(),
            name: "test".to_owned(),
            ca: None,
        };
        let platform = Platform::open(url, nats, &lifecycle).await.unwrap();
        (platform, lifecycle)
    }

    #[tokio::test]
    async fn a_process_ends_when_its_log_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let (platform, lifecycle) = open(&folder).await;
        platform.store.close().await;
        assert_eq!(lifecycle.finished().await, Ending::Failed);
    }

    #[tokio::test]
    async fn a_process_ends_when_its_bus_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let (_platform, lifecycle) = open(&folder).await;
        lifecycle.hard.cancel();
        assert_eq!(lifecycle.finished().await, Ending::Failed);
    }

    #[tokio::test]
    async fn a_process_that_is_asked_to_stop_waits_for_neither() {
        let folder = tempfile::tempdir().unwrap();
        let (_platform, lifecycle) = open(&folder).await;
        lifecycle.soft.cancel();
        assert_eq!(lifecycle.finished().await, Ending::Clean);
    }
}
