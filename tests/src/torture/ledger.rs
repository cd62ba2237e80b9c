//! The ledger: what was promised, and where a run broke it.

use std::{collections::BTreeMap, fmt, time::Duration};

use super::{
    checks,
    history::{Evidence, Struck},
    recovery,
    schedule::Fault,
};

/// How many offenders of a kind are described.
const SHOWN: usize = 5;

/// What a run has to have been like for its ledger to count.
#[derive(Clone, Copy, Debug)]
pub struct Demands {
    /// How many orders were open at every fault, at least.
    pub open: usize,
    /// How many kills came before the fault before them had been recovered from, at least.
    pub early: usize,
}

/// A promise, and what broke it.
#[derive(Clone, Debug)]
pub struct Line {
    /// What would be wrong.
    pub name: &'static str,
    /// A sentence for each time that it was.
    pub offenders: Vec<String>,
}

/// The account of a run.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// Orders for which there was an answer.
    pub acknowledged: usize,
    /// Attempts whose outcome nobody knew, so that they were repeated.
    pub unknown: u32,
    /// Kills that came before the fault before them had been recovered from.
    pub early: usize,
    /// The fewest orders that were open at a fault.
    pub open: usize,
    /// What must not be.
    pub lines: Vec<Line>,
    /// For each kind of fault: how often, and the longest time until an order placed after it was seen to be paid.
    pub recoveries: BTreeMap<Fault, (usize, Duration)>,
}

impl Ledger {
    /// Draws up the account.
    pub fn new(evidence: &Evidence, demands: Demands) -> Self {
        let placements = &evidence.placements;
        let recoveries = recovery::each(evidence);
        let early = recovery::early(&evidence.faults, &recoveries);
        let mut lines = checks::lines(evidence);
        lines.push(Line {
            name: "faults not recovered from",
            offenders: recovery::never(&evidence.faults, &recoveries),
        });
        lines.push(Line {
            name: "faults that were too easy",
            offenders: too_easy(evidence, demands, early),
        });
        Self {
            acknowledged: placements
                .iter()
                .filter(|placed| placed.acknowledged.is_some())
                .count(),
            unknown: placements.iter().map(|placed| placed.unknown).sum(),
            early,
            open: evidence.faults.iter().map(|fault| fault.open).min().unwrap_or(0),
            lines,
            recoveries: recovery::longest(&evidence.faults, &recoveries),
        }
    }

    /// Whether every promise was kept.
    pub fn is_clean(&self) -> bool {
        self.lines.iter().all(|line| line.offenders.is_empty())
    }

    /// How often the promise called `name` was broken.
    pub fn count(&self, name: &str) -> usize {
        let line = self.lines.iter().find(|line| line.name == name);
        line.map_or(0, |line| line.offenders.len())
    }
}

fn too_easy(evidence: &Evidence, demands: Demands, early: usize) -> Vec<String> {
    let faults = evidence.faults.iter();
    let idle = faults.filter(|struck| struck.open < demands.open).map(|struck| {
        let Struck { fault, at, open } = struck;
        format!("{fault} at {at:.1?}: only {open} orders were open")
    });
    let late = (early < demands.early).then(|| {
        let wanted = demands.early;
        format!("only {early} kills came before the fault before them had been recovered from, not {wanted}")
    });
    idle.chain(late).collect()
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, number: u64| writeln!(f, "{name:<52}{number:>7}");
        row("acknowledged", self.acknowledged as u64)?;
        row("unknown", self.unknown.into())?;
        for line in &self.lines {
            row(line.name, line.offenders.len() as u64)?;
        }
        row("fewest orders open at a fault", self.open as u64)?;
        row("kills before the last recovery", self.early as u64)?;
        for (fault, (times, longest)) in &self.recoveries {
            let name = format!("longest recovery from {fault} ({times} times)");
            writeln!(f, "{name:<52}{:>5.1} s", longest.as_secs_f64())?;
        }
        for line in self.lines.iter().filter(|line| !line.offenders.is_empty()) {
            writeln!(f, "\n{}:", line.name)?;
            for offender in line.offenders.iter().take(SHOWN) {
                writeln!(f, "  {offender}")?;
            }
            if let Some(more) = line.offenders.len().checked_sub(SHOWN + 1) {
                writeln!(f, "  and {} more", more + 1)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
