//! All that is kept for a subscriber: the last version it was sent.

use uuid::Uuid;

use crate::update::{Change, History};

/// A subscriber's place in an order's history. It moves forward only, by one version at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    sent: u32,
    /// The event that made the version sent; tells whether a replaced log still holds it.
    event: Option<Uuid>,
}

impl Slot {
    /// Where a subscriber stands who knows the versions up to `after`. One who says nothing, or claims to know more
    /// than there is, stands just before the current state.
    pub(crate) fn open(after: Option<u32>, history: &History) -> Self {
        let current = history.version();
        let sent = after
            .filter(|after| *after <= current)
            .unwrap_or(current.saturating_sub(1));
        Self {
            sent,
            event: event_at(history, sent),
        }
    }

    /// The version to send next.
    pub(crate) fn next(self) -> u32 {
        self.sent.saturating_add(1)
    }

    /// Notes that this change was sent.
    pub(crate) fn advance(&mut self, change: &Change) {
        debug_assert_eq!(change.version, self.next(), "versions are sent one by one");
        *self = Self {
            sent: change.version,
            event: Some(change.event),
        };
    }

    /// The place in what is now the order's history: the same, unless the log was replaced by one that does not hold
    /// what was sent; then just before the current state.
    pub(crate) fn reopen(self, history: &History) -> Self {
        if event_at(history, self.sent) == self.event {
            self
        } else {
            Self::open(None, history)
        }
    }
}

fn event_at(history: &History, version: u32) -> Option<Uuid> {
    history.at(version).map(|update| update.change.event)
}
