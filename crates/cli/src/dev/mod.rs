//! `tiffin dev`: the three services in one process, on SQLite, with a nats-server that lives and dies with it.

mod banner;
mod find;
mod nats;
mod operator;
mod services;
mod settings;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context;
use tiffin_eventstore::DatabaseUrl;
use tiffin_graphql::Principal;
use tiffin_graphql_transport::Settings as Transport;
use tiffin_runtime::{Ending, Error, HttpServer, Lifecycle, Process, Secret, program};

pub(crate) use self::settings::Settings;
use self::{banner::Banner, nats::Nats, services::Services};
use crate::{
    failure::{Exit, Failure},
    server::DEVELOPMENT_KEY,
};

/// How often the parent is looked at, if its end is ours.
const LOOK: Duration = Duration::from_millis(500);

pub(crate) fn run(settings: Settings, json: bool) -> ExitCode {
    let common = settings.common.clone();
    let ended = program::run(&common, async |process| {
        Box::pin(serve(settings, process, json)).await
    });
    match ended {
        Ok(ending) => ending.into(),
        Err(error) => failure(error).report(json),
    }
}

/// What is wrong, in one line.
fn failure(error: anyhow::Error) -> Failure {
    let exit = match program::exit_code(&error) {
        program::WRONG_SETTING => Exit::Usage,
        _ => Exit::Fault,
    };
    error
        .downcast::<Failure>()
        .unwrap_or_else(|error| Failure::new(exit, format!("{error:#}").replace('\n', " ")))
}

async fn serve(settings: Settings, process: Process, json: bool) -> anyhow::Result<Ending> {
    let lifecycle = process.lifecycle.clone();
    if let Some(parent) = settings.end_with_parent {
        tokio::spawn(end_with_parent(parent, lifecycle.clone()));
    }
    // A signal during the start ends the start.
    let starting = lifecycle
        .soft
        .run_until_cancelled(Box::pin(start(settings, process, json)))
        .await;
    let Some(started) = starting.transpose()? else {
        return Ok(Ending::Clean);
    };
    lifecycle.soft.cancelled().await;
    let asked = Instant::now();
    let ending = lifecycle.finished().await;
    started.services.store.close().await;
    // Last, because everything else may still want to say something on the way out.
    if let Some(nats) = started.nats {
        nats.stop(lifecycle.grace().saturating_sub(asked.elapsed())).await;
    }
    Ok(ending)
}

/// What must be ended in the end.
struct Started {
    services: Services,
    nats: Option<Nats>,
}

/// Which NATS server is used.
enum Broker {
    Named(Secret),
    /// One of our own, by this program.
    Own(PathBuf),
}

impl Broker {
    /// The one that is named, or else what starts one of our own at an address that is free.
    async fn choose(named: Option<Secret>, listen: SocketAddr) -> anyhow::Result<Self> {
        let Some(url) = named else {
            return Ok(Self::Own(nats::program(listen).await?));
        };
        tiffin_bus::check_url(url.expose()).map_err(|error| Error::setting("TIFFIN_NATS_URL", error))?;
        Ok(Self::Named(url))
    }

    /// The server, if it is our own, and its URL.
    async fn start(
        self,
        listen: SocketAddr,
        data: &Path,
        lifecycle: &Lifecycle,
    ) -> anyhow::Result<(Option<Nats>, String)> {
        match self {
            Self::Named(url) => Ok((None, url.expose().to_owned())),
            Self::Own(program) => {
                let nats = Nats::start(program, listen, data, lifecycle).await?;
                let url = nats.url();
                Ok((Some(nats), url))
            }
        }
    }
}

async fn start(mut settings: Settings, process: Process, json: bool) -> anyhow::Result<Started> {
    // All settings are checked, and the ports taken, first, so that a start in vain leaves nothing behind.
    let saga = settings.saga.config()?;
    let api_key = settings
        .keys
        .api_key
        .get_or_insert_with(|| Secret::new(DEVELOPMENT_KEY))
        .clone();
    settings.keys.load::<Principal>()?;
    let broker = Broker::choose(settings.nats_url.take(), settings.nats_listen).await?;
    let http = HttpServer::bind(&settings.http)?;
    let address = http.address().context("a socket without an address")?;

    let data = settings.data.clone();
    make(&data)?;
    let operator_key = match &settings.keys.operator_key {
        Some(key) => key.clone(),
        None => operator::key(&data)?,
    };
    settings.keys.operator_key = Some(operator_key.clone());
    let keys = settings.keys.load()?;
    let database = settings
        .database_url
        .clone()
        .unwrap_or_else(|| DatabaseUrl::Sqlite(data.clone()));

    let (nats, nats_url) = broker
        .start(settings.nats_listen, &data, &process.lifecycle)
        .await?;
    let mut banner = Banner {
        address,
        tls: http.is_tls(),
        admin: process.admin.address(),
        nats: nats_url.clone(),
        nats_reached: false,
        database: database.to_string(),
        data,
        api_key,
        operator_key,
    };
    let plan = services::Plan {
        database,
        nats_url,
        keys,
        transport: Transport::from(settings.transport).with_connections(settings.http.max_connections),
        saga,
    };
    let services = services::start(plan, http, &process).await?;
    banner.nats_reached = services.bus.state().borrow().is_connected();
    banner.print(json);
    Ok(Started { services, nats })
}

fn make(folder: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(|error| {
        let reason = format!("cannot make {}: {error}", folder.display());
        Error::setting("TIFFIN_DATA", reason)
    })
}

/// Stops when whoever started this process is gone, be it before the first look.
async fn end_with_parent(parent: i32, lifecycle: Lifecycle) {
    while rustix::process::Pid::as_raw(rustix::process::getppid()) == parent {
        tokio::time::sleep(LOOK).await;
    }
    tracing::info!("the parent process is gone; stopping");
    lifecycle.soft.cancel();
}
