//! Each promise, as a function from the evidence to the sentences that say where it was broken.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use uuid::Uuid;

use super::{
    history::{Evidence, Logged, Placement},
    ledger::Line,
};

/// The states that an order never leaves.
const FINAL: [&str; 2] = ["DELIVERED", "CANCELLED"];

/// No recovery takes so long, and no step of the long form is so short that the next would make up for a miss.
const LATE: Duration = Duration::from_secs(10);

type Streams<'a> = HashMap<Uuid, Vec<&'a Logged>>;

/// One line for each promise.
pub(super) fn lines(evidence: &Evidence) -> Vec<Line> {
    let placements = &evidence.placements;
    let streams = evidence.streams();
    let updates = Updates::new(placements, &streams);
    let copies = Copies::new(evidence);
    [
        ("orders without a proper answer", unanswered(placements)),
        ("lost", lost(placements, &streams)),
        ("doubled by key", doubled(placements, &streams)),
        ("versions not 1..n", versions(&streams)),
        ("updates missed", updates.missed),
        ("updates repeated", updates.repeated),
        ("updates out of order", updates.disordered),
        ("updates unlike the log", updates.unlike),
        ("updates more than 10 s late", late(placements, &streams)),
        ("events missing from the two streams", copies.missing),
        ("events in the two streams twice or without cause", copies.extra),
        ("events out of order in the two streams", copies.disordered),
        ("open at the end", open(&streams)),
        ("subscriptions that did not end", endless(placements)),
        ("processes that ended by themselves", evidence.deaths.clone()),
    ]
    .into_iter()
    .map(|(name, offenders)| Line { name, offenders })
    .collect()
}

fn unanswered(placements: &[Placement]) -> Vec<String> {
    let mut offenders = Vec::new();
    for placed in placements {
        if placed.sent.is_some() && placed.acknowledged.is_none() {
            offenders.push(format!("{}: no answer", placed.label));
        }
        offenders.extend(
            placed
                .wrong
                .iter()
                .map(|text| format!("{}: {text}", placed.label)),
        );
    }
    offenders
}

fn lost(placements: &[Placement], streams: &Streams<'_>) -> Vec<String> {
    let lost = placements.iter().filter_map(|placed| {
        let id = placed.id().filter(|id| !streams.contains_key(id))?;
        Some(format!(
            "{}: acknowledged as {id}, which the log does not have",
            placed.label
        ))
    });
    lost.collect()
}

/// A key is doubled if its answers differ, or if the log holds two orders that carry its label.
fn doubled(placements: &[Placement], streams: &Streams<'_>) -> Vec<String> {
    let mut offenders = Vec::new();
    for placed in placements {
        if let Some(other) = placed.answers.iter().find(|answer| **answer != placed.answers[0]) {
            offenders.push(format!(
                "{}: answered {:?}, then {other:?}",
                placed.label, placed.answers[0]
            ));
        }
    }
    let mut orders: HashMap<&str, Uuid> = HashMap::new();
    for (order, events) in streams {
        let labels: HashSet<&str> = events.iter().filter_map(|event| event.label.as_deref()).collect();
        for label in labels {
            if let Some(other) = orders.insert(label, *order) {
                offenders.push(format!("{label}: both {other} and {order}"));
            }
        }
    }
    offenders
}

fn versions(streams: &Streams<'_>) -> Vec<String> {
    let broken = streams.iter().filter_map(|(order, events)| {
        let revisions: Vec<u64> = events.iter().map(|event| event.revision).collect();
        let versions: Vec<u32> = events.iter().filter_map(|event| event.version()).collect();
        let fine = versions.iter().copied().eq(1..=count(&versions))
            && revisions.iter().copied().eq(0..revisions.len() as u64);
        (!fine).then(|| format!("{order}: versions {versions:?} at revisions {revisions:?}"))
    });
    broken.collect()
}

fn count(versions: &[u32]) -> u32 {
    u32::try_from(versions.len()).unwrap_or(u32::MAX)
}

fn open(streams: &Streams<'_>) -> Vec<String> {
    let open = streams.iter().filter_map(|(order, events)| {
        let (version, status) = events.iter().rev().find_map(|event| event.visible.as_ref())?;
        (!FINAL.contains(&status.as_str())).then(|| format!("{order}: {status}, version {version}"))
    });
    open.collect()
}

fn endless(placements: &[Placement]) -> Vec<String> {
    let endless = placements.iter().filter(|placed| placed.is_open()).map(|placed| {
        let Placement {
            label, connections, ..
        } = placed;
        format!(
            "{label}: at version {} after {connections} connections",
            placed.newest()
        )
    });
    endless.collect()
}

/// What the subscribers should have seen, against what they saw.
#[derive(Default)]
struct Updates {
    missed: Vec<String>,
    repeated: Vec<String>,
    disordered: Vec<String>,
    unlike: Vec<String>,
}

impl Updates {
    fn new(placements: &[Placement], streams: &Streams<'_>) -> Self {
        let mut updates = Self::default();
        for placed in placements {
            if let Some(events) = placed.id().and_then(|id| streams.get(&id)) {
                updates.compare(placed, events);
            }
        }
        updates
    }

    fn compare(&mut self, placed: &Placement, events: &[&Logged]) {
        let truth: HashMap<u32, &str> = events
            .iter()
            .filter_map(|event| {
                event
                    .visible
                    .as_ref()
                    .map(|(version, status)| (*version, status.as_str()))
            })
            .collect();
        let saw: Vec<u32> = placed.seen.iter().map(|seen| seen.version).collect();
        let what = |version: u32| format!("{}: version {version}, saw {saw:?}", placed.label);
        let mut before: HashSet<u32> = HashSet::new();
        let mut newest = 0;
        for seen in &placed.seen {
            if !before.insert(seen.version) {
                self.repeated.push(what(seen.version));
            } else if seen.version < newest {
                self.disordered.push(what(seen.version));
            }
            if truth.get(&seen.version) != Some(&seen.status.as_str()) {
                self.unlike
                    .push(format!("{} as {}", what(seen.version), seen.status));
            }
            newest = newest.max(seen.version);
        }
        let mut missed: Vec<u32> = truth
            .into_keys()
            .filter(|version| !before.contains(version))
            .collect();
        missed.sort_unstable();
        self.missed.extend(missed.into_iter().map(what));
    }
}

/// The updates that were long under way, though their subscribers were there. The two clocks are brought together by
/// the quickest update of all.
fn late(placements: &[Placement], streams: &Streams<'_>) -> Vec<String> {
    let mut ways = Vec::new();
    for placed in placements {
        let events = placed.id().and_then(|id| streams.get(&id)).into_iter().flatten();
        let committed: HashMap<u32, Duration> = events
            .filter_map(|event| Some((event.version()?, event.committed)))
            .collect();
        for seen in &placed.seen {
            if let Some(committed) = committed.get(&seen.version) {
                ways.push((placed, seen, *committed));
            }
        }
    }
    // The time of the run's start by the database's clock, if the quickest update took no time.
    let start = ways
        .iter()
        .map(|(_, seen, committed)| committed.saturating_sub(seen.at))
        .max();
    let start = start.unwrap_or_default();
    let late = ways.into_iter().filter_map(|(placed, seen, committed)| {
        // Nobody can watch an order before its id is known.
        let possible = committed.saturating_sub(start).max(placed.acknowledged?);
        let way = seen.at.saturating_sub(possible);
        (way > LATE).then(|| format!("{}: version {} after {way:.1?}", placed.label, seen.version))
    });
    late.collect()
}

/// What the broker's streams should hold, against what they hold.
#[derive(Default)]
struct Copies {
    missing: Vec<String>,
    extra: Vec<String>,
    disordered: Vec<String>,
}

impl Copies {
    fn new(evidence: &Evidence) -> Self {
        let mut copies = Self::default();
        for (name, creates, held) in [
            ("ORDER_CREATED", true, &evidence.created),
            ("ORDER_UPDATED", false, &evidence.updated),
        ] {
            let due = evidence
                .log
                .iter()
                .filter(|event| event.published && event.creates == creates);
            let due: Vec<Uuid> = due.map(|event| event.event).collect();
            copies.compare(name, &due, held);
        }
        copies
    }

    fn compare(&mut self, name: &str, due: &[Uuid], held: &[Uuid]) {
        let places: HashMap<Uuid, usize> = due.iter().enumerate().map(|(place, id)| (*id, place)).collect();
        let mut found: HashSet<Uuid> = HashSet::new();
        let mut last = None;
        for (index, id) in held.iter().enumerate() {
            let here = format!("{name}: {id} is message {} of {}", index + 1, held.len());
            match places.get(id) {
                Some(place) if found.insert(*id) => {
                    if last.is_some_and(|last| *place < last) {
                        self.disordered.push(here);
                    }
                    last = last.max(Some(*place));
                }
                Some(_) | None => self.extra.push(here),
            }
        }
        let missing = due.iter().enumerate().filter(|(_, id)| !found.contains(*id));
        self.missing
            .extend(missing.map(|(place, id)| format!("{name}: {id}, event {} of {}", place + 1, due.len())));
    }
}
