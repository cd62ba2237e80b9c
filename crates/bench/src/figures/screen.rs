//! From the commit of a change to the screen of whoever watches, at 500 orders a second.

mod floor;
mod screens;
mod system;

use std::time::Duration;

use anyhow::Result;

use self::{floor::Floor, system::System};
use crate::{
    method::{Plan, compare_by},
    report::{Figure, Goal},
};

pub(super) const NAME: &str = "screen";

/// How long a run is.
const RUN: Duration = Duration::from_secs(10);
/// Orders a second.
const RATE: u32 = 500;
/// Changes of an order after it was placed, and so many updates.
const CHANGES: u32 = 4;

pub(super) async fn measure(plan: Plan) -> Result<Figure> {
    let mut floor = Floor::start().await?;
    let mut system = System::start().await?;
    // The schedule gives the rate: what tells of the machine is how long an update takes.
    let comparison = compare_by(|run| run.latency_at(0.5), plan, RUN, &mut floor, &mut system).await?;
    let mut figure = Figure::new(NAME);
    let what = "commit to screen, beside publish to screen";
    figure.latency(what, &comparison, Goal::AtMost(3.0));
    figure.quantile(what, &comparison, 99, Goal::AtMost(4.0));
    // A notifier that reads the log can see a commit before the process that made it hears of it.
    let early = system.screens.early();
    figure.alone("updates in 100 seen before their commit was known", early, None);
    Ok(figure)
}

/// How many orders a run has.
fn number_of_orders(time: Duration) -> u32 {
    let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    RATE.saturating_mul(seconds) + RATE * time.subsec_millis() / 1_000
}
