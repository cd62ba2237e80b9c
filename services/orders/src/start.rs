//! Puts the service together.

use prometheus_client::registry::Registry;
use tiffin_bus::{Bus, Relay, RelayConfig};
use tiffin_eventstore::{
    AppendError, DatabaseUrl, Derived, EventStore, Grant, LogAccess, MigrateError, OpenError,
};
use tiffin_runtime::Lifecycle;
use tiffin_trace::Tracer;
use uuid::Uuid;

use crate::{
    again::Again,
    config::Config,
    consume::Starts,
    log::Log,
    metrics::Metrics,
    relay, requests,
    saga::{Runner, Saga, Workflows, cache::Cache},
    tables::{MIGRATIONS, SCHEMA, Tables},
    wakeups::Wakeups,
};

/// What the service works with; one process may run several services over the same.
#[derive(Clone)]
pub struct Dependencies {
    /// The log of all events.
    pub store: EventStore,
    /// The way to the other services.
    pub bus: Bus,
    /// Begins its spans.
    pub tracer: Tracer,
}

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What it derives from the log cannot be opened.
    #[error("cannot open the tables of orders")]
    Derived(#[from] OpenError),
    /// The workflow could not be put into the log.
    #[error("cannot put the workflow into the log")]
    Workflow(#[from] AppendError),
}

/// What the service needs of the database: it continues streams and keeps the index of wake-ups.
pub const GRANT: Grant = Grant {
    role: "tiffin_orders",
    log: LogAccess::Append,
    schema: Some((SCHEMA, MIGRATIONS)),
};

/// Creates or changes the tables of `orders`. Safe from several processes at once.
///
/// # Errors
/// If the database refuses or does not answer.
pub async fn migrate(url: &DatabaseUrl) -> Result<(), MigrateError> {
    Derived::migrate(url, SCHEMA, MIGRATIONS).await
}

/// Starts the service's tasks; they run until the lifecycle ends.
///
/// # Errors
/// If its tables cannot be opened or are not those of this version, or if the workflow cannot be put into the log.
pub async fn start(
    dependencies: Dependencies,
    config: Config,
    lifecycle: &Lifecycle,
    registry: &mut Registry,
) -> Result<(), StartError> {
    let Dependencies { store, bus, tracer } = dependencies;
    let stop = || lifecycle.soft.clone();
    let derived = Derived::open(&store, SCHEMA, MIGRATIONS).await?;
    let workflows = Workflows::new(store.clone(), config.workflow, config.speed);
    workflows.define().await?;

    let metrics = Metrics::new();
    let saga = Saga {
        store: store.clone(),
        workflows,
        cache: Cache::default(),
        metrics: metrics.clone(),
        tracer: tracer.clone(),
    };
    let runner = run(saga, lifecycle);
    metrics.register(registry, runner.clone());

    let holder = format!("orders-{}", Uuid::now_v7());
    let lease = derived.lease("orders", holder, &lifecycle.tracker, stop());
    let wakeups = Wakeups {
        store: store.clone(),
        tables: Tables::new(derived.clone()),
        runner: runner.clone(),
        metrics,
    };
    lifecycle.spawn("wake-ups", wakeups.lead(lease.clone(), stop()));

    let log = Log {
        store: store.clone(),
        stop: stop(),
    };
    let requests = requests::spec(&runner, &Again::new(&bus, log, config.stream_replicas));
    let relaying = RelayConfig {
        name: "order-updated",
        stream: relay::stream(config.stream_replicas),
        store,
        derived,
        lease,
    };
    let relay = Relay::new(&bus, relaying, move |event| relay::message(&tracer, event));
    lifecycle.spawn("relay of order.updated", relay.run(stop()));
    let starts = Starts {
        runner: runner.clone(),
        tracker: lifecycle.tracker.clone(),
    };
    lifecycle.spawn("consumer of order.created", starts.consume(bus.clone(), stop()));
    lifecycle.spawn("service orders", tiffin_bus::serve(bus, requests, stop()));
    Ok(())
}

/// Begins to take orders through their workflow, as they come in and as time passes.
fn run(saga: Saga, lifecycle: &Lifecycle) -> Runner {
    let runner = Runner::new(saga, lifecycle.clone());
    let stop = || lifecycle.soft.clone();
    lifecycle.spawn("timers", runner.clone().keep_time(stop()));
    let replacements = runner.clone().follow_replacements(stop());
    lifecycle.spawn("replacements of the log", replacements);
    runner
}
