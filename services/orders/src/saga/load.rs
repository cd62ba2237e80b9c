//! An order as its stream tells it.

use std::sync::Arc;

use tiffin_eventstore::{RecordedEvent, Revision};
use tiffin_order::{Order, Refusal};
use tiffin_proto::{apply, kind, trace};
use tiffin_trace::TraceParent;

use super::Failure;

/// An order, and the place in its stream up to which it was folded.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) order: Order,
    pub(crate) revision: Revision,
    /// What its last event belongs to: the append that brought it, if that was recorded.
    pub(crate) trace: Option<TraceParent>,
}

/// Folds a whole stream.
pub(crate) fn fold(events: &[Arc<RecordedEvent>]) -> Result<Loaded, Failure> {
    let last = events.last().ok_or(Refusal::NotFound)?;
    let folded = events.iter().try_fold(Order::Absent, |order, event| {
        apply(order, &event.kind, &event.data, &event.metadata, event.created_at)
    });
    match folded {
        Ok(order) => Ok(Loaded {
            order,
            revision: last.revision,
            trace: trace(&last.metadata),
        }),
        Err(_) if &*last.kind == kind::ORDER_PARKED => Err(Failure::Parked),
        Err(error) => Err(error.into()),
    }
}
