//! The notifier as a process of its own.

use tiffin_graphql_transport::nothing_here;
use tiffin_platform::Platform;
use tiffin_runtime::{HttpServer, Process};

use crate::{Config, Dependencies, Settings, start};

/// What is said at addresses that are nobody's.
const ELSEWHERE: &str = "Subscribe over WebSocket at /graphql/ws or by server-sent events at /graphql/stream; queries \
     and mutations are answered by tiffin-api, at an address of its own.";

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
    let tracer = traces.tracer("tiffin-notifier")?;
    let http = HttpServer::bind(&settings.http)?;
    let keys = settings.keys.load()?;
    let mut platform = Platform::of_service("notifier", &settings.platform, &lifecycle).await?;
    let clock = platform.store.clone();
    let follow_keys = keys.clone().follow(move || clock.now(), lifecycle.soft.clone());
    lifecycle.spawn("keys", follow_keys);
    let dependencies = Dependencies {
        store: platform.store.clone(),
        bus: platform.bus.clone(),
        keys,
        tracer,
    };
    let transport = tiffin_graphql_transport::Settings::from(settings.transport);
    let config = Config {
        transport: transport.with_connections(settings.http.max_connections),
    };
    let router = start(dependencies, config, &lifecycle, &mut platform.registry);
    platform.show(&admin);
    http.serve(router.fallback(nothing_here(ELSEWHERE)), &lifecycle);
    Ok(())
}
