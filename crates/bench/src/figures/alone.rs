//! One client that places one order after the other, with nobody else about.

use std::time::Duration;

use anyhow::{Result, ensure};
use tiffin_tests::stack::waits;
use tokio::time::Instant;

use super::{
    Engine,
    create::{System, WAITS},
    sagas::placed_order,
};
use crate::{
    load::http::{Documents, place},
    method::{Plan, compare},
    report::{Figure, Goal},
    run::{Clock, Run, Subject},
};

pub(super) const NAME: &str = "alone";

/// How long a run is.
const RUN: Duration = Duration::from_secs(4);

pub(super) async fn measure(plan: Plan) -> Result<Figure> {
    let mut figure = Figure::new(NAME);
    for (name, engine) in Engine::both().await {
        let mut floor = engine.rows().await?;
        floor.batches_of(1);
        floor.rows_like(&placed_order()?.events[0]);
        let system = System::on(engine.postgres(), &waits(WAITS), Documents::Repeated).await?;
        let comparison = compare(plan, RUN, &mut floor, &mut Alone(system)).await?;
        let what = format!("{name}: one order at a time, beside one row");
        figure.latency(&what, &comparison, Goal::AtMost(2.0));
    }
    Ok(figure)
}

struct Alone(System);

impl Subject for Alone {
    async fn run(&mut self, time: Duration) -> Result<Run> {
        let (before, watched) = (self.0.placed().await?, self.0.watched()?);
        let clock = Clock::start(&watched)?;
        let placed = place(&self.0.client, 1, Instant::now() + time).await?;
        ensure!(placed.refused == 0, "the only client was refused");
        let run = clock.stop(placed.orders, placed.latency)?;
        self.0.stored(before, placed.orders).await?;
        Ok(run)
    }
}
