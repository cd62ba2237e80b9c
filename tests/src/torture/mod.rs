//! Orders are placed and watched while everything is killed, over and over; at the end a ledger is drawn up.

pub mod audit;
mod board;
mod checks;
pub mod crowd;
mod customer;
pub mod history;
pub mod ledger;
pub mod options;
mod recovery;
pub mod schedule;
mod system;

use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::time::{Instant, sleep, sleep_until};

use self::{
    crowd::Crowd,
    history::{Evidence, Struck},
    options::TAIL,
    system::{Strikes, System},
};
pub use self::{ledger::Ledger, options::Options};

/// How much longer than an order takes it may take until enough orders are open.
const ENOUGH: Duration = Duration::from_secs(30);

/// How often something is looked at that takes its time.
const LOOK: Duration = Duration::from_millis(20);

/// Runs it all and draws up the ledger.
pub async fn run(options: &Options) -> Result<Ledger> {
    let system = System::start(options.waits).await?;
    let supervisor = tokio::spawn(system.clone().supervise());
    let ledger = play(options, &system).await;
    supervisor.abort();
    if !ledger.as_ref().is_ok_and(Ledger::is_clean) {
        system.keep_logs(&options.logs)?;
        eprintln!("the services' logs are in {}", options.logs.display());
    }
    ledger
}

async fn play(options: &Options, system: &System) -> Result<Ledger> {
    let crowd = Crowd::new(options.pace(), system.client().clone());
    let faults = strike_all(options, system, &crowd).await?;
    let last = Instant::now();
    sleep(TAIL).await;
    let deadline = last + options.settle;
    let placements = crowd.leave(deadline).await?;
    let mut evidence = Evidence {
        placements,
        faults,
        ..Evidence::default()
    };
    loop {
        audit::read(&mut evidence, system.database_url(), &system.nats_url()).await?;
        evidence.deaths = system.deaths();
        let ledger = Ledger::new(&evidence, options.demands());
        // The relays may be a moment behind.
        if ledger.is_clean() || Instant::now() > deadline {
            return Ok(ledger);
        }
        sleep(Duration::from_secs(1)).await;
    }
}

/// Waits until enough orders are open, then brings about every fault at its time.
async fn strike_all(options: &Options, system: &System, crowd: &Crowd) -> Result<Vec<Struck>> {
    let schedule = options.schedule();
    // When the first orders are delivered, as many are open as ever will be.
    let first = schedule.first().map_or(Duration::ZERO, |strike| strike.at);
    sleep(options.way().saturating_sub(first)).await;
    let latest = Instant::now() + first + ENOUGH;
    while crowd.open() < options.open {
        let open = crowd.open();
        ensure!(
            Instant::now() < latest,
            "only {open} orders are open, not {}",
            options.open
        );
        sleep(LOOK).await;
    }
    let start = Instant::now();
    let mut strikes = Strikes::default();
    let mut faults = Vec::new();
    for strike in schedule {
        sleep_until(start + strike.at).await;
        let struck = Struck {
            fault: strike.fault,
            at: crowd.now(),
            open: crowd.open(),
        };
        println!(
            "{:>7.2} s  {}, {} open",
            struck.at.as_secs_f64(),
            struck.fault,
            struck.open
        );
        strikes.strike(system, strike.fault);
        faults.push(struck);
    }
    strikes.finished().await;
    Ok(faults)
}
