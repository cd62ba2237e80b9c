//! Sets aside what cannot be handled, so that everything else goes on.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use tiffin_eventstore::{
    Append, AppendError, Direction, EventStore, Expected, Revision, StreamName, Urgency,
};
use tiffin_order::{Fact, Input, NewFact, Order, OrderId, Refusal};
use tiffin_proto::{Context, encode_parked_message, kind};

use crate::{
    metrics::Metrics,
    saga::{Failure, Origin, Outcome, Saga, event, guarded, new_event},
};

/// What failed, in the words of whoever looks at the list.
const HANDLER: &str = "the order's saga";

/// The most bytes of a reason: its event has to fit into the log, and its message into the stream, whatever a panic says.
const REASON: usize = 2_000;

/// Sets an order aside whose handling failed `attempts` times in a row because of `reason`.
pub(crate) async fn order(saga: &Saga, id: OrderId, reason: &str, attempts: u32) -> Outcome {
    let reason = short(reason);
    let park = Input::Park {
        what: HANDLER.into(),
        reason: reason.into(),
        attempts,
    };
    let outcome = match guarded(saga.step(id, &park, &Origin::default())).await {
        Err(Failure::Broken(_)) => guarded(unreadable(saga, id, reason, attempts)).await,
        parked => parked,
    };
    match &outcome {
        Ok(_) | Err(Failure::Parked) => {
            saga.metrics.parked("order");
            tracing::error!(order.id = %id, reason, attempts, "order set aside");
        }
        Err(error) => tracing::warn!(order.id = %id, %error, "an order could not be set aside yet"),
    }
    outcome
}

/// Sets an order aside that cannot be folded, by an event that needs nothing to be known of it.
async fn unreadable(saga: &Saga, id: OrderId, reason: &str, attempts: u32) -> Outcome {
    let stream = StreamName::from(id.stream());
    let newest = saga
        .store
        .read_stream(&stream, Revision::END, Direction::Backwards, 1)
        .await?;
    let newest = newest.first().ok_or(Refusal::NotFound)?;
    if &*newest.kind == kind::ORDER_PARKED {
        return Err(Failure::Parked);
    }
    let parked = NewFact::from(Fact::Parked {
        what: HANDLER.into(),
        reason: reason.into(),
        attempts,
    });
    let append = Append {
        stream,
        expected: Expected::Exact(newest.revision),
        events: vec![event(id, &Order::Absent, &parked, &Context::default())],
        urgency: Urgency::Continue,
    };
    saga.store.append(append).await?;
    Err(Failure::Parked)
}

/// Sets a message aside that belongs to no order. The same message twice is set aside once.
pub(crate) async fn message(
    store: &EventStore,
    metrics: &Metrics,
    subject: &str,
    payload: Bytes,
    reason: &str,
) -> Result<(), AppendError> {
    let reason = short(reason);
    let name = name(subject, &payload);
    let event = new_event(encode_parked_message(&name, subject, payload, reason));
    let append = Append {
        stream: StreamName::from(format!("parked-{name}")),
        expected: Expected::NoStream,
        events: vec![event],
        urgency: Urgency::Continue,
    };
    match store.append(append).await {
        Ok(_) | Err(AppendError::Conflict { .. }) => {
            metrics.parked("message");
            tracing::error!(subject, reason, parked = name, "message set aside");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// A message's name: what it says and where, hashed.
fn name(subject: &str, payload: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update((subject.len() as u64).to_be_bytes());
    hash.update(subject);
    hash.update(payload);
    hash.finalize()[..16]
        .iter()
        .fold(String::new(), |mut name, byte| {
            let _infallible = write!(name, "{byte:02x}");
            name
        })
}

fn short(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(REASON)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_between_two_characters() {
        assert_eq!(short("no such step"), "no such step");
        let long = "ü".repeat(REASON);
        assert_eq!(short(&format!("x{long}")).len(), REASON - 1);
    }
}
