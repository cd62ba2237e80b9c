//! Sending a group to the database, and what follows when it is in the log.

use std::{cmp, sync::Arc, time::Duration};

use time::OffsetDateTime;

use super::{Ready, Waiting, Writer, gather::Last};
use crate::{
    AppendError, Appended, NewEvent, Position, RecordedEvent, Revision, StreamName,
    backend::{Committed, Entry, Fate, Group},
    health::Health,
};

impl Writer {
    /// Commits a group, again and again until there is an answer: an append that was written already loses the next
    /// time, and is then recognised by its event ids.
    pub(super) async fn commit(&self, ready: &[Ready]) -> Result<Committed, AppendError> {
        let entries = ready.iter().map(|ready| Entry {
            stream: &ready.waiting.append.stream,
            first: ready.target.first,
            stream_no: ready.target.stream_no,
            events: &ready.waiting.append.events,
        });
        let cursor = cmp::max_by_key(self.written, self.parts.tail.head(), |cursor| cursor.position);
        let group = Group {
            cursor,
            entries: entries.collect(),
        };
        self.until_answered(Health::failed, true, || self.parts.backend.commit(&group))
            .await
    }

    /// Hands what was written to the tail, then to those who appended it. Gives back what was lost.
    pub(super) fn finish(
        &mut self,
        ready: Vec<Ready>,
        before: Position,
        created_at: OffsetDateTime,
        fates: Vec<Fate>,
        took: Duration,
    ) -> Vec<Waiting> {
        let mut lost = Vec::new();
        let mut won = Vec::with_capacity(ready.len());
        let mut group: Vec<Arc<RecordedEvent>> = Vec::new();
        for (Ready { mut waiting, target }, fate) in ready.into_iter().zip(fates) {
            let Fate::Written { stream_no } = fate else {
                waiting.lost = true;
                waiting.place = Some(target.first);
                lost.push(waiting);
                continue;
            };
            let place = Place {
                stream_no,
                before: Position(before.0 + group.len() as u64),
                first: target.first,
                created_at,
            };
            let events = place.record(&waiting.append.stream, std::mem::take(&mut waiting.append.events));
            if let Some(last) = events.last() {
                self.heads.learn(last);
            }
            group.extend(events.iter().cloned());
            won.push((waiting, events));
        }
        if let Some(last) = group.last() {
            self.parts.health.wrote();
            self.written = last.cursor();
            self.last = Last {
                appends: won.len(),
                took,
            };
            self.parts.clock.observe(created_at);
            self.parts.metrics.group_of(group.len(), took);
            self.parts.tail.take_in(&group, self.generation);
        }
        for (waiting, events) in won {
            self.answer(
                waiting,
                Ok(Appended {
                    events,
                    replayed: false,
                }),
            );
        }
        lost
    }
}

/// Where an append's events stand.
struct Place {
    stream_no: Position,
    before: Position,
    first: Revision,
    created_at: OffsetDateTime,
}

impl Place {
    fn record(&self, stream: &StreamName, events: Vec<NewEvent>) -> Vec<Arc<RecordedEvent>> {
        let numbered = events.into_iter().zip(1..).zip(self.first.0..);
        let recorded = numbered.map(|((event, nth), revision)| RecordedEvent {
            position: Position(self.before.0 + nth),
            stream: stream.clone(),
            stream_no: self.stream_no,
            revision: Revision(revision),
            id: event.id,
            kind: event.kind,
            data: event.data,
            metadata: event.metadata,
            created_at: self.created_at,
        });
        recorded.map(Arc::new).collect()
    }
}
