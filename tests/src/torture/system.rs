//! The system under torture: its processes, what is done to them, and who starts them again.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;
use tiffin_testkit::{Database, NatsServer, Postgres, Service};
use tokio::{task::JoinSet, time::sleep};

use super::schedule::{Fault, Victim};
use crate::{
    client::Client,
    stack::{Setting, Stack},
};

/// How often it is looked whether a process has ended by itself.
const LOOK: Duration = Duration::from_millis(100);

/// A running system; clones are the same.
#[derive(Clone, Debug)]
pub(super) struct System(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    postgres: Postgres,
    database: Database,
    nats: NatsServer,
    client: Client,
    /// Held while a server is stopped and started, so that two faults do not meet in it.
    servers: [tokio::sync::Mutex<()>; 2],
    services: Vec<Slot>,
    deaths: Mutex<Vec<String>>,
}

/// A service; empty only while it is being started again.
#[derive(Debug)]
struct Slot {
    victim: Victim,
    service: Mutex<Option<Service>>,
}

impl System {
    /// Starts everything and waits until it is ready.
    pub(super) async fn start(waits: [u32; 4]) -> Result<Self> {
        let postgres = Postgres::start().await;
        let setting = Setting {
            replicas: 1,
            waits: waits.map(|seconds| format!("{seconds}s")),
            postgres: Some(postgres.clone()),
            ..Setting::default()
        };
        let stack = Stack::start(&setting).await?;
        let client = stack.client();
        let slots = |victim, services: Vec<Service>| {
            let slot = move |service| Slot {
                victim,
                service: Mutex::new(Some(service)),
            };
            services.into_iter().map(slot)
        };
        let services = slots(Victim::Api, stack.api)
            .chain(slots(Victim::Orders, stack.orders))
            .chain(slots(Victim::Notifier, stack.notifier));
        Ok(Self(Arc::new(Inner {
            postgres,
            database: stack.database,
            nats: stack.nats,
            client,
            servers: Default::default(),
            services: services.collect(),
            deaths: Mutex::default(),
        })))
    }

    /// A customers' client.
    pub(super) fn client(&self) -> &Client {
        &self.0.client
    }

    /// Where the log is.
    pub(super) fn database_url(&self) -> &str {
        &self.0.database.url
    }

    /// Where the broker is.
    pub(super) fn nats_url(&self) -> String {
        self.0.nats.url()
    }

    /// Brings a fault about; returns when everything has been started again, ready or not.
    pub(super) async fn strike(&self, fault: Fault) {
        let [nats, postgres] = &self.0.servers;
        match fault {
            Fault::Kill(Victim::Nats) => {
                let _alone = nats.lock().await;
                self.0.nats.restart().await;
            }
            Fault::Wipe => {
                let _alone = nats.lock().await;
                self.0.nats.wipe().await;
            }
            Fault::RestartDatabase => {
                let _alone = postgres.lock().await;
                self.0.postgres.restart().await;
            }
            Fault::Kill(victim) => {
                for slot in self.0.services.iter().filter(|slot| slot.victim == victim) {
                    slot.kill();
                }
            }
        }
    }

    /// Starts again what ends by itself, and takes it down.
    pub(super) async fn supervise(self) {
        loop {
            sleep(LOOK).await;
            for slot in &self.0.services {
                if let Some(death) = slot.revive() {
                    eprintln!("{death}");
                    self.0
                        .deaths
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(death);
                }
            }
        }
    }

    /// The processes that ended by themselves so far.
    pub(super) fn deaths(&self) -> Vec<String> {
        self.0
            .deaths
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Writes what the services have printed to a folder.
    pub(super) fn keep_logs(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        for slot in &self.0.services {
            if let Some(service) = &*slot.lock() {
                let file = folder.join(format!("{:?}.log", slot.victim).to_lowercase());
                fs::write(file, service.process.output())?;
            }
        }
        Ok(())
    }
}

impl Slot {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Service>> {
        self.service.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kill(&self) {
        let mut slot = self.lock();
        if let Some(service) = slot.take() {
            service.process.kill();
            *slot = Some(service.again());
        }
    }

    fn revive(&self) -> Option<String> {
        let mut slot = self.lock();
        let status = slot.as_ref()?.process.ended()?;
        let service = slot.take()?;
        let output = service.process.output();
        let last = output.lines().next_back().unwrap_or_default();
        let death = format!("{:?} ended with {status}: {last}", self.victim);
        *slot = Some(service.again());
        Some(death)
    }
}

/// Faults that are being brought about.
#[derive(Debug, Default)]
pub(super) struct Strikes(JoinSet<()>);

impl Strikes {
    /// Brings a fault about and does not wait.
    pub(super) fn strike(&mut self, system: &System, fault: Fault) {
        let system = system.clone();
        self.0.spawn(async move { system.strike(fault).await });
    }

    /// Waits until everything has been started again.
    pub(super) async fn finished(self) {
        self.0.join_all().await;
    }
}
