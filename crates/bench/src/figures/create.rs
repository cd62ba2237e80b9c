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
pub(super) const CLIENTS: usize = 256;
/// A workflow that begins and then waits, so that the load is that of placing and starting orders alone.
pub(super) const WAITS: [&str; 4] = ["3600s", "3600s", "3600s", "3600s"];
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
pub(super) struct System {
    pub(super) client: Client,
    postgres: Option<Postgres>,
    behind: f64,
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

    /// The three services on this server, or all of it in one process on SQLite.
    pub(super) async fn on(
        postgres: Option<Postgres>,
        waits: &[String; 4],
        documents: Documents,
    ) -> Result<Self> {
        let Some(postgres) = postgres else {
            let nats = NatsServer::start().await;
            let dev = Dev::start(&nats, waits).await?;
            let client = client(address(&dev.service)?, documents);
            return Ok(Self::new(client, None, Parts::Dev(Box::new(dev), nats)));
        };
        let setting = Setting {
            waits: waits.clone(),
            postgres: Some(postgres.clone()),
            ..Setting::default()
        };
        let stack = Stack::start(&setting).await?;
        let client = client(address(&stack.api[0])?, documents);
        Ok(Self::new(client, Some(postgres), Parts::Stack(Box::new(stack))))
    }

    fn new(client: Client, postgres: Option<Postgres>, parts: Parts) -> Self {
        Self {
            client,
            postgres,
            behind: f64::INFINITY,
            parts,
        }
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

    /// All that serves: the services, the broker and the database.
    pub(super) fn watched(&self) -> Watched {
        let database = self.postgres.as_ref().and_then(Postgres::id);
        let broker = Watched::none().and(database).and(self.nats().id());
        let services = self.services().into_iter();
        services.fold(broker, |all, service| all.and(Some(service.process.id())))
    }

    /// Its processes.
    pub(super) fn services(&self) -> Vec<&Service> {
        match &self.parts {
            Parts::Dev(dev, _nats) => vec![&dev.service],
            Parts::Stack(stack) => stack.services().collect(),
        }
    }

    /// How far relays and list are behind the log, in seconds.
    pub(super) async fn lag(&self) -> Result<f64> {
        let mut worst = 0.0_f64;
        for service in self.services() {
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

impl System {
    /// Waits until what is left over from a run no longer burdens the next.
    pub(super) async fn settled(&self) {
        eventually!(within Duration::from_mins(5), self.lag().await.unwrap_or(f64::MAX), |lag| *lag < 0.1);
    }
}

impl Subject for System {
    async fn run(&mut self, time: Duration) -> Result<Run> {
        let watched = self.watched();
        let clock = Clock::start(&watched);
        let placed = place(&self.client, CLIENTS, Instant::now() + time).await?;
        let run = clock.stop(placed.orders, placed.latency);
        eprintln!("  {} refused", placed.refused);
        let lag = self.lag().await?;
        ensure!(lag <= self.behind, "something is {lag:.1} s behind the log");
        self.settled().await;
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
