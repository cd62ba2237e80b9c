//! `tiffin dev`: the three services in one process, on SQLite, with a nats-server that lives and dies with it.

mod banner;
mod find;
mod nats;
mod operator;
mod services;
mod settings;

use std::{process::ExitCode, time::Duration};

use anyhow::Context;
use tiffin_eventstore::DatabaseUrl;
use tiffin_graphql::Role;
use tiffin_runtime::{Ending, Error, HttpServer, Lifecycle, Process, program};

pub(crate) use self::settings::Settings;
use self::{banner::Banner, nats::Nats, services::Services};
use crate::server::DEVELOPMENT_KEY;

/// How often the parent is looked at, if its end is ours.
const LOOK: Duration = Duration::from_millis(500);

pub(crate) fn run(settings: Settings, json: bool) -> ExitCode {
    let common = settings.common.clone();
    program::run(&common, async |process| {
        Box::pin(serve(settings, process, json)).await
    })
}

async fn serve(settings: Settings, process: Process, json: bool) -> anyhow::Result<Ending> {
    let lifecycle = process.lifecycle.clone();
    if settings.end_with_parent {
        tokio::spawn(end_with_parent(lifecycle.clone()));
    }
    // A signal during the start ends the start.
    let starting = lifecycle
        .soft
        .run_until_cancelled(Box::pin(start(settings, process, json)))
        .await;
    let Some(started) = starting.transpose()? else {
        return Ok(Ending::Clean);
    };
    let ending = lifecycle.finished().await;
    started.services.store.close().await;
    // Last, because everything else may still want to say something on the way out.
    if let Some(nats) = started.nats {
        nats.stop().await;
    }
    Ok(ending)
}

/// What must be ended in the end.
struct Started {
    services: Services,
    nats: Option<Nats>,
}

async fn start(mut settings: Settings, process: Process, json: bool) -> anyhow::Result<Started> {
    let data = settings.data.clone();
    std::fs::create_dir_all(&data).map_err(|error| {
        Error::setting(
            "TIFFIN_DATA",
            format_args!("cannot make {}: {error}", data.display()),
        )
    })?;
    let api_key = settings
        .keys
        .api_key
        .get_or_insert_with(|| tiffin_runtime::Secret::new(DEVELOPMENT_KEY))
        .clone();
    let operator_key = match &settings.keys.operator_key {
        Some(key) => key.clone(),
        None => operator::key(&data)?,
    };
    settings.keys.operator_key = Some(operator_key.clone());
    let keys = settings.keys.load(Role::Customer, Role::Operator)?;
    let database = settings
        .database_url
        .clone()
        .unwrap_or_else(|| DatabaseUrl::Sqlite(data.clone()));
    let saga = settings.saga.config()?;

    // The ports come first, so that a second start fails before it touches anything.
    let http = HttpServer::bind(&settings.http).await?;
    let address = http.address().context("a socket without an address")?;
    let (nats, nats_url) = if let Some(url) = &settings.nats_url {
        (None, url.expose().to_owned())
    } else {
        let nats = Nats::start(settings.nats_listen, &data, &process.lifecycle).await?;
        let url = nats.url();
        (Some(nats), url)
    };
    let banner = Banner {
        address,
        tls: http.is_tls(),
        admin: process.admin.address(),
        nats: nats_url.clone(),
        database: format!("{database:?}"),
        data,
        api_key,
        operator_key,
    };
    let plan = services::Plan {
        database,
        nats_url,
        keys,
        transport: settings.transport.into(),
        saga,
    };
    let services = services::start(plan, http, &process).await?;
    banner.print(json);
    Ok(Started { services, nats })
}

/// Stops when whoever started this process is gone.
async fn end_with_parent(lifecycle: Lifecycle) {
    let parent = rustix::process::getppid();
    while rustix::process::getppid() == parent {
        tokio::time::sleep(LOOK).await;
    }
    tracing::info!("the parent process is gone; stopping");
    lifecycle.soft.cancel();
}
