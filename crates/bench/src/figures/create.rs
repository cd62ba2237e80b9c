//! Orders placed over HTTP.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Result, ensure};
use async_nats::jetstream;
use tiffin_testkit::{NatsServer, Postgres, Process, Service, eventually};
use tiffin_tests::stack::{API_KEY, Dev, Setting, Stack, waits};
use tokio::time::Instant;

use crate::{
    floor::{resolver, server},
    load::http::{Client, Documents, place},
    method::{Plan, compare},
    metrics::values,
    report::{Figure, Goal},
    run::{Clock, Run, Subject, count},
    usage::Watched,
};

pub(super) const BURST: &str = "create-burst";
pub(super) const SUSTAINED: &str = "create-sustained";

/// How many clients wait for an answer at any time.
pub(super) const CLIENTS: usize = 256;
/// A workflow that begins and then waits, so that the load is that of placing and starting orders alone.
pub(super) const WAITS: [&str; 4] = ["3600s", "3600s", "3600s", "3600s"];
/// The metrics of what follows the log, and how many there are of each: the relays of `api` and `orders`, the list, and
/// the orders that wait to be started.
const LAGS: [(&str, usize); 3] = [
    ("tiffin_relay_lag_seconds", 2),
    ("tiffin_list_lag_seconds", 1),
    (WAITING, 1),
];
const WAITING: &str = "tiffin_api_orders_waiting_oldest_seconds";
/// How many events, or orders, something is behind.
const BEHIND_BY: [&str; 3] = [
    "tiffin_relay_lag_events",
    "tiffin_list_lag_events",
    "tiffin_api_orders_waiting",
];
/// How far what follows the log may be behind at the end of a run.
const BEHIND: f64 = 1.0;

pub(super) async fn burst(plan: Plan) -> Result<Figure> {
    measure(BURST, plan, Duration::from_secs(10), 0.6, f64::INFINITY).await
}

pub(super) async fn sustained(plan: Plan) -> Result<Figure> {
    measure(SUSTAINED, plan, Duration::from_mins(1), 0.4, BEHIND).await
}

async fn measure(name: &'static str, plan: Plan, run: Duration, goal: f64, behind: f64) -> Result<Figure> {
    let mut figure = Figure::new(name);
    for database in ["SQLite", "PostgreSQL"] {
        for (documents, which) in [
            (Documents::Repeated, "one document"),
            (Documents::New, "new documents"),
        ] {
            let mut floor = Floor::start(documents).await?;
            let mut system = System::start(database, documents).await?;
            system.behind = behind;
            let comparison = compare(plan, run, &mut floor, &mut system).await?;
            let what = format!("{database}: orders, {which}");
            figure.compared(&what, &comparison, Some(Goal::AtLeast(goal)), None);
        }
    }
    Ok(figure)
}

/// The HTTP stack over a resolver that does nothing.
pub(super) struct Floor {
    client: Client,
    process: Process,
}

impl Floor {
    pub(super) async fn start(documents: Documents) -> Result<Self> {
        let (process, address) = server(resolver::ARGUMENT, &[]).await?;
        let client = client(address, documents);
        Ok(Self { client, process })
    }
}

impl Subject for Floor {
    async fn run(&mut self, time: Duration) -> Result<Run> {
        let watched = Watched::none().and(Some(self.process.id()));
        let clock = Clock::start(&watched)?;
        let placed = place(&self.client, CLIENTS, Instant::now() + time).await?;
        clock.stop(placed.orders, placed.latency)
    }
}

/// All of Tiffin.
pub(super) struct System {
    pub(super) client: Client,
    postgres: Option<Postgres>,
    behind: f64,
    /// Whether orders run through their workflow at once.
    finish: bool,
    /// How many orders of its history are open.
    pub(super) open: u64,
    /// The stream's last order of its history; none as long as there are no others.
    pub(super) new_after: Option<u64>,
    parts: Parts,
}

enum Parts {
    Dev(Box<Dev>, NatsServer),
    Stack(Box<Stack>),
}

impl System {
    async fn start(database: &str, documents: Documents) -> Result<Self> {
        let postgres = match database {
            "SQLite" => None,
            _ => Some(Postgres::start().await),
        };
        Self::on(postgres, &waits(WAITS), documents).await
    }

    /// The three services on this server, or all of it in one process on SQLite; returns when its streams are there.
    pub(super) async fn on(
        postgres: Option<Postgres>,
        waits: &[String; 4],
        documents: Documents,
    ) -> Result<Self> {
        let (service, parts) = if let Some(postgres) = postgres.clone() {
            let setting = Setting {
                waits: waits.clone(),
                postgres: Some(postgres),
                ..Setting::default()
            };
            let stack = Stack::start(&setting).await?;
            (address(&stack.api[0])?, Parts::Stack(Box::new(stack)))
        } else {
            let nats = NatsServer::start().await;
            let dev = Dev::start(&nats, waits).await?;
            (address(&dev.service)?, Parts::Dev(Box::new(dev), nats))
        };
        let system = Self {
            client: client(service, documents),
            postgres,
            behind: f64::INFINITY,
            finish: waits.iter().all(|wait| wait == "0s"),
            open: 0,
            new_after: Some(0),
            parts,
        };
        system.settled().await;
        Ok(system)
    }

    /// The broker.
    pub(super) fn nats(&self) -> &NatsServer {
        match &self.parts {
            Parts::Dev(_dev, nats) => nats,
            Parts::Stack(stack) => &stack.nats,
        }
    }

    /// Where the log is.
    pub(super) fn database_url(&self) -> String {
        match &self.parts {
            Parts::Dev(dev, _nats) => dev.database_url(),
            Parts::Stack(stack) => stack.database.url.clone(),
        }
    }

    /// kill -9 of every service.
    pub(super) fn kill(&self) {
        self.services().iter().for_each(|service| service.process.kill());
    }

    /// Starts every service again, and does not wait.
    pub(super) fn start_again(self) -> Self {
        let parts = match self.parts {
            Parts::Dev(mut dev, nats) => {
                dev.service = dev.service.again();
                Parts::Dev(dev, nats)
            }
            Parts::Stack(stack) => Parts::Stack(Box::new(stack.again())),
        };
        Self { parts, ..self }
    }

    /// All that serves: the services, the broker and the database, with the WAL of its log.
    pub(super) fn watched(&self) -> Result<Watched> {
        let database = self.postgres.as_ref().and_then(Postgres::id);
        let broker = Watched::none().and(database).and(self.nats().id());
        let broker = broker.and_log(&self.database_url().parse()?);
        let services = self.services().into_iter();
        Ok(services.fold(broker, |all, service| all.and(Some(service.process.id()))))
    }

    /// Its processes.
    pub(super) fn services(&self) -> Vec<&Service> {
        match &self.parts {
            Parts::Dev(dev, _nats) => vec![&dev.service],
            Parts::Stack(stack) => stack.services().collect(),
        }
    }

    /// How far relays, list and starts of orders are behind the log, in seconds.
    pub(super) async fn lag(&self) -> Result<f64> {
        let mut worst = 0.0_f64;
        for (name, number) in LAGS {
            let values = values(&self.services(), name).await?;
            ensure!(values.len() == number, "{number} of {name}: {values:?}");
            worst = values.into_iter().fold(worst, f64::max);
        }
        Ok(worst)
    }

    /// How many orders the relay has carried from the log into the stream.
    pub(super) async fn placed(&self) -> Result<u64> {
        let jetstream = jetstream::new(async_nats::connect(self.nats().url()).await?);
        let stream = jetstream.get_stream("ORDER_CREATED").await?;
        Ok(stream.cached_info().state.last_sequence)
    }

    /// Waits until what is left over from a run no longer burdens the next, and checks that as many orders were stored
    /// since there were `before` as were answered.
    pub(super) async fn stored(&self, before: u64, answered: u64) -> Result<()> {
        self.settled().await;
        let stored = self.placed().await? - before;
        ensure!(
            stored == answered,
            "{stored} orders were stored, {answered} answered"
        );
        Ok(())
    }

    /// Waits until relays, list, starts and the index of wake-ups have all that is in the log.
    pub(super) async fn settled(&self) {
        let left = async || self.left().await.unwrap_or_else(|error| format!("{error:#}"));
        eventually!(within Duration::from_mins(20), left().await, |left: &String| left.is_empty());
    }

    /// What is still to be done; empty if nothing is.
    async fn left(&self) -> Result<String> {
        let lag = self.lag().await?;
        if lag >= 0.1 {
            return Ok(format!("something is {lag:.1} s behind"));
        }
        for name in BEHIND_BY {
            let events: f64 = values(&self.services(), name).await?.iter().sum();
            if events > 0.0 {
                return Ok(format!("{name} is {events}"));
            }
        }
        let indexed: f64 = values(&self.services(), "tiffin_orders_open").await?.iter().sum();
        let new = match self.new_after {
            Some(history) if !self.finish => self.placed().await? - history,
            _ => 0,
        };
        let open = self.open + new;
        Ok(if (indexed - count(open)).abs() < 0.5 {
            String::new()
        } else {
            format!("the index of wake-ups has {indexed} orders of {open}")
        })
    }
}

impl Subject for System {
    async fn run(&mut self, time: Duration) -> Result<Run> {
        let (before, watched) = (self.placed().await?, self.watched()?);
        let clock = Clock::start(&watched)?;
        let placed = place(&self.client, CLIENTS, Instant::now() + time).await?;
        let run = clock.stop(placed.orders, placed.latency)?;
        eprintln!("  {} refused", placed.refused);
        let lag = self.lag().await?;
        ensure!(lag <= self.behind, "something is {lag:.1} s behind the log");
        self.stored(before, placed.orders).await?;
        Ok(run)
    }
}

fn client(address: SocketAddr, documents: Documents) -> Client {
    Client {
        address,
        key: API_KEY.to_owned(),
        documents,
    }
}

/// Where a service answers.
pub(super) fn address(service: &Service) -> Result<SocketAddr> {
    let url = service.url();
    Ok(url.strip_prefix("http://").unwrap_or(&url).parse()?)
}
