//! Placing an order: one append, which one idempotency key can make succeed only once.

use sha2::{Digest, Sha256};
use tiffin_eventstore::{Append, AppendError, Expected, NewEvent, RecordedEvent, Urgency};
use tiffin_graphql::{Caller, Created, Error, ErrorCode, NewOrder, NewProduct, OrderView};
use tiffin_order::{
    Actor, Change, Fact, IdempotencyKey, InvalidInput, NewFact, Order, OrderId, Owner, Products, evolve,
};
use tiffin_platform::spans;
use tiffin_proto::Context;
use tiffin_trace::TraceParent;
use time::OffsetDateTime;
use tokio::time::{Instant, timeout};
use tracing::field::display;
use uuid::Uuid;

use crate::{
    admission::Refusal,
    fault,
    orders::{Orders, wrong},
    view::view,
};

const REPEAT: &str =
    "Repeat the request with the same idempotencyKey; a request without one may order twice.";

/// What a client wants, checked.
struct Wish {
    id: OrderId,
    actor: Option<Actor>,
    created: NewFact,
    /// Of the input as it was sent; only with an idempotency key.
    hash: Option<[u8; 32]>,
}

impl Orders {
    pub(crate) async fn place(&self, caller: &Caller, order: NewOrder) -> Result<Created, Error> {
        let wish = Wish::check(&caller.principal.owner, &order).map_err(wrong)?;
        let slot = match self.admission.admit() {
            Ok(slot) => slot,
            // Apart, as whatever is rare: what it needs would count for every order that is placed.
            Err(refusal) => return Box::pin(self.turn_away(&wish, refusal)).await,
        };
        let created = self.fulfil(caller, wish).await;
        if created.is_ok() {
            slot.answered();
        }
        created
    }

    async fn fulfil(&self, caller: &Caller, wish: Wish) -> Result<Created, Error> {
        let span = spans::append(&self.tracer, &self.store, caller.trace);
        span.set(spans::ORDER_ID, wish.id);
        let append = wish.append(span.context());
        match timeout(self.patience, self.store.append(append)).await {
            Ok(Ok(appended)) => {
                drop(span);
                let recorded = appended.events.first().ok_or(ErrorCode::Internal)?;
                let order = wish.fulfilled(recorded.created_at)?;
                let trace_id = caller.trace.map(TraceParent::trace_id).map(display);
                tracing::debug!(
                    order.id = %order.id,
                    order.version = order.details.version.get(),
                    trace_id,
                    "order placed"
                );
                Ok(Created {
                    order,
                    replayed: false,
                })
            }
            Ok(Err(AppendError::Conflict { .. })) if wish.hash.is_some() => {
                span.fail("conflict");
                drop(span);
                let known = Box::pin(self.placed_before(&wish)).await?;
                known.ok_or_else(|| Error::from(ErrorCode::TryAgain).hint(REPEAT))
            }
            Ok(Err(error)) => {
                span.fail("refused");
                Err(refused(&error))
            }
            Err(_) => {
                span.fail("timeout");
                Err(Error::from(ErrorCode::Timeout).hint(REPEAT))
            }
        }
    }

    /// Refuses a new order. One that is repeated is none: its answer is known.
    async fn turn_away(&self, wish: &Wish, refusal: Refusal) -> Result<Created, Error> {
        let asked = Instant::now();
        if wish.hash.is_some()
            && let Some(created) = self.placed_before(wish).await?
        {
            return Ok(created);
        }
        Err(self.admission.refuse(refusal, asked).await)
    }

    /// The first answer again, if there was one; it is for the same input or none.
    async fn placed_before(&self, wish: &Wish) -> Result<Option<Created>, Error> {
        // Whether there was one is unknown while it cannot be read: nothing may say that nothing was stored.
        let unknown = || Error::from(ErrorCode::Unavailable).hint(REPEAT);
        let events = timeout(self.patience, self.events(wish.id)).await;
        let events = events.map_err(|_late| unknown())?.map_err(|_unread| unknown())?;
        let Some(first) = events.first() else {
            return Ok(None);
        };
        if input_hash(first)? != wish.hash {
            return Err(Error::from(ErrorCode::IdempotencyKeyReused)
                .hint("Use a new key for each order; repeat a request with its key unchanged.")
                .field("input.idempotencyKey"));
        }
        Ok(Some(Created {
            order: view(wish.id, &events[..1])?,
            replayed: true,
        }))
    }
}

fn input_hash(first: &RecordedEvent) -> Result<Option<[u8; 32]>, Error> {
    Ok(Context::decode(&first.metadata)
        .map_err(fault::event(first))?
        .input_hash)
}

impl Wish {
    fn check(owner: &Owner, order: &NewOrder) -> Result<Self, InvalidInput> {
        let lines = order
            .products
            .iter()
            .map(|product| (&product.name, i64::from(product.quantity)));
        let products = Products::parse(lines)?;
        let key = order
            .idempotency_key
            .as_deref()
            .map(IdempotencyKey::parse)
            .transpose()?;
        Ok(Self {
            id: key.as_ref().map_or_else(
                || OrderId::new(Uuid::now_v7()),
                |key| OrderId::derived(owner, key),
            ),
            actor: Actor::parse(owner.as_str()).ok(),
            created: NewFact::from(Fact::Created {
                owner: owner.clone(),
                products,
            }),
            hash: key.map(|_| as_sent(&order.products)),
        })
    }

    fn append(&self, trace: Option<TraceParent>) -> Append {
        // Expecting no stream is the whole decision: an order that there is not can always be placed.
        let context = Context {
            actor: self.actor.clone(),
            trace,
            input_hash: self.hash,
        };
        let event = tiffin_proto::encode(self.id, &Order::Absent, &self.created, &context);
        Append {
            stream: self.id.stream().into(),
            expected: Expected::NoStream,
            events: vec![NewEvent {
                id: Uuid::now_v7(),
                kind: event.kind.into(),
                data: event.data,
                metadata: event.metadata,
            }],
            urgency: Urgency::Start,
        }
    }

    /// The order that was placed: what its stream tells, without reading back what has just been written.
    fn fulfilled(self, at: OffsetDateTime) -> Result<OrderView, Error> {
        let Order::Placed(details) = evolve(Order::Absent, &self.created.fact, at) else {
            return Err(ErrorCode::Internal.into());
        };
        let placed = Change {
            version: details.version,
            status: details.status,
            at,
            actor: self.actor,
            reason: None,
            note: None,
        };
        Ok(OrderView {
            id: self.id,
            details,
            timeline: vec![placed],
        })
    }
}

/// SHA-256 of the products exactly as they were sent.
fn as_sent(products: &[NewProduct]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"tiffin/create-order/1\0");
    for NewProduct { name, quantity } in products {
        // The length keeps one name's end and the next one's beginning apart.
        hash.update((name.len() as u64).to_be_bytes());
        hash.update(name);
        hash.update(quantity.to_be_bytes());
    }
    hash.finalize().into()
}

fn refused(error: &AppendError) -> Error {
    match error {
        AppendError::LogReplaced | AppendError::Unavailable(_) => {
            // The store has told why.
            tracing::debug!(%error, "an order could not be stored");
            fault::again("Nothing was stored. Send the same request again after retryAfterMs.")
        }
        AppendError::Closed => Error::from(ErrorCode::Unavailable).hint(REPEAT),
        AppendError::Conflict { .. }
        | AppendError::IdReused { .. }
        | AppendError::TooLarge { .. }
        | AppendError::Empty => {
            tracing::error!(%error, "a new order does not fit into the log");
            ErrorCode::Internal.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tiffin_eventstore::{Position, Revision};
    use time::macros::datetime;

    use super::*;

    fn product(name: &str, quantity: i32) -> NewProduct {
        NewProduct {
            name: name.to_owned(),
            quantity,
        }
    }

    #[test]
    fn the_answer_is_what_the_stream_tells() {
        let order = NewOrder {
            products: vec![product(" Dal ", 1), product("Roti", 2)],
            idempotency_key: Some("a-key-of-16-chars".to_owned()),
        };
        let wish = Wish::check(&Owner::parse("web").unwrap(), &order).unwrap();
        let append = wish.append(None);
        let [event] = <[_; 1]>::try_from(append.events).unwrap();
        let recorded = RecordedEvent {
            position: Position(1),
            stream: append.stream,
            stream_no: Position(1),
            revision: Revision(0),
            id: event.id,
            kind: event.kind,
            data: event.data,
            metadata: event.metadata,
            created_at: datetime!(2024-03-01 12:00 UTC),
        };
        let told = view(wish.id, &[Arc::new(recorded)]).unwrap();
        let answer = wish.fulfilled(told.details.created_at).unwrap();
        assert_eq!(answer.id, told.id);
        assert_eq!(answer.details, told.details);
        assert_eq!(answer.timeline, told.timeline);
    }

    #[test]
    fn only_the_very_same_input_has_the_same_hash() {
        let sent = as_sent(&[product("Dal", 1), product("Roti", 2)]);
        assert_eq!(sent, as_sent(&[product("Dal", 1), product("Roti", 2)]));
        for other in [
            vec![product("Dal", 1)],
            vec![product("Roti", 2), product("Dal", 1)],
            vec![product("Dal", 1), product("Roti", 3)],
            vec![product("Dal ", 1), product("Roti", 2)],
        ] {
            assert_ne!(sent, as_sent(&other), "{other:?}");
        }
    }
}
