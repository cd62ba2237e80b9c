//! Which fault strikes when: drawn from a seed, so that a run can be repeated.

use std::{fmt, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};

/// A process that is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Victim {
    /// `tiffin-api`.
    Api,
    /// `tiffin-orders`.
    Orders,
    /// `tiffin-notifier`.
    Notifier,
    /// `nats-server`.
    Nats,
}

impl Victim {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Api, Self::Orders, Self::Notifier, Self::Nats];
}

/// What is done to the running system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// `kill -9`, started again at once.
    Kill(Victim),
    /// nats-server is killed, all that JetStream stored is deleted, nats-server is started again.
    Wipe,
    /// PostgreSQL is stopped at once, without a checkpoint, and started again.
    RestartDatabase,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill(Victim::Api) => "kill -9 api",
            Self::Kill(Victim::Orders) => "kill -9 orders",
            Self::Kill(Victim::Notifier) => "kill -9 notifier",
            Self::Kill(Victim::Nats) => "kill -9 nats-server",
            Self::Wipe => "wipe of JetStream",
            Self::RestartDatabase => "restart of PostgreSQL",
        })
    }
}

/// A fault and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strike {
    /// Counted from the moment at which faults begin.
    pub at: Duration,
    /// What happens.
    pub fault: Fault,
    /// Whether it is meant to come before the fault before it has been recovered from.
    pub early: bool,
}

/// How many faults there are, and how dense.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many processes are killed.
    pub kills: usize,
    /// How often each kind of process is killed at least.
    pub each: usize,
    /// How often JetStream is wiped.
    pub wipes: usize,
    /// How often PostgreSQL is restarted.
    pub restarts: usize,
    /// The mean time between two faults.
    pub every: Duration,
}

/// The longest wait before a kill that is meant to come early: below anything's start-up.
const EARLY: Duration = Duration::from_millis(80);

/// The faults in their order. Three eighths of the kills come early, so that at least a third do though the machine
/// is quick; the others share the remaining time, each gap within 40 % of their mean.
pub fn schedule(seed: u64, plan: &Plan) -> Vec<Strike> {
    let mut dice = StdRng::seed_from_u64(seed);
    let faults = faults(&mut dice, plan);
    let early = early(&mut dice, &faults, (plan.kills * 3).div_ceil(8));
    let late = early.iter().filter(|early| !**early).count();
    let total = plan.every * u32::try_from(faults.len()).unwrap_or(u32::MAX);
    let mean = total / u32::try_from(late.max(1)).unwrap_or(u32::MAX);
    let mut at = Duration::ZERO;
    let mut strike = |(fault, early): (Fault, bool)| {
        at += if early {
            EARLY.mul_f64(dice.random_range(0.0..=1.0))
        } else {
            mean.mul_f64(dice.random_range(0.6..=1.4))
        };
        Strike { at, fault, early }
    };
    faults.into_iter().zip(early).map(&mut strike).collect()
}

fn faults(dice: &mut StdRng, plan: &Plan) -> Vec<Fault> {
    let fixed = Victim::ALL.into_iter().flat_map(|victim| vec![victim; plan.each]);
    let mut faults: Vec<Fault> = fixed.map(Fault::Kill).take(plan.kills).collect();
    while faults.len() < plan.kills {
        faults.push(Fault::Kill(Victim::ALL[dice.random_range(0..Victim::ALL.len())]));
    }
    faults.extend(vec![Fault::Wipe; plan.wipes]);
    faults.extend(vec![Fault::RestartDatabase; plan.restarts]);
    faults.shuffle(dice);
    spare_the_notifier_at_the_end(&mut faults);
    faults
}

/// A notifier that is killed forgets what it has missed, for its subscribers then read everything anew. So that a miss
/// shows, the last third of the faults kills nats-server in its place.
fn spare_the_notifier_at_the_end(faults: &mut [Fault]) {
    let is = |victim| move |fault: &Fault| *fault == Fault::Kill(victim);
    let (earlier, last) = faults.split_at_mut(faults.len() * 2 / 3);
    for fault in last.iter_mut().filter(|fault| is(Victim::Notifier)(fault)) {
        let nats = earlier.iter().position(is(Victim::Nats));
        let other = || earlier.iter().position(|fault| !is(Victim::Notifier)(fault));
        if let Some(index) = nats.or_else(other) {
            std::mem::swap(fault, &mut earlier[index]);
        }
    }
}

/// Marks `count` kills; never the first fault, which has none before it.
fn early(dice: &mut StdRng, faults: &[Fault], count: usize) -> Vec<bool> {
    let mut kills: Vec<usize> = (1..faults.len())
        .filter(|&index| matches!(faults[index], Fault::Kill(_)))
        .collect();
    kills.shuffle(dice);
    kills.truncate(count);
    (0..faults.len()).map(|index| kills.contains(&index)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Plan = Plan {
        kills: 100,
        each: 15,
        wipes: 2,
        restarts: 5,
        every: Duration::from_millis(2600),
    };

    fn count(strikes: &[Strike], fault: Fault) -> usize {
        strikes.iter().filter(|strike| strike.fault == fault).count()
    }

    #[test]
    fn a_seed_repeats_the_schedule_and_another_seed_gives_another() {
        assert_eq!(schedule(7, &FULL), schedule(7, &FULL));
        assert_ne!(schedule(7, &FULL), schedule(8, &FULL));
    }

    #[test]
    fn every_schedule_holds_what_the_plan_asks_for() {
        for seed in 0..200 {
            let strikes = schedule(seed, &FULL);
            assert_eq!(strikes.len(), 107);
            assert_eq!(count(&strikes, Fault::Wipe), 2);
            assert_eq!(count(&strikes, Fault::RestartDatabase), 5);
            for victim in Victim::ALL {
                assert!(count(&strikes, Fault::Kill(victim)) >= 15, "seed {seed}");
            }
            let early: Vec<&Strike> = strikes.iter().filter(|strike| strike.early).collect();
            assert_eq!(early.len(), 38);
            assert!(early.iter().all(|strike| matches!(strike.fault, Fault::Kill(_))));
            assert!(!strikes[0].early);
            let notifier = Fault::Kill(Victim::Notifier);
            assert!(strikes[71..].iter().all(|strike| strike.fault != notifier));
        }
    }

    #[test]
    fn early_kills_follow_at_once_and_the_whole_keeps_its_length() {
        for seed in 0..200 {
            let strikes = schedule(seed, &FULL);
            for pair in strikes.windows(2) {
                let gap = pair[1].at.saturating_sub(pair[0].at);
                assert_eq!(pair[1].early, gap <= EARLY, "seed {seed}: {pair:?}");
            }
            let length = strikes[106].at.as_secs_f64();
            assert!((240.0..320.0).contains(&length), "seed {seed}: {length} s");
        }
    }
}
