//! The verdict on one append, from what is known of its stream. Pure.

use std::{ops::Range, sync::Arc};

use uuid::Uuid;

use crate::{Append, Expected, NewEvent, RecordedEvent, Revision, backend::Look};

/// The revision of an append's first event if the append was written before, where that is known.
pub(crate) type Place = Option<Revision>;

/// What is decided about an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Its events are in their place already.
    Replayed(Vec<Arc<RecordedEvent>>),
    /// One of its ids is in its place already, with other content.
    IdReused(Uuid),
    /// The stream is not where it was expected.
    Conflict { actual: Option<Revision> },
    /// It may be written if its first event still gets this revision.
    Write { first: Revision },
}

/// The revision that an append's first event gets, if the expectation tells it.
pub(crate) fn expected_place(expected: Expected) -> Place {
    match expected {
        Expected::NoStream => Some(Revision::FIRST),
        Expected::Exact(last) => Some(last.next()),
        Expected::Any | Expected::StreamExists => None,
    }
}

/// What has to be seen of the stream for a verdict: the append's place and the stream's end. Without an exact
/// expectation a repetition is recognised while its events are the last ones.
pub(crate) fn look(append: &Append, place: Place) -> Look<'_> {
    let count = append.events.len();
    let last = if expected_place(append.expected).is_some() {
        1
    } else {
        count
    };
    Look {
        stream: &append.stream,
        from: place.unwrap_or_default(),
        count: if place.is_some() { count } else { 0 },
        last,
    }
}

/// Judges an append by what `look` has shown.
pub(crate) fn judge(append: &Append, place: Place, seen: &[Arc<RecordedEvent>]) -> Verdict {
    let actual = seen.iter().map(|event| event.revision).max();
    let at_the_end = match (expected_place(append.expected), actual) {
        (None, Some(last)) => (last.0 + 1).checked_sub(append.events.len() as u64).map(Revision),
        _ => None,
    };
    for from in place.into_iter().chain(at_the_end) {
        match in_place(&append.events, from, seen) {
            Found::All(events) => return Verdict::Replayed(events),
            Found::Other(id) => return Verdict::IdReused(id),
            Found::Nothing => {}
        }
    }
    let holds = match append.expected {
        Expected::Any => true,
        Expected::NoStream => actual.is_none(),
        Expected::StreamExists => actual.is_some(),
        Expected::Exact(revision) => actual == Some(revision),
    };
    if holds {
        Verdict::Write {
            first: actual.map_or(Revision::FIRST, Revision::next),
        }
    } else {
        Verdict::Conflict { actual }
    }
}

enum Found {
    All(Vec<Arc<RecordedEvent>>),
    Other(Uuid),
    Nothing,
}

fn in_place(events: &[NewEvent], from: Revision, seen: &[Arc<RecordedEvent>]) -> Found {
    let place: Range<u64> = from.0..from.0.saturating_add(events.len() as u64);
    let recorded: Vec<_> = seen
        .iter()
        .filter(|event| place.contains(&event.revision.0))
        .collect();
    let pairs = || {
        recorded.iter().filter_map(|recorded| {
            let index = usize::try_from(recorded.revision.0 - from.0).ok()?;
            Some((events.get(index)?, *recorded))
        })
    };
    let Some((reused, _)) = pairs().find(|(new, recorded)| new.id == recorded.id) else {
        return Found::Nothing;
    };
    if recorded.len() == events.len() && pairs().all(|(new, recorded)| same(new, recorded)) {
        Found::All(recorded.into_iter().cloned().collect())
    } else {
        Found::Other(reused.id)
    }
}

fn same(new: &NewEvent, recorded: &RecordedEvent) -> bool {
    new.id == recorded.id
        && new.kind == recorded.kind
        && new.data == recorded.data
        && new.metadata == recorded.metadata
}
