//! The newest events of the log, without a gap and bounded in bytes. Pure.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use crate::{Cursor, Position, RecordedEvent};

pub(crate) struct Ring {
    /// The event before the first one that is kept.
    base: Cursor,
    events: VecDeque<Arc<RecordedEvent>>,
    bytes: usize,
    most_bytes: usize,
    /// What was committed beyond a gap; it waits until the events between have been read.
    beyond: BTreeMap<Position, Arc<RecordedEvent>>,
    beyond_bytes: usize,
}

/// What the ring has for a reader.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// The next events; at least one.
    Events(Vec<Arc<RecordedEvent>>),
    /// The reader has seen all that the ring knows.
    UpToDate,
    /// The ring no longer holds what comes next.
    TooOld,
    /// The reader has seen more than the ring knows.
    Ahead,
    /// Another event stands where the reader saw its last one.
    Replaced,
}

impl Ring {
    pub(crate) fn new(base: Cursor, most_bytes: usize) -> Self {
        Self {
            base,
            events: VecDeque::new(),
            bytes: 0,
            most_bytes,
            beyond: BTreeMap::new(),
            beyond_bytes: 0,
        }
    }

    /// The last event that is known without a gap.
    pub(crate) fn head(&self) -> Cursor {
        self.events.back().map_or(self.base, |last| last.cursor())
    }

    /// How many events are missing before what was committed beyond a gap.
    pub(crate) fn gap(&self) -> Option<u64> {
        let (first, _) = self.beyond.first_key_value()?;
        Some(first.0.saturating_sub(self.next()))
    }

    /// Takes in events in the order of the log, known or not.
    pub(crate) fn take_in(&mut self, events: &[Arc<RecordedEvent>]) {
        for event in events {
            self.take_in_one(event);
        }
        while self.gap() == Some(0)
            && let Some((_, next)) = self.beyond.pop_first()
        {
            self.beyond_bytes -= next.bytes();
            self.take_in_one(&next);
        }
    }

    fn next(&self) -> u64 {
        self.head().position.0 + 1
    }

    fn take_in_one(&mut self, event: &Arc<RecordedEvent>) {
        if event.position.0 < self.next() {
            return;
        }
        if event.position.0 > self.next() {
            return self.keep_beyond(event);
        }
        self.bytes += event.bytes();
        self.events.push_back(Arc::clone(event));
        while self.bytes > self.most_bytes
            && let Some(oldest) = self.events.pop_front()
        {
            self.bytes -= oldest.bytes();
            self.base = oldest.cursor();
        }
    }

    fn keep_beyond(&mut self, event: &Arc<RecordedEvent>) {
        if self.beyond_bytes + event.bytes() > self.most_bytes {
            // Too much to wait with: it will be read like the gap.
            self.beyond.clear();
            self.beyond_bytes = 0;
        }
        if self.beyond.insert(event.position, Arc::clone(event)).is_none() {
            self.beyond_bytes += event.bytes();
        }
    }

    /// The event at a cursor, if it is kept.
    pub(crate) fn at(&self, cursor: Cursor) -> Option<&Arc<RecordedEvent>> {
        let index = cursor.position.0.checked_sub(self.base.position.0 + 1)?;
        let event = self.events.get(usize::try_from(index).ok()?)?;
        (event.id == cursor.event_id).then_some(event)
    }

    /// What comes after a cursor, at most `limit` events.
    pub(crate) fn after(&self, cursor: Cursor, limit: usize) -> After {
        let Some(seen) = cursor.position.0.checked_sub(self.base.position.0) else {
            return After::TooOld;
        };
        if cursor.position > self.head().position {
            return After::Ahead;
        }
        let seen = usize::try_from(seen).unwrap_or(usize::MAX);
        let known = seen
            .checked_sub(1)
            .map_or(Some(self.base), |last| Some(self.events.get(last)?.cursor()));
        if known != Some(cursor) {
            return After::Replaced;
        }
        let events: Vec<_> = self.events.range(seen..).take(limit).cloned().collect();
        if events.is_empty() {
            After::UpToDate
        } else {
            After::Events(events)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use uuid::Uuid;

    use super::*;
    use crate::{Revision, event::from_micros};

    fn log(sizes: &[usize]) -> Vec<Arc<RecordedEvent>> {
        let events = (1..).zip(sizes).map(|(position, size)| RecordedEvent {
            position: Position(position),
            stream: "s".into(),
            stream_no: Position(1),
            revision: Revision(position - 1),
            id: Uuid::from_u128(position.into()),
            kind: "kind".into(),
            data: vec![0; *size].into(),
            metadata: Vec::new().into(),
            created_at: from_micros(0),
        });
        events.map(Arc::new).collect()
    }

    fn cursor(log: &[Arc<RecordedEvent>], seen: usize) -> Cursor {
        log[..seen].last().map_or(Cursor::START, |event| event.cursor())
    }

    /// A log of events of some sizes, where the ring begins, the most bytes that it keeps, and what is handed to it.
    type Case = (Vec<usize>, usize, usize, Vec<(usize, usize)>);

    fn cases() -> impl Strategy<Value = Case> {
        vec(0..2_000_usize, 1..40).prop_flat_map(|sizes| {
            let end = sizes.len();
            (
                Just(sizes),
                0..=end,
                1_000..20_000_usize,
                vec((0..=end, 0..=end), 0..20),
            )
        })
    }

    proptest! {
        #[test]
        fn whatever_is_handed_to_a_ring_it_knows_a_stretch_of_the_log((sizes, begin, most, groups) in cases()) {
            let log = log(&sizes);
            let mut ring = Ring::new(cursor(&log, begin), most);
            let mut head = begin;
            for (one, other) in groups {
                let group = &log[one.min(other)..one.max(other)];
                ring.take_in(group);
                let now = usize::try_from(ring.head().position.0).expect("small");
                prop_assert!(now >= head && (group.is_empty() || one.min(other) > head || now >= one.max(other)));
                head = now;
                prop_assert_eq!(ring.head(), cursor(&log, head));
                prop_assert!(ring.events.iter().map(|event| event.bytes()).sum::<usize>() <= most);
                prop_assert!(ring.gap() != Some(0));
                for seen in 0..=log.len() {
                    let after = ring.after(cursor(&log, seen), 3);
                    match after {
                        After::Events(events) => prop_assert_eq!(&events[..], &log[seen..head.min(seen + 3)]),
                        After::UpToDate => prop_assert_eq!(seen, head),
                        After::Ahead => prop_assert!(seen > head),
                        After::TooOld => prop_assert!((seen as u64) < ring.base.position.0),
                        After::Replaced => prop_assert!(false, "it is the same log"),
                    }
                }
            }
            ring.take_in(&log);
            prop_assert_eq!(ring.head(), cursor(&log, log.len()));
        }

        #[test]
        fn a_cursor_of_another_log_is_told_from_ours((sizes, begin, most, _) in cases(), seen in 1..40_usize) {
            let log = log(&sizes);
            let mut ring = Ring::new(cursor(&log, begin), most);
            ring.take_in(&log);
            let other = Cursor { position: Position(seen as u64), event_id: Uuid::nil() };
            let known = ring.base.position.0.max(1)..=log.len() as u64;
            prop_assert_eq!(ring.after(other, 3) == After::Replaced, known.contains(&other.position.0));
        }
    }

    #[test]
    fn what_was_committed_beyond_a_gap_is_not_read_again() {
        let log = log(&[10; 6]);
        let mut ring = Ring::new(Cursor::START, 10_000);
        ring.take_in(&log[3..]);
        assert_eq!((ring.gap(), ring.head()), (Some(3), Cursor::START));
        ring.take_in(&log[..3]);
        assert_eq!((ring.gap(), ring.head()), (None, cursor(&log, 6)));
    }
}
