//! What happened to an order, as its customer may read it.

use std::sync::Arc;

use time::OffsetDateTime;

use crate::{Actor, Reason, Status, Version};

/// What a recorded event says about itself, whether this version knows its type or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The version that it led to; `None` if nothing changed for the customer.
    pub version: Option<Version>,
    /// The status that it led to.
    pub status: Option<Status>,
    /// The reason that it gave.
    pub reason: Option<Reason>,
    /// Who caused it; `None` for the saga itself.
    pub actor: Option<Actor>,
    /// What they wrote about it.
    pub note: Option<Arc<str>>,
    /// When it was recorded.
    pub at: OffsetDateTime,
}

/// A line of the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The version that the order then had.
    pub version: Version,
    /// The status that it then had.
    pub status: Status,
    /// When.
    pub at: OffsetDateTime,
    /// Who caused it; `None` for the saga itself.
    pub actor: Option<Actor>,
    /// Why, if it was cancelled.
    pub reason: Option<Reason>,
    /// What was written about it.
    pub note: Option<Arc<str>>,
}

/// The timeline of an order with these events, oldest first: what changed for the customer.
pub fn timeline(events: impl IntoIterator<Item = Recorded>) -> Vec<Change> {
    events
        .into_iter()
        .filter_map(
            |Recorded {
                 version,
                 status,
                 reason,
                 actor,
                 note,
                 at,
             }| {
                Some(Change {
                    version: version?,
                    status: status?,
                    at,
                    actor,
                    reason,
                    note,
                })
            },
        )
        .collect()
}
