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

    /// Takes in events in the order of the log, known or not. True if the head has moved.
    pub(crate) fn take_in(&mut self, events: &[Arc<RecordedEvent>]) -> bool {
        let before = self.head();
        for event in events {
            self.take_in_one(event);
        }
        while self.gap() == Some(0)
            && let Some((_, next)) = self.beyond.pop_first()
        {
            self.beyond_bytes -= next.bytes();
            self.take_in_one(&next);
        }
        self.head() != before
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
