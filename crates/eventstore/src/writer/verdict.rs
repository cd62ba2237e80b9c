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

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::{Position, Urgency, event::from_micros};

    fn new(id: u8, content: bool) -> NewEvent {
        NewEvent {
            id: Uuid::from_u128(id.into()),
            kind: "kind".into(),
            data: vec![u8::from(content)].into(),
            metadata: Vec::new().into(),
        }
    }

    fn record(events: impl IntoIterator<Item = NewEvent>) -> Vec<Arc<RecordedEvent>> {
        let recorded = (0..).zip(events).map(|(revision, event)| RecordedEvent {
            position: Position(revision + 1),
            stream: "s".into(),
            stream_no: Position(1),
            revision: Revision(revision),
            id: event.id,
            kind: event.kind,
            data: event.data,
            metadata: event.metadata,
            created_at: from_micros(0),
        });
        recorded.map(Arc::new).collect()
    }

    /// What the database shows for a look at a stream.
    fn shown(stream: &[Arc<RecordedEvent>], look: &Look<'_>) -> Vec<Arc<RecordedEvent>> {
        let newest = stream.len().saturating_sub(look.last) as u64;
        let place = look.from.0..look.from.0 + look.count as u64;
        let asked =
            |event: &&Arc<RecordedEvent>| place.contains(&event.revision.0) || event.revision.0 >= newest;
        stream.iter().filter(asked).cloned().collect()
    }

    fn stream() -> impl Strategy<Value = Vec<NewEvent>> {
        vec((0..8_u8, any::<bool>()), 0..8)
            .prop_map(|events| events.into_iter().map(|(id, c)| new(id, c)).collect())
    }

    fn appends() -> impl Strategy<Value = Append> {
        let expected = prop_oneof![
            Just(Expected::Any),
            Just(Expected::NoStream),
            Just(Expected::StreamExists),
            (0..8_u64).prop_map(|revision| Expected::Exact(Revision(revision))),
        ];
        let events = (0..8_u8, vec(any::<bool>(), 1..4));
        (expected, events).prop_map(|(expected, (first, contents))| Append {
            stream: "s".into(),
            expected,
            events: (first..)
                .zip(contents)
                .map(|(id, content)| new(id, content))
                .collect(),
            urgency: Urgency::Continue,
        })
    }

    proptest! {
        #[test]
        fn a_look_shows_all_that_a_verdict_needs(stream in stream(), append in appends()) {
            let stream = record(stream);
            let place = expected_place(append.expected);
            let seen = shown(&stream, &look(&append, place));
            prop_assert_eq!(judge(&append, place, &seen), judge(&append, place, &stream));
        }

        #[test]
        fn a_verdict_keeps_its_word(stream in stream(), append in appends()) {
            let recorded = record(stream.clone());
            let last = recorded.last().map(|event| event.revision);
            let holds = match append.expected {
                Expected::Any => true,
                Expected::NoStream => last.is_none(),
                Expected::StreamExists => last.is_some(),
                Expected::Exact(revision) => last == Some(revision),
            };
            let is_there = |id| recorded.iter().any(|event| event.id == id);
            match judge(&append, expected_place(append.expected), &recorded) {
                Verdict::Replayed(events) => {
                    let same = events.iter().zip(&append.events).all(|(event, new)| same(new, event));
                    prop_assert!(same && events.len() == append.events.len());
                    prop_assert!(events.iter().all(|event| recorded.contains(event)));
                }
                Verdict::IdReused(id) => prop_assert!(is_there(id)),
                Verdict::Conflict { actual } => prop_assert!(actual == last && !holds),
                Verdict::Write { first } => {
                    prop_assert!(holds && first.0 == recorded.len() as u64);
                    let written = record(stream.into_iter().chain(append.events.clone()));
                    let again = judge(&append, Some(first), &written);
                    prop_assert_eq!(again, Verdict::Replayed(written[recorded.len()..].to_vec()));
                }
            }
        }
    }
}
