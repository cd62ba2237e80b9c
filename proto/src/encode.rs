//! From a decision of the core to the bytes of an event.

use bytes::Bytes;
use prost::Message;
use tiffin_order::{Actor, Cause, Fact, NewFact, Open, Order, OrderId, Transition, Workflow, evolve};
use tiffin_trace::TraceParent;
use time::OffsetDateTime;

use crate::{
    SCHEMA_VERSION,
    message::{products_to_wire, timeless},
    v1,
    words::{duration_to_wire, kind, reason_to_wire, status_to_wire, step_to_wire, timestamp},
};

/// Where an event comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// Who caused it; `None` for the saga itself.
    pub actor: Option<Actor>,
    /// What it belongs to.
    pub trace: Option<TraceParent>,
    /// SHA-256 of the input of a creation with an idempotency key.
    pub input_hash: Option<[u8; 32]>,
}

/// An event ready to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The event's type.
    pub kind: &'static str,
    /// A serialised [`v1::EventData`].
    pub data: Bytes,
    /// A serialised [`v1::EventMetadata`].
    pub metadata: Bytes,
}

/// The event by which `new` is recorded on the order that was `before`.
pub fn encode(id: OrderId, before: &Order, new: &NewFact, context: &Context) -> Encoded {
    // The event's own time is not known before it is recorded, and nothing that is written here depends on it.
    let after = evolve(before.clone(), &new.fact, OffsetDateTime::UNIX_EPOCH);
    let details = after.details().filter(|_| after.version() != before.version());
    let public = match (&new.fact, details) {
        (
            Fact::Parked {
                what,
                reason,
                attempts,
            },
            _,
        ) => Some(parked(id.to_string(), what, reason, *attempts)),
        (Fact::Created { .. }, Some(details)) => Some(v1::event::Event::OrderCreated(v1::OrderCreated {
            order: Some(timeless(id, details)),
        })),
        (_, Some(details)) => {
            let created_at = Some(timestamp(details.created_at));
            let order = Some(v1::Order {
                created_at,
                ..timeless(id, details)
            });
            Some(v1::event::Event::OrderUpdated(v1::OrderUpdated { order }))
        }
        (_, None) => None,
    };
    let envelope = v1::Envelope {
        version: details.map_or(0, |details| details.version.get()),
        status: details.map_or(0, |details| status_to_wire(details.status).into()),
        reason: details
            .and_then(|details| details.reason)
            .map_or(0, |reason| reason_to_wire(reason).into()),
        wake_after: after.wake_after().map(duration_to_wire),
    };
    let (kind, fact) = fact_to_wire(&new.fact);
    let personal = new.note.as_ref().map(|note| v1::Personal {
        note: note.to_string(),
        ..Default::default()
    });
    Encoded {
        kind,
        data: data(public, fact, personal),
        metadata: metadata(context, Some(envelope)),
    }
}

/// The event by which a workflow is put into the log.
pub fn encode_workflow(workflow: &Workflow) -> Encoded {
    let fact = v1::fact::Fact::WorkflowDefined(v1::WorkflowDefined {
        text: workflow.text().to_string(),
    });
    Encoded {
        kind: kind::WORKFLOW_DEFINED,
        data: data(None, fact, None),
        metadata: metadata(&Context::default(), None),
    }
}

/// The event by which a message that belongs to no order is set aside under `name`.
pub fn encode_parked_message(name: &str, subject: &str, message: Bytes, reason: &str) -> Encoded {
    let fact = v1::MessageParked {
        subject: subject.to_owned(),
        reason: reason.to_owned(),
    };
    let public = parked(name.to_owned(), subject, reason, 1);
    let personal = v1::Personal {
        message,
        ..Default::default()
    };
    Encoded {
        kind: kind::MESSAGE_PARKED,
        data: data(Some(public), v1::fact::Fact::MessageParked(fact), Some(personal)),
        metadata: metadata(&Context::default(), None),
    }
}

fn parked(id: String, what: &str, reason: &str, attempts: u32) -> v1::event::Event {
    let (what, reason) = (what.to_owned(), reason.to_owned());
    v1::event::Event::OrderParked(v1::OrderParked {
        id,
        what,
        reason,
        attempts,
    })
}

fn data(public: Option<v1::event::Event>, fact: v1::fact::Fact, personal: Option<v1::Personal>) -> Bytes {
    let public = public.map(|event| v1::Event {
        event: Some(event),
        recorded_at: None,
    });
    let bytes = |message: Vec<u8>| Bytes::from(message);
    let data = v1::EventData {
        public: public
            .map(|public| bytes(public.encode_to_vec()))
            .unwrap_or_default(),
        fact: bytes(v1::Fact { fact: Some(fact) }.encode_to_vec()),
        personal: personal
            .map(|personal| bytes(personal.encode_to_vec()))
            .unwrap_or_default(),
    };
    data.encode_to_vec().into()
}

fn metadata(context: &Context, envelope: Option<v1::Envelope>) -> Bytes {
    let metadata = v1::EventMetadata {
        schema_version: SCHEMA_VERSION,
        actor: context
            .actor
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        traceparent: context.trace.map(|trace| trace.to_string()).unwrap_or_default(),
        input_hash: context
            .input_hash
            .map(|hash| Bytes::copy_from_slice(&hash))
            .unwrap_or_default(),
        envelope,
    };
    metadata.encode_to_vec().into()
}

fn fact_to_wire(fact: &Fact) -> (&'static str, v1::fact::Fact) {
    match fact {
        Fact::Created { owner, products } => {
            let created = v1::Created {
                owner: owner.to_string(),
                products: products_to_wire(products),
            };
            (kind::ORDER_CREATED, v1::fact::Fact::Created(created))
        }
        Fact::Started { workflow, transition } => {
            let workflow = Bytes::copy_from_slice(workflow.as_bytes());
            let started = v1::Started {
                workflow,
                transition: Some(transition_to_wire(transition)),
            };
            (kind::ORDER_STARTED, v1::fact::Fact::Started(started))
        }
        Fact::Advanced(transition) => (
            kind::ORDER_ADVANCED,
            v1::fact::Fact::Advanced(transition_to_wire(transition)),
        ),
        Fact::Cancelled { reason } => {
            let cancelled = v1::Cancelled {
                reason: reason_to_wire(*reason).into(),
            };
            (kind::ORDER_CANCELLED, v1::fact::Fact::Cancelled(cancelled))
        }
        Fact::Parked {
            what,
            reason,
            attempts,
        } => {
            let parked = v1::Parked {
                what: what.to_string(),
                reason: reason.to_string(),
                attempts: *attempts,
            };
            (kind::ORDER_PARKED, v1::fact::Fact::Parked(parked))
        }
    }
}

fn transition_to_wire(transition: &Transition) -> v1::Transition {
    let (cause, step) = match transition.cause {
        Cause::Start => (v1::Cause::Start, v1::Step::Unspecified),
        Cause::Elapsed(step) => (v1::Cause::Elapsed, step_to_wire(step)),
    };
    v1::Transition {
        status: transition
            .status
            .map_or(0, |status| status_to_wire(status).into()),
        cause: cause.into(),
        step: step.into(),
        next: transition.next.map(|Open { step, attempt, wait }| v1::OpenStep {
            step: step_to_wire(step).into(),
            attempt,
            wait: Some(duration_to_wire(wait)),
        }),
    }
}
