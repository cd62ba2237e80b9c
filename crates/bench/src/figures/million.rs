//! A log of a million orders that are finished and a hundred thousand that are open.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use async_nats::jetstream;
use hdrhistogram::Histogram;
use serde_json::Value;
use tiffin_eventstore::{DatabaseUrl, EventStore};
use tiffin_testkit::eventually;
use tiffin_tests::stack::waits;
use tokio::time::Instant;

use super::{
    Engine,
    append::Appenders,
    create::{CLIENTS, System},
    history::History,
};
use crate::{
    load::http::{Documents, place},
    method::{Plan, compare, median},
    report::{Figure, Goal},
    run::{Clock, Run, Subject, count, latencies, note},
};

pub(super) const NAME: &str = "million";

const HISTORY: History = History {
    finished: 1_000_000,
    open: 100_000,
};
/// How long a run of orders or appends is.
const RUN: Duration = Duration::from_secs(10);
/// So much of a rate on an empty log is to be left.
const LEFT: f64 = 0.8;
/// How many pages are read in a row, and how often from the list's beginning on.
const PAGES: usize = 25;
const ROUNDS: usize = 200;
/// The lists that are leafed through: of few orders, of many, of none, and of several kinds.
const FILTERS: [&str; 4] = ["PAID", "DELIVERED", "CANCELLED", "PENDING, PAID, PREPARING"];

pub(super) async fn measure(plan: Plan) -> Result<Figure> {
    let mut figure = Figure::new(NAME);
    for (name, engine) in Engine::both().await {
        let start = async || System::on(engine.postgres(), &waits(["0s"; 4]), Documents::Repeated).await;
        let begun = Instant::now();
        let system = start().await?.fill(HISTORY).await?;
        eprintln!("  {name}: filled in {:.0} s", begun.elapsed().as_secs_f64());
        tidied(&engine, &system).await?;
        let rest = at_rest(&engine, &system).await? / count(HISTORY.finished + HISTORY.open);
        figure.alone(
            format!("{name}: bytes at rest for each order"),
            rest,
            Some(Goal::AtMost(5_000.0)),
        );
        let (system, ready) = ready(plan, system).await;
        figure.alone(
            format!("{name}: s from a start until all is ready"),
            ready,
            Some(Goal::AtMost(5.0)),
        );
        let page = count(pages(&system).await?.value_at_quantile(0.99)) / 1e6;
        figure.alone(
            format!("{name}: ms for a page of orders by status, at p99"),
            page,
            Some(Goal::AtMost(5.0)),
        );

        let mut filled = Whole::new(system).await?;
        let mut empty = Whole::new(start().await?).await?;
        let orders = compare(plan, RUN, &mut empty, &mut filled).await?;
        let left = Some(Goal::AtLeast(LEFT));
        figure.compared(
            &format!("{name}: whole orders, beside an empty log"),
            &orders,
            left,
            None,
        );
        let written = orders.medians(Run::written_per_operation);
        figure.alone(
            format!("{name}: bytes written for each of them"),
            written.ours,
            Some(Goal::AtMost(20_000.0)),
        );

        filled.0.kill();
        drop(empty);
        let url: DatabaseUrl = filled.0.database_url().parse()?;
        let watched = engine.watched().and_log(&url);
        let store = EventStore::open(tiffin_eventstore::Config::new(url)).await?;
        let mut filled = Appenders::new(store, watched);
        let (store, watched) = engine.log().await?;
        let mut empty = Appenders::new(store, watched);
        let appends = compare(plan, RUN, &mut empty, &mut filled).await?;
        figure.compared(
            &format!("{name}: appends, beside an empty log"),
            &appends,
            left,
            None,
        );
    }
    Ok(figure)
}

/// Has PostgreSQL do what it does by and by while orders come in over months: here they came in minutes.
async fn tidied(engine: &Engine, system: &System) -> Result<()> {
    if let Engine::Postgres(server) = engine {
        let url = system.database_url();
        for statement in ["VACUUM ANALYZE", "CHECKPOINT"] {
            server.execute(Some(database(&url)?), statement.to_owned()).await;
        }
    }
    Ok(())
}

/// The name of the database at this URL.
fn database(url: &str) -> Result<&str> {
    let name = url.rsplit_once('/').context("a database")?.1;
    Ok(name.split('?').next().unwrap_or(name))
}

/// What log and derived tables take on the disk, in bytes.
async fn at_rest(engine: &Engine, system: &System) -> Result<f64> {
    let bytes = match (engine, system.database_url().parse()?) {
        (Engine::Postgres(server), _) => {
            let url = system.database_url();
            let name = database(&url)?;
            let size = server.execute(None, format!("SELECT pg_database_size('{name}')"));
            size.await.trim().parse()?
        }
        (Engine::Sqlite, DatabaseUrl::Sqlite(folder)) => size(&folder)?,
        (Engine::Sqlite, DatabaseUrl::Postgres(_)) => anyhow::bail!("not a folder"),
    };
    Ok(count(bytes))
}

fn size(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() {
            size(&entry.path())?
        } else {
            metadata.len()
        };
    }
    Ok(bytes)
}

/// Kills all services and starts them again; how long it takes until all are ready, in seconds.
async fn ready(plan: Plan, mut system: System) -> (System, f64) {
    let mut took = Vec::new();
    for _ in 0..plan.pairs {
        system.kill();
        let start = Instant::now();
        system = system.start_again();
        for service in system.services() {
            service.ready().await;
        }
        took.push(start.elapsed().as_secs_f64());
    }
    (system, median(took))
}

/// Leafs through lists; how long each page took.
async fn pages(system: &System) -> Result<Histogram<u64>> {
    let client = reqwest::Client::new();
    let mut latency = latencies();
    for round in 0..ROUNDS {
        let filter = FILTERS[round % FILTERS.len()];
        let mut after = String::new();
        for _ in 0..PAGES {
            let query = format!(
                "{{ orders(filter: {{ status: [{filter}] }}, first: 20{after}) \
                 {{ nodes {{ id status version createdAt products {{ name quantity }} }} \
                 pageInfo {{ endCursor hasNextPage }} }} }}"
            );
            let begun = Instant::now();
            let page = system.query(&client, &query).await?;
            note(&mut latency, begun.elapsed());
            after = next(&page["orders"], filter)?;
        }
    }
    Ok(latency)
}

/// Where the next page begins, after a look at this one.
fn next(page: &Value, filter: &str) -> Result<String> {
    let orders = page["nodes"].as_array().context("no orders")?;
    let fits = |order: &Value| {
        order["status"]
            .as_str()
            .is_some_and(|status| filter.contains(status))
    };
    ensure!(orders.iter().all(fits), "a list of {filter} has {page}");
    ensure!(
        filter == "CANCELLED" || orders.len() == 20,
        "a page is not full: {page}"
    );
    let cursor = page["pageInfo"]["endCursor"].as_str();
    Ok(cursor.map_or_else(String::new, |cursor| format!(", after: \"{cursor}\"")))
}

/// Orders placed over HTTP and carried through to the last publication.
struct Whole(System, jetstream::Context);

/// What an order of four waits that are zero publishes after it was placed.
const CHANGES: u64 = 4;

impl Whole {
    async fn new(system: System) -> Result<Self> {
        let nats = async_nats::connect(system.nats().url()).await?;
        Ok(Self(system, jetstream::new(nats)))
    }

    async fn published(&self) -> u64 {
        let stream = self.1.get_stream("ORDER_UPDATED").await;
        stream.map_or(0, |stream| stream.cached_info().state.last_sequence)
    }
}

impl Subject for Whole {
    async fn run(&mut self, time: Duration) -> Result<Run> {
        let before = self.published().await;
        let watched = self.0.watched()?;
        let clock = Clock::start(&watched)?;
        let placed = place(&self.0.client, CLIENTS, Instant::now() + time).await?;
        let all = before + placed.orders * CHANGES;
        eventually!(within Duration::from_mins(2), self.published().await, |published| *published >= all);
        let run = clock.stop(placed.orders, placed.latency)?;
        self.0.settled().await;
        Ok(run)
    }
}
