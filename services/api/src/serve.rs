//! `api` as a process of its own.

use tiffin_graphql_transport::nothing_here;
use tiffin_platform::Platform;
use tiffin_runtime::{HttpServer, Process};

use crate::{Config, Dependencies, Settings, start};

/// What is said at addresses that are nobody's.
const ELSEWHERE: &str = "POST queries and mutations to /graphql; subscriptions are answered by tiffin-notifier, at an address of its own.";

/// Opens everything that the settings name and serves until the process is asked to stop.
///
/// # Errors
/// A setting that is wrong, a port in use, a database that is not as it must be.
pub async fn serve(settings: Settings, process: Process) -> anyhow::Result<()> {
    let Process {
        lifecycle,
        admin,
        traces,
    } = process;
    let tracer = traces.tracer("tiffin-api")?;
    let http = HttpServer::bind(&settings.http)?;
    let keys = settings.keys.load()?;
    let mut platform = Platform::of_service("api", &settings.platform, &lifecycle).await?;
    platform.announce_commits(&lifecycle);
    let clock = platform.store.clone();
    let follow_keys = keys.clone().follow(move || clock.now(), lifecycle.soft.clone());
    lifecycle.spawn("keys", follow_keys);
    let dependencies = Dependencies {
        store: platform.store.clone(),
        bus: platform.bus.clone(),
        keys,
        tracer,
    };
    let config = Config {
        transport: settings.transport.into(),
        stream_replicas: settings.platform.nats.stream_replicas,
        ..Config::default()
    };
    let router = start(dependencies, config, &lifecycle, &mut platform.registry).await?;
    platform.show(&admin);
    http.serve(router.fallback(nothing_here(ELSEWHERE)), &lifecycle);
    Ok(())
}
