//! From the bytes of an event to what the core folds, and to what everyone may read without folding.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use prost::Message;
use tiffin_order::{
    Actor, Cause, Fact, Open, Order, Owner, Products, Reason, Recorded, Status, Transition, Version,
    WorkflowId, evolve,
};
use tiffin_trace::TraceParent;
use time::OffsetDateTime;

use crate::{
    Context, SCHEMA_VERSION, v1,
    words::{duration_from_wire, kind, reason_from_wire, status_from_wire, step_from_wire},
};

/// Why an event cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A newer version wrote it.
    #[error("a newer version wrote this event ({kind}, schema version {schema_version})")]
    Newer {
        /// The event's type.
        kind: String,
        /// The version of its schema.
        schema_version: u32,
    },
    /// It is damaged.
    #[error("corrupt event: {0}")]
    Corrupt(String),
}

impl From<prost::DecodeError> for DecodeError {
    fn from(error: prost::DecodeError) -> Self {
        Self::Corrupt(error.to_string())
    }
}

/// The order's state after an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The version; `None` if nothing changed for the customer.
    pub version: Option<Version>,
    /// The status, if it changed to one that is known here.
    pub status: Option<Status>,
    /// The reason of the change.
    pub reason: Option<Reason>,
    /// When the saga wants to be woken, counted from the event's own time.
    pub wake_after: Option<Duration>,
}

impl Envelope {
    /// Reads it from an event's metadata, whatever the event's type.
    pub fn decode(metadata: &[u8]) -> Result<Self, DecodeError> {
        let envelope = parts::State::decode(metadata)?.envelope.unwrap_or_default();
        Ok(Self {
            version: Version::new(envelope.version),
            status: status_from_wire(envelope.status),
            reason: reason_from_wire(envelope.reason),
            wake_after: envelope.wake_after.as_ref().and_then(duration_from_wire),
        })
    }
}

impl Context {
    /// Reads from an event's metadata where it came from.
    pub fn decode(metadata: &[u8]) -> Result<Self, DecodeError> {
        let origin = parts::Origin::decode(metadata)?;
        Ok(Self {
            actor: Actor::parse(&origin.actor).ok(),
            trace: origin.traceparent.parse().ok(),
            input_hash: origin.input_hash.as_ref().try_into().ok(),
        })
    }
}

/// What an event belongs to, as its metadata tells.
pub fn trace(metadata: &[u8]) -> Option<TraceParent> {
    parts::Trace::decode(metadata).ok()?.traceparent.parse().ok()
}

/// The parts in which [`v1::EventMetadata`] is read. Everyone who follows the log reads the state that an event led to,
/// and hardly anybody who caused it: what a message does not name is passed over, without memory for its texts.
mod parts {
    use bytes::Bytes;
    use prost::Message;

    use crate::v1;

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Schema {
        #[prost(uint32, tag = "1")]
        pub(super) version: u32,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Origin {
        #[prost(string, tag = "2")]
        pub(super) actor: String,
        #[prost(string, tag = "3")]
        pub(super) traceparent: String,
        #[prost(bytes = "bytes", tag = "4")]
        pub(super) input_hash: Bytes,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Trace {
        #[prost(string, tag = "3")]
        pub(super) traceparent: String,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct State {
        #[prost(message, optional, tag = "5")]
        pub(super) envelope: Option<v1::Envelope>,
    }
}

/// The message to be published for an event, as a slice of its data; `None` if there is none.
pub fn public(data: &Bytes) -> Option<Bytes> {
    let data = v1::EventData::decode(data.clone()).ok()?;
    (!data.public.is_empty()).then_some(data.public)
}

/// What somebody wrote about an event.
pub fn note(data: &Bytes) -> Result<Option<Arc<str>>, DecodeError> {
    let data = v1::EventData::decode(data.clone())?;
    let personal = v1::Personal::decode(data.personal)?;
    Ok((!personal.note.is_empty()).then(|| personal.note.into()))
}

/// What an event of an order's stream says in the order's timeline.
pub fn recorded(data: &Bytes, metadata: &[u8], at: OffsetDateTime) -> Result<Recorded, DecodeError> {
    let Envelope {
        version,
        status,
        reason,
        wake_after: _,
    } = Envelope::decode(metadata)?;
    Ok(Recorded {
        version,
        status,
        reason,
        actor: Context::decode(metadata)?.actor,
        note: note(data)?,
        at,
    })
}

/// The order after an event of its stream, recorded at `at`: [`Order::Newer`] if a newer version wrote the event.
pub fn apply(
    order: Order,
    kind: &str,
    data: &Bytes,
    metadata: &[u8],
    at: OffsetDateTime,
) -> Result<Order, DecodeError> {
    match decode_fact(kind, data, metadata) {
        Ok(fact) => Ok(evolve(order, &fact, at)),
        Err(DecodeError::Newer { .. }) => Ok(order.met_newer()),
        Err(corrupt @ DecodeError::Corrupt(_)) => Err(corrupt),
    }
}

/// What an event of an order's stream says to the core.
pub fn decode_fact(kind: &str, data: &Bytes, metadata: &[u8]) -> Result<Fact, DecodeError> {
    let schema_version = parts::Schema::decode(metadata)?.version;
    let newer = || DecodeError::Newer {
        kind: kind.to_owned(),
        schema_version,
    };
    if schema_version > SCHEMA_VERSION {
        return Err(newer());
    }
    let known = match kind {
        kind::ORDER_CREATED
        | kind::ORDER_STARTED
        | kind::ORDER_ADVANCED
        | kind::ORDER_CANCELLED
        | kind::ORDER_PARKED => wire_fact(data)?,
        _ => return Err(newer()),
    };
    match (kind, known) {
        (kind::ORDER_CREATED, v1::fact::Fact::Created(created)) => created_from_wire(&created),
        (kind::ORDER_STARTED, v1::fact::Fact::Started(started)) => started_from_wire(&started),
        (kind::ORDER_ADVANCED, v1::fact::Fact::Advanced(advanced)) => {
            Ok(Fact::Advanced(transition_from_wire(&advanced)?))
        }
        (kind::ORDER_CANCELLED, v1::fact::Fact::Cancelled(cancelled)) => {
            let reason = reason_from_wire(cancelled.reason).ok_or_else(|| corrupt("unknown reason"))?;
            Ok(Fact::Cancelled { reason })
        }
        (
            kind::ORDER_PARKED,
            v1::fact::Fact::Parked(v1::Parked {
                what,
                reason,
                attempts,
            }),
        ) => Ok(Fact::Parked {
            what: what.into(),
            reason: reason.into(),
            attempts,
        }),
        _ => Err(corrupt("the fact is not the one that the type names")),
    }
}

/// The canonical `saga.toml` in the data of a `workflow-defined` event.
pub fn workflow(data: &Bytes) -> Result<String, DecodeError> {
    match wire_fact(data)? {
        v1::fact::Fact::WorkflowDefined(defined) => Ok(defined.text),
        _ => Err(corrupt("no workflow")),
    }
}

/// The set-aside message in the data of a `message-parked` event, as it came.
pub fn parked_message(data: &Bytes) -> Result<Bytes, DecodeError> {
    let data = v1::EventData::decode(data.clone())?;
    Ok(v1::Personal::decode(data.personal)?.message)
}

fn wire_fact(data: &Bytes) -> Result<v1::fact::Fact, DecodeError> {
    let data = v1::EventData::decode(data.clone())?;
    v1::Fact::decode(data.fact)?
        .fact
        .ok_or_else(|| corrupt("no fact"))
}

fn created_from_wire(created: &v1::Created) -> Result<Fact, DecodeError> {
    let lines = created
        .products
        .iter()
        .map(|product| (product.name.as_str(), product.quantity.into()));
    Ok(Fact::Created {
        owner: Owner::parse(&created.owner).map_err(corrupt)?,
        products: Products::recorded(lines).map_err(corrupt)?,
    })
}

fn started_from_wire(started: &v1::Started) -> Result<Fact, DecodeError> {
    let sha256 = started.workflow.as_ref().try_into().map_err(corrupt)?;
    let transition = started
        .transition
        .as_ref()
        .ok_or_else(|| corrupt("a start without a transition"))?;
    Ok(Fact::Started {
        workflow: WorkflowId::new(sha256),
        transition: transition_from_wire(transition)?,
    })
}

fn transition_from_wire(transition: &v1::Transition) -> Result<Transition, DecodeError> {
    let status = match transition.status {
        0 => None,
        number => Some(status_from_wire(number).ok_or_else(|| corrupt("unknown status"))?),
    };
    let step = |number| step_from_wire(number).ok_or_else(|| corrupt("unknown step"));
    let cause = match transition.cause() {
        v1::Cause::Start => Cause::Start,
        v1::Cause::Elapsed => Cause::Elapsed(step(transition.step)?),
        v1::Cause::Unspecified => return Err(corrupt("unknown cause")),
    };
    let next = match &transition.next {
        None => None,
        Some(open) => Some(Open {
            step: step(open.step)?,
            attempt: open.attempt,
            wait: duration_from_wire(&open.wait.unwrap_or_default())
                .ok_or_else(|| corrupt("negative wait"))?,
        }),
    };
    Ok(Transition { status, cause, next })
}

pub(crate) fn corrupt(problem: impl std::fmt::Display) -> DecodeError {
    DecodeError::Corrupt(problem.to_string())
}
