//! `orders` as a process of its own.

use tiffin_platform::Platform;
use tiffin_runtime::Process;

use crate::{Config, Dependencies, Settings, start};

/// Opens everything that the settings name and works until the process is asked to stop.
///
/// # Errors
/// A setting that is wrong, a database that is not as it must be.
pub async fn serve(settings: Settings, process: Process) -> anyhow::Result<()> {
    let Process {
        lifecycle,
        admin,
        traces,
    } = process;
    let tracer = traces.tracer("tiffin-orders")?;
    let config = Config {
        stream_replicas: settings.platform.nats.stream_replicas,
        ..settings.saga.config()?
    };
    let mut platform = Platform::of_service("orders", &settings.platform, &lifecycle).await?;
    platform.announce_commits(&lifecycle);
    let dependencies = Dependencies {
        store: platform.store.clone(),
        bus: platform.bus.clone(),
        tracer,
    };
    start(dependencies, config, &lifecycle, &mut platform.registry).await?;
    platform.show(&admin);
    Ok(())
}
