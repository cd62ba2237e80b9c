//! Three times as many orders as there is capacity for, and what is left of it 5 s later.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use anyhow::{Result, ensure};
use tiffin_tests::stack::waits;
use tokio::time::{Instant, sleep};

use super::{
    Engine,
    create::{CLIENTS, System, WAITS},
};
use crate::{
    load::{
        flood::{Pace, flood},
        http::{Documents, place},
    },
    method::{Plan, compare, median},
    report::{Figure, Goal},
    run::{Clock, Run, Subject, count},
    usage::Watched,
};

pub(super) const NAME: &str = "overload";

/// How long a run is.
const RUN: Duration = Duration::from_secs(10);
/// How many times its capacity is asked of it.
const TIMES: f64 = 3.0;
/// How long after the load all is to be as it was.
const RECOVERY: Duration = Duration::from_secs(5);
/// How long one client places orders, before the load and after it.
const ALONE: Duration = Duration::from_secs(1);

pub(super) async fn measure(plan: Plan) -> Result<Figure> {
    let mut figure = Figure::new(NAME);
    for (database, engine) in Engine::both().await {
        let system = System::on(engine.postgres(), &waits(WAITS), Documents::Repeated).await?;
        let system = Rc::new(system);
        let found = Rc::new(Cell::new(0.0));
        let mut capacity = Capacity {
            system: Rc::clone(&system),
            found: Rc::clone(&found),
        };
        let mut overload = Overload {
            system,
            capacity: found,
            left: RefCell::default(),
        };
        let comparison = compare(plan, RUN, &mut capacity, &mut overload).await?;
        let what = format!("{database}: orders accepted, beside the capacity");
        figure.compared(&what, &comparison, Some(Goal::AtLeast(0.9)), None);
        let slowest = comparison.medians(|run| run.latency_at(0.99)).ours / 1e3;
        figure.alone(
            format!("{database}: ms at p99 of what is accepted"),
            slowest,
            Some(Goal::AtMost(500.0)),
        );
        overload.report(database, &mut figure);
    }
    Ok(figure)
}

/// As much as 256 clients get done that wait for each answer.
struct Capacity {
    system: Rc<System>,
    found: Rc<Cell<f64>>,
}

impl Subject for Capacity {
    async fn run(&mut self, time: Duration) -> Result<Run> {
        let (before, watched) = (self.system.placed().await?, self.system.watched()?);
        let clock = Clock::start(&watched)?;
        let placed = place(&self.system.client, CLIENTS, Instant::now() + time).await?;
        ensure!(
            placed.refused == 0,
            "{} orders were refused while the capacity was looked for: is the machine busy?",
            placed.refused
        );
        let run = clock.stop(placed.orders, placed.latency)?;
        self.found.set(run.rate());
        self.system.stored(before, placed.orders).await?;
        Ok(run)
    }
}

/// Clients who do not care how they are answered.
struct Overload {
    system: Rc<System>,
    capacity: Rc<Cell<f64>>,
    left: RefCell<Vec<Left>>,
}

/// What an overload leaves behind.
struct Left {
    /// How many requests were due.
    due: f64,
    /// How many of them found no free connection, and were never sent.
    unsent: f64,
    /// How late the load itself was, at p99, in milliseconds.
    late: f64,
    /// How much of what was sent was refused.
    refused: f64,
    /// MiB at the peak of all services.
    peak: f64,
    /// How much longer than before one client alone waits, 5 s later.
    slower: f64,
    /// How many of that client's orders were refused.
    refused_later: f64,
    /// How far relays, list and starts are then behind, in seconds.
    lag: f64,
}

impl Subject for Overload {
    async fn run(&mut self, time: Duration) -> Result<Run> {
        let system = &self.system;
        let services = system.services().iter().fold(Watched::none(), |all, service| {
            all.and(Some(service.process.id()))
        });
        let placed_before = system.placed().await?;
        let before = place(&system.client, 1, Instant::now() + ALONE).await?;
        let watched = system.watched()?;
        let clock = Clock::start(&watched)?;
        let pace = Pace {
            rate: TIMES * self.capacity.get(),
            time,
        };
        let flooded = flood(system.client.clone(), pace).await?;
        let placed = flooded.placed;
        let run = Run {
            elapsed: flooded.elapsed,
            ..clock.stop(placed.orders, placed.latency)?
        };
        // Not to wait for a condition: what holds at this moment is asked.
        sleep(RECOVERY).await;
        let lag = system.lag().await?;
        let after = place(&system.client, 1, Instant::now() + ALONE).await?;
        let answered = before.orders + flooded.opened + placed.orders + after.orders;
        let sent = placed.orders + placed.refused;
        let median = |placed: &crate::load::http::Placed| count(placed.latency.value_at_quantile(0.5));
        self.left.borrow_mut().push(Left {
            due: count(sent + flooded.unsent),
            unsent: count(flooded.unsent),
            late: count(flooded.late.value_at_quantile(0.99)) / 1e6,
            refused: count(placed.refused) / count(sent),
            peak: count(services.usage()?.peak) / 1024.0 / 1024.0,
            slower: median(&after) / median(&before),
            refused_later: count(after.refused),
            lag,
        });
        system.stored(placed_before, answered).await?;
        Ok(run)
    }
}

impl Overload {
    fn report(&self, database: &str, figure: &mut Figure) {
        let left = self.left.borrow();
        // The first was the warming up.
        let of = |value: fn(&Left) -> f64| left.iter().skip(1).map(value);
        let worst = |value: fn(&Left) -> f64| of(value).fold(0.0, f64::max);
        for (what, value, goal) in [
            ("orders due in a run", median(of(|left| left.due).collect()), None),
            (
                "of these never sent: no free connection, in no latency",
                median(of(|left| left.unsent).collect()),
                None,
            ),
            (
                "ms that the load itself sent late, at p99",
                median(of(|left| left.late).collect()),
                None,
            ),
            (
                "part of what was sent refused",
                median(of(|left| left.refused).collect()),
                None,
            ),
            (
                "MiB at the peak of the services",
                worst(|left| left.peak),
                Some(Goal::AtMost(512.0)),
            ),
            (
                "one client alone 5 s later, times p50 before",
                median(of(|left| left.slower).collect()),
                Some(Goal::AtMost(1.25)),
            ),
            (
                "orders of that client refused",
                worst(|left| left.refused_later),
                Some(Goal::AtMost(0.0)),
            ),
            (
                "seconds that relays, list, starts are then behind",
                worst(|left| left.lag),
                Some(Goal::AtMost(1.0)),
            ),
        ] {
            figure.alone(format!("{database}: {what}"), value, goal);
        }
    }
}
