//! How a run is described, and what follows from the description.

use std::{path::PathBuf, time::Duration};

use clap::Parser;

use super::{
    ledger::Demands,
    schedule::{Plan, Strike, schedule},
};

/// Places orders and watches them while everything is killed, over and over; prints a ledger at the end and exits with
/// 1 if a promise was broken.
#[derive(Clone, Debug, Parser)]
#[command(name = "torture")]
pub struct Options {
    /// Draws the schedule of faults; the same seed draws the same.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How many orders are placed, evenly over the whole run.
    #[arg(long, default_value_t = 2000)]
    pub orders: u32,
    /// How many processes are killed.
    #[arg(long, default_value_t = 100)]
    pub kills: usize,
    /// How often each kind of process is killed at least.
    #[arg(long, default_value_t = 15)]
    pub each: usize,
    /// How often all that JetStream stored is deleted.
    #[arg(long, default_value_t = 2)]
    pub wipes: usize,
    /// How often PostgreSQL is restarted.
    #[arg(long, default_value_t = 5)]
    pub restarts: usize,
    /// The mean time between two faults, in seconds.
    #[arg(long, default_value = "2.5", value_parser = seconds)]
    pub every: Duration,
    /// How many orders have to be open at every fault.
    #[arg(long, default_value_t = 300)]
    pub open: usize,
    /// The waits of the workflow's four steps, in seconds. The first should be 0: a recovery lasts until an order that
    /// was placed after the fault is seen to be paid.
    #[arg(long, default_value = "0,12,20,20", value_parser = waits)]
    pub waits: [u32; 4],
    /// How long after the last fault every order has to be finished, in seconds.
    #[arg(long, default_value = "60", value_parser = seconds)]
    pub settle: Duration,
    /// Where the services' logs are kept if a promise was broken.
    #[arg(long, default_value = "target/torture")]
    pub logs: PathBuf,
}

/// How long orders are still placed after the last fault.
pub(super) const TAIL: Duration = Duration::from_secs(2);

impl Options {
    /// The faults of this run.
    pub fn schedule(&self) -> Vec<Strike> {
        let plan = Plan {
            kills: self.kills,
            each: self.each,
            wipes: self.wipes,
            restarts: self.restarts,
            every: self.every,
        };
        schedule(self.seed, &plan)
    }

    /// What the ledger asks of this run.
    pub fn demands(&self) -> Demands {
        Demands {
            open: self.open,
            early: self.kills / 3,
        }
    }

    /// How long an order is on its way if nothing holds it up.
    pub fn way(&self) -> Duration {
        Duration::from_secs(self.waits.iter().sum::<u32>().into())
    }

    /// The time between two orders: as many orders as are wanted, from the first until shortly after the last fault,
    /// of which the first comes when the first orders are delivered.
    pub fn pace(&self) -> Duration {
        let schedule = self.schedule();
        let at = |strike: Option<&Strike>| strike.map_or(Duration::ZERO, |strike| strike.at);
        // The first fault waits for the first delivery.
        let faults = at(schedule.last()).saturating_sub(at(schedule.first()));
        (self.way() + faults + TAIL) / self.orders.max(1)
    }
}

fn waits(text: &str) -> Result<[u32; 4], String> {
    let waits: Result<Vec<u32>, _> = text.split(',').map(str::parse).collect();
    let waits = waits.map_err(|error| error.to_string())?;
    waits.try_into().map_err(|_| "not four numbers".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|error| format!("{error}"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_the_default_pace_more_orders_are_open_than_every_fault_needs() {
        let options = Options::parse_from(["torture"]);
        let open = options.way().as_millis() / options.pace().as_millis();
        assert!(
            (310..340).contains(&open),
            "{open} open orders, and {} needed",
            options.open
        );
    }
}
