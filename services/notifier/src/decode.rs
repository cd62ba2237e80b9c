//! Reads what log and bus say about orders: the envelope and the public part, never the fact.

use std::sync::Arc;

use bytes::Bytes;
use tiffin_eventstore::RecordedEvent;
use tiffin_order::{OrderId, Owner};
use tiffin_proto::{
    DecodeError, Envelope, decode_bus, public, reason_from_wire, status_from_wire, trace,
    v1::{Event, Order, event},
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::update::{Change, History};

/// Where changes are published, before the order's id.
const UPDATED: &str = "order.updated.";

/// What an event or a message says to those who watch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// An order changed.
    Change(Change),
    /// Something happened to an order that cannot be read here.
    Unclear(OrderId),
    /// Nothing that anybody sees.
    Nothing,
}

/// Why an order's stream, or a message about it, has no meaning here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Senseless {
    #[error(transparent)]
    Unreadable(#[from] DecodeError),
    #[error("event {0} has a version, but no status that is known here")]
    NoStatus(Uuid),
    #[error("its first event does not say whose the order is")]
    NoOwner,
    #[error("its versions are not 1, 2, 3, …")]
    Gap,
}

/// What an event of the log says, whatever its type.
pub(crate) fn logged(event: &RecordedEvent) -> News {
    let Some(order) = OrderId::from_stream(event.stream.as_str()) else {
        return News::Nothing;
    };
    match change(order, event) {
        Ok(Some(change)) => News::Change(change),
        Ok(None) => News::Nothing,
        Err(error) => {
            tracing::warn!(order.id = %order, event.id = %event.id, %error, "an event makes no sense");
            News::Unclear(order)
        }
    }
}

/// What a message of the bus says.
pub(crate) fn published(subject: &str, payload: &[u8], event_id: Uuid) -> News {
    let id = subject
        .strip_prefix(UPDATED)
        .and_then(|id| OrderId::parse(id).ok());
    let Some(order) = id else {
        return News::Nothing;
    };
    message(order, payload, event_id).map_or_else(
        || {
            tracing::warn!(order.id = %order, event.id = %event_id, "a message makes no sense");
            News::Unclear(order)
        },
        News::Change,
    )
}

/// The history in an order's whole stream.
///
/// # Errors
/// [`Senseless`] where one of its events cannot be read, or they do not add up.
pub(crate) fn history(order: OrderId, events: &[Arc<RecordedEvent>]) -> Result<History, Senseless> {
    let changes = events
        .iter()
        .filter_map(|event| change(order, event).transpose())
        .collect::<Result<_, _>>()?;
    let owner = events
        .first()
        .and_then(|event| owner(&event.data))
        .ok_or(Senseless::NoOwner)?;
    History::new(owner, changes).ok_or(Senseless::Gap)
}

fn change(order: OrderId, event: &RecordedEvent) -> Result<Option<Change>, Senseless> {
    let envelope = Envelope::decode(&event.metadata)?;
    let Some(version) = envelope.version else {
        return Ok(None);
    };
    Ok(Some(Change {
        order,
        version: version.get(),
        status: envelope.status.ok_or(Senseless::NoStatus(event.id))?,
        reason: envelope.reason,
        at: event.created_at,
        event: event.id,
        trace: trace(&event.metadata),
    }))
}

fn message(order: OrderId, payload: &[u8], event: Uuid) -> Option<Change> {
    let message = decode_bus(payload).ok()?;
    let recorded = message.recorded_at?;
    let at = OffsetDateTime::from_unix_timestamp(recorded.seconds).ok()?;
    let state = state(message)?;
    Some(Change {
        order,
        version: Some(state.version).filter(|version| *version > 0)?,
        status: status_from_wire(state.status)?,
        reason: reason_from_wire(state.reason),
        at: at.replace_nanosecond(recorded.nanos.try_into().ok()?).ok()?,
        event,
        trace: None,
    })
}

fn owner(data: &Bytes) -> Option<Owner> {
    Owner::parse(&state(decode_bus(&public(data)?).ok()?)?.owner).ok()
}

/// The whole order, which an event of either kind carries.
fn state(event: Event) -> Option<Order> {
    match event.event? {
        event::Event::OrderCreated(created) => created.order,
        event::Event::OrderUpdated(updated) => updated.order,
        event::Event::OrderParked(_) => None,
    }
}
