//! A visible change of an order, and all of them so far.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tiffin_order::{OrderId, Owner, Reason, Status};
use tiffin_trace::TraceParent;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{plan::Shape, render::render};

/// So many shapes of one update are kept; one more is rendered anew for whoever asks.
const KEPT_SHAPES: usize = 16;

/// What an order changed to at one of its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) order: OrderId,
    /// From 1, without gaps.
    pub(crate) version: u32,
    pub(crate) status: Status,
    pub(crate) reason: Option<Reason>,
    /// When the event was recorded.
    pub(crate) at: OffsetDateTime,
    /// The event that made this version.
    pub(crate) event: Uuid,
    /// What it belongs to.
    pub(crate) trace: Option<TraceParent>,
}

/// A change and what it looks like to those who watch, each shape rendered once.
#[derive(Debug)]
pub(crate) struct Update {
    pub(crate) change: Change,
    rendered: Mutex<Vec<(Arc<Shape>, Bytes)>>,
}

impl From<Change> for Update {
    fn from(change: Change) -> Self {
        Self {
            change,
            rendered: Mutex::default(),
        }
    }
}

impl Update {
    /// The execution result as JSON, shared by all who ask for the same shape.
    pub(crate) fn payload(&self, shape: &Arc<Shape>) -> Bytes {
        let mut rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, payload)) = rendered.iter().find(|(known, _)| known == shape) {
            return payload.clone();
        }
        let payload = render(shape, &self.change);
        if rendered.len() < KEPT_SHAPES {
            rendered.push((shape.clone(), payload.clone()));
        }
        payload
    }

    /// After this version there is no other.
    pub(crate) fn is_last(&self) -> bool {
        self.change.status.is_final()
    }
}

/// Every visible change of an order so far; there is at least one.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) owner: Owner,
    updates: Vec<Arc<Update>>,
}

impl History {
    /// The changes of one order, oldest first; none where there are none, or one is missing.
    pub(crate) fn new(owner: Owner, changes: Vec<Change>) -> Option<Self> {
        let gapless = (1..)
            .zip(&changes)
            .all(|(version, change): (u32, _)| change.version == version);
        let updates = changes
            .into_iter()
            .map(|change| Arc::new(Update::from(change)))
            .collect::<Vec<_>>();
        (gapless && !updates.is_empty()).then_some(Self { owner, updates })
    }

    /// The version that the order is at.
    pub(crate) fn version(&self) -> u32 {
        self.updates.last().map_or(0, |update| update.change.version)
    }

    /// The change that made this version, if there is one yet.
    pub(crate) fn at(&self, version: u32) -> Option<&Arc<Update>> {
        self.updates.get(usize::try_from(version.checked_sub(1)?).ok()?)
    }

    /// The order will not change visibly any more.
    pub(crate) fn is_complete(&self) -> bool {
        self.updates.last().is_some_and(|update| update.is_last())
    }
}
