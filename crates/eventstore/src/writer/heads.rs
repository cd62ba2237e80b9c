//! What the writer remembers of streams: their numbers and last revisions, for the warm ones.

use std::num::NonZeroUsize;

use lru::LruCache;
use uuid::Uuid;

use super::{Target, queue::Waiting, verdict};
use crate::{Position, RecordedEvent, Revision, StreamName};

/// How many streams are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();

/// A stream's last event, as far as the writer knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    stream_no: Position,
    revision: Revision,
    event_id: Uuid,
}

/// Heads are exact where this process alone writes, otherwise lower bounds.
pub(super) struct Heads {
    known: LruCache<StreamName, Head>,
    exact: bool,
}

impl Heads {
    pub(super) fn new(exact: bool) -> Self {
        Self {
            known: LruCache::new(REMEMBERED),
            exact,
        }
    }

    pub(super) fn learn(&mut self, event: &RecordedEvent) {
        let head = Head {
            stream_no: event.stream_no,
            revision: event.revision,
            event_id: event.id,
        };
        if self
            .known
            .get(&event.stream)
            .is_none_or(|known| known.revision < head.revision)
        {
            self.known.put(event.stream.clone(), head);
        }
    }

    /// The last revision of a stream that another event has taken the append's place in, so that no look is needed to see
    /// a conflict. Only where it is exact: elsewhere more may have come since.
    pub(super) fn conflict(&mut self, waiting: &Waiting) -> Option<Revision> {
        let first = verdict::expected_place(waiting.append.expected)?;
        let head = self.known.get(&waiting.append.stream).filter(|_| self.exact)?;
        let taken = head.revision == first && waiting.append.events.first()?.id != head.event_id;
        taken.then_some(head.revision)
    }

    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    /// Where an append goes, if a look at the stream would hardly change the verdict. Where others write too the database
    /// judges again under its lock, so an exact expectation that no known head rules out is sent unseen. So is one of no
    /// stream that is not known, since most new streams are new: the database refuses a group with one that is not. Then
    /// its streams are looked at, and so are those that come along with it (`careful`), lest it be refused again.
    pub(super) fn target(&mut self, waiting: &Waiting, careful: bool) -> Option<Target> {
        let first = verdict::expected_place(waiting.append.expected)?;
        let head = self.known.get(&waiting.append.stream).copied();
        let may_hold = match head {
            _ if waiting.lost => false,
            Some(head) if self.exact => first == head.revision.next(),
            Some(head) => first >= head.revision.next(),
            None => !self.exact || (first == Revision::FIRST && !careful),
        };
        may_hold.then_some(Target {
            first,
            stream_no: head.map(|head| head.stream_no),
        })
    }
}
