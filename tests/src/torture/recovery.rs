//! How long the system needed after each fault until it did its whole work again.

use std::{collections::BTreeMap, time::Duration};

use super::{
    history::{Evidence, Struck},
    schedule::Fault,
};

/// For each fault the time until an order that was sent after it had been answered for, started, and seen to be paid;
/// none if that never was.
pub(super) fn each(evidence: &Evidence) -> Vec<Option<Duration>> {
    let mut ways: Vec<(Duration, Duration)> = evidence
        .placements
        .iter()
        .filter_map(|placed| {
            let paid = placed.seen.iter().find(|seen| seen.version >= 2)?;
            Some((placed.sent?, paid.at))
        })
        .collect();
    ways.sort_unstable();
    let first_end = |at: Duration| {
        let after = ways.iter().filter(|(sent, _)| *sent >= at);
        after.map(|(_, paid)| paid.saturating_sub(at)).min()
    };
    evidence
        .faults
        .iter()
        .map(|struck| first_end(struck.at))
        .collect()
}

/// How many kills came before the fault before them had been recovered from.
pub(super) fn early(faults: &[Struck], recoveries: &[Option<Duration>]) -> usize {
    let pairs = faults.windows(2).zip(recoveries);
    let early = pairs.filter(|(pair, recovery)| {
        let kill = matches!(pair[1].fault, Fault::Kill(_));
        kill && recovery.is_none_or(|recovery| pair[0].at + recovery > pair[1].at)
    });
    early.count()
}

/// For each kind of fault how often it was, and the longest recovery.
pub(super) fn longest(
    faults: &[Struck],
    recoveries: &[Option<Duration>],
) -> BTreeMap<Fault, (usize, Duration)> {
    let mut longest = BTreeMap::new();
    for (struck, recovery) in faults.iter().zip(recoveries) {
        let (times, most): &mut (usize, Duration) = longest.entry(struck.fault).or_default();
        *times += 1;
        *most = (*most).max(recovery.unwrap_or_default());
    }
    longest
}

/// The faults after which nothing worked any more.
pub(super) fn never(faults: &[Struck], recoveries: &[Option<Duration>]) -> Vec<String> {
    let never = faults
        .iter()
        .zip(recoveries)
        .filter(|(_, recovery)| recovery.is_none());
    never
        .map(|(struck, _)| format!("{} at {:.1?}", struck.fault, struck.at))
        .collect()
}
