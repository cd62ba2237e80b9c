//! Orders placed over HTTP.

use std::{env, net::SocketAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use tiffin_testkit::{
    NatsServer, Postgres, Process, Service, command, eventually, free_port, scratch_folder,
};
use tiffin_tests::stack::{API_KEY, Dev, Setting, Stack, waits};
use tokio::{net::TcpStream, time::Instant};

use crate::{
    floor::resolver,
    load::http::{Client, Documents, place},
    method::{Plan, compare},
    report::{Figure, Goal},
    run::{Clock, Run, Subject},
    usage::Watched,
};

pub(super) const BURST: &str = "create-burst";
pub(super) const SUSTAINED: &str = "create-sustained";

/// How many clients wait for an answer at any time.
const CLIENTS: usize = 256;
/// A workflow that begins and then waits, so that the load is that of placing and starting orders alone.
const WAITS: [&str; 4] = ["3600s", "3600s", "3600s", "3600s"];
/// The metrics of what follows the log.
const LAGS: [&str; 2] = ["tiffin_relay_lag_seconds", "tiffin_list_lag_seconds"];
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
struct Floor {
    client: Client,
    process: Process,
}

impl Floor {
    async fn start(documents: Documents) -> Result<Self> {
        let port = free_port();
        let mut server = command(env::current_exe()?);
        server.args([resolver::ARGUMENT, &port.to_string()]);
        let process = Process::start("floor", server, &scratch_folder("floor").join("log"));
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        eventually!(TcpStream::connect(address).await.is_ok(), |up| *up);
        let client = client(address, documents);
        Ok(Self { client, process })
    }
}

impl Subject for Floor {
    async fn run(&mut self, time: Duration) -> Result<Run> {
        let watched = Watched::none().and(Some(self.process.id()));
        let clock = Clock::start(&watched);
        let placed = place(&self.client, CLIENTS, Instant::now() + time).await?;
        Ok(clock.stop(placed.orders, placed.latency))
    }
}

/// All of Tiffin.
struct System {
    client: Client,
    watched: Watched,
    behind: f64,
    parts: Parts,
}

enum Parts {
    Dev(Box<Dev>, NatsServer),
    Stack(Box<Stack>),
}

impl System {
    async fn start(database: &str, documents: Documents) -> Result<Self> {
        let waits = waits(WAITS);
        if database == "SQLite" {
            let nats = NatsServer::start().await;
            let dev = Dev::start(&nats, &waits).await?;
            let watched = Watched::none().and(Some(dev.service.process.id())).and(nats.id());
            let client = client(address(&dev.service)?, documents);
            return Ok(Self::new(client, watched, Parts::Dev(Box::new(dev), nats)));
        }
        let postgres = Postgres::start().await;
        let mut watched = Watched::none().and(postgres.id());
        let setting = Setting {
            waits,
            postgres: Some(postgres),
            ..Setting::default()
        };
        let stack = Stack::start(&setting).await?;
        watched = watched.and(stack.nats.id());
        for service in stack.services() {
            watched = watched.and(Some(service.process.id()));
        }
        let client = client(address(&stack.api[0])?, documents);
        Ok(Self::new(client, watched, Parts::Stack(Box::new(stack))))
    }

    fn new(client: Client, watched: Watched, parts: Parts) -> Self {
        Self {
            client,
            watched,
            behind: f64::INFINITY,
            parts,
        }
    }

    /// How far relays and list are behind the log, in seconds.
    async fn lag(&self) -> Result<f64> {
        let services: Vec<&Service> = match &self.parts {
            Parts::Dev(dev, _nats) => vec![&dev.service],
            Parts::Stack(stack) => stack.services().collect(),
        };
        let mut worst = 0.0_f64;
        for service in services {
            for line in service.metrics().await?.lines() {
                if LAGS.iter().any(|name| line.starts_with(name)) {
                    let value = line.rsplit_once(' ').context("a value")?.1;
                    worst = worst.max(value.parse()?);
                }
            }
        }
        Ok(worst)
    }
}

impl Subject for System {
    async fn run(&mut self, time: Duration) -> Result<Run> {
        let clock = Clock::start(&self.watched);
        let placed = place(&self.client, CLIENTS, Instant::now() + time).await?;
        let run = clock.stop(placed.orders, placed.latency);
        eprintln!("  {} refused", placed.refused);
        let lag = self.lag().await?;
        ensure!(lag <= self.behind, "something is {lag:.1} s behind the log");
        // What is left over from this run is not to burden the floor's.
        eventually!(within Duration::from_mins(5), self.lag().await.unwrap_or(f64::MAX), |lag| *lag < 0.1);
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
