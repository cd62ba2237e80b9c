//! The whole system as processes, with servers of its own.

use std::{
    fmt::{Display, Write},
    fs,
    path::PathBuf,
};

use anyhow::{Context, Result, ensure};
use futures::future::join_all;
use tiffin_testkit::{
    Database, NatsServer, Postgres, Service, ServiceSpec, command, program, scratch_folder,
};

use crate::client::Client;

/// The key that the customers' front end uses.
pub const API_KEY: &str = "da2-ordinarycustomerskey00000";

/// The key of whoever runs the system.
pub const OPERATOR_KEY: &str = "operator-key-of-these-tests-00000";

/// What a stack is made of; the default is one of each service, with a workflow that takes three seconds.
#[derive(Clone, Debug)]
pub struct Setting {
    /// How many of each service there are.
    pub replicas: usize,
    /// The waits of the workflow's four steps, each as in a saga.toml.
    pub waits: [String; 4],
    /// The PostgreSQL server; that of the test program if there is none.
    pub postgres: Option<Postgres>,
    /// Further settings of every service.
    pub environment: Vec<(&'static str, String)>,
}

/// Waits that are written down in a test.
pub fn waits(waits: [&str; 4]) -> [String; 4] {
    waits.map(str::to_owned)
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            replicas: 1,
            waits: waits(["0s", "1s", "1s", "1s"]),
            postgres: None,
            environment: Vec::new(),
        }
    }
}

/// A running system on PostgreSQL.
#[derive(Debug)]
pub struct Stack {
    /// The log.
    pub database: Database,
    /// The broker.
    pub nats: NatsServer,
    /// All `tiffin-api`.
    pub api: Vec<Service>,
    /// All `tiffin-orders`.
    pub orders: Vec<Service>,
    /// All `tiffin-notifier`.
    pub notifier: Vec<Service>,
}

impl Stack {
    /// Starts everything and waits until it is ready.
    pub async fn start(setting: &Setting) -> Result<Self> {
        let postgres = match &setting.postgres {
            Some(postgres) => postgres,
            None => Postgres::shared().await,
        };
        let database = postgres.database().await;
        let nats = NatsServer::start().await;
        migrate(&database.url).await?;
        let saga = saga(&setting.waits)?;
        let start = async |name: &str| {
            let spec = || {
                let spec = keyed(ServiceSpec::new(name))
                    .set("DATABASE_URL", &database.url)
                    .set("TIFFIN_NATS_URL", nats.url())
                    .set("TIFFIN_SAGA", saga.to_string_lossy());
                let further = setting.environment.iter();
                further.fold(spec, |spec, (name, value)| spec.set(*name, value))
            };
            join_all((0..setting.replicas).map(|_| spec().start())).await
        };
        let (api, orders, notifier) = futures::join!(
            start("tiffin-api"),
            start("tiffin-orders"),
            start("tiffin-notifier")
        );
        Ok(Self {
            database,
            nats,
            api,
            orders,
            notifier,
        })
    }

    /// Every service.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.api.iter().chain(&self.orders).chain(&self.notifier)
    }

    /// The same, after the processes of all services have ended; they are started again and not waited for.
    #[must_use]
    pub fn again(self) -> Self {
        let again = |services: Vec<Service>| services.into_iter().map(Service::again).collect();
        Self {
            api: again(self.api),
            orders: again(self.orders),
            notifier: again(self.notifier),
            ..self
        }
    }

    /// A customers' client of all replicas.
    pub fn client(&self) -> Client {
        self.client_with(API_KEY)
    }

    /// A client of all replicas with a key.
    pub fn client_with(&self, key: &str) -> Client {
        let urls = |services: &[Service]| services.iter().map(Service::url).collect::<Vec<_>>();
        Client::new(&urls(&self.api), &urls(&self.notifier), key)
    }
}

/// `tiffin dev`: everything in one process, on SQLite.
#[derive(Debug)]
pub struct Dev {
    /// The process.
    pub service: Service,
    data: PathBuf,
}

impl Dev {
    /// Starts it with a broker that is there already, and waits until it is ready.
    pub async fn start(nats: &NatsServer, waits: &[String; 4]) -> Result<Self> {
        let data = scratch_folder("data");
        let spec = keyed(ServiceSpec::new("tiffin").argument("dev"))
            .set("TIFFIN_DATA", data.to_string_lossy())
            .set("TIFFIN_NATS_URL", nats.url())
            .set("TIFFIN_SAGA", saga(waits)?.to_string_lossy());
        let service = spec.start().await;
        Ok(Self { service, data })
    }

    /// A customers' client.
    pub fn client(&self) -> Client {
        let url = [self.service.url()];
        Client::new(&url, &url, API_KEY)
    }

    /// Where the log is; it can be opened once the process has ended.
    pub fn database_url(&self) -> String {
        format!("sqlite:{}", self.data.display())
    }
}

pub(crate) fn keyed(spec: ServiceSpec) -> ServiceSpec {
    spec.set("TIFFIN_API_KEY", API_KEY)
        .set("TIFFIN_OPERATOR_KEY", OPERATOR_KEY)
}

/// A workflow with these waits, as in a saga.toml.
pub fn workflow<W: Display>(waits: &[W; 4]) -> String {
    let mut text = String::new();
    for (name, wait) in ["payment", "confirmation", "ready", "delivery"].iter().zip(waits) {
        // Writing to a string cannot fail.
        let _infallible = writeln!(
            text,
            "[[step]]\nname = \"{name}\"\nkind = \"wait\"\nwait = \"{wait}\"\n"
        );
    }
    text
}

/// Writes a workflow with these waits to a file.
pub(crate) fn saga(waits: &[String; 4]) -> Result<PathBuf> {
    let path = scratch_folder("saga").join("saga.toml");
    fs::write(&path, workflow(waits))?;
    Ok(path)
}

/// Brings the tables of a database up to date.
pub async fn migrate(url: &str) -> Result<()> {
    let mut migrate = command(program("tiffin"));
    migrate.arg("migrate").env("DATABASE_URL", url);
    let output = tokio::task::spawn_blocking(move || migrate.output()).await?;
    let output = output.context("tiffin migrate cannot be started")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "tiffin migrate failed: {said}");
    Ok(())
}
