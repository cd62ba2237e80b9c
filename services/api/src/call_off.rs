//! Cancelling an order: a request to `orders`, which alone continues an order's stream.

use std::time::Duration;

use prost::Message;
use tiffin_bus::TRACE;
use tiffin_graphql::{Caller, Error, ErrorCode, OrderView, Role};
use tiffin_order::{Note, OrderId, Status};
use tiffin_platform::spans;
use tiffin_proto::v1::{self, cancel_order_response::Result as Verdict};
use tiffin_trace::SpanKind;
use tokio::time::timeout;

use crate::orders::{Orders, wrong};

const SUBJECT: &str = "orders.order.cancel";

impl Orders {
    pub(crate) async fn call_off(
        &self,
        caller: &Caller,
        id: OrderId,
        note: Option<String>,
    ) -> Result<OrderView, Error> {
        let request = request(caller, id, note)?.encode_to_vec();
        let span = self.tracer.span(caller.trace, SpanKind::Client, SUBJECT);
        span.set("rpc.system", "nats");
        span.set("rpc.method", SUBJECT);
        span.set(spans::ORDER_ID, id);
        let headers: Vec<_> = span.header().map(|trace| (TRACE, trace)).into_iter().collect();
        let answer = self
            .bus
            .request_with_headers(SUBJECT, &headers, request.into(), self.patience / 2);
        match answer.await {
            Ok(reply) => match v1::CancelOrderResponse::decode(reply).map(|reply| reply.result) {
                Ok(Some(Verdict::Order(_))) => self.read(id).await?.ok_or(ErrorCode::NotFound.into()),
                Ok(Some(Verdict::Error(error))) => Err(refusal(error)),
                Ok(None) | Err(_) => {
                    tracing::error!(order.id = %id, "the answer to a cancellation cannot be read");
                    self.as_seen(id).await
                }
            },
            Err(error) => {
                span.fail("no_answer");
                tracing::warn!(order.id = %id, %error, "no answer to a cancellation");
                self.as_seen(id).await
            }
        }
    }

    /// Answers by what the order shows, since nobody said what became of the request.
    async fn as_seen(&self, id: OrderId) -> Result<OrderView, Error> {
        let unknown = || {
            Error::from(ErrorCode::Unavailable)
                .hint("The order may still be cancelled: send the same request again, or look at the order.")
                .retry_after(Duration::from_secs(1))
        };
        let reading = timeout(self.patience / 2, self.read(id)).await;
        let order = reading.map_err(|_| unknown())??.ok_or(ErrorCode::NotFound)?;
        match order.details.status {
            Status::Cancelled => Ok(order),
            status if status.is_cancellable() => Err(unknown()),
            status => {
                Err(Error::from(ErrorCode::OrderNotCancellable).hint(format!("The order is {status}.")))
            }
        }
    }
}

fn request(caller: &Caller, id: OrderId, note: Option<String>) -> Result<v1::CancelOrderRequest, Error> {
    let note = Note::parse(&note.unwrap_or_default()).map_err(wrong)?;
    let reason = match caller.principal.role {
        Role::Customer => v1::Reason::CancelledByCustomer,
        Role::Kitchen | Role::Courier | Role::Operator | Role::Service => v1::Reason::CancelledByStaff,
    };
    Ok(v1::CancelOrderRequest {
        id: id.to_string(),
        note: note.map(|note| note.to_string()).unwrap_or_default(),
        actor: caller.principal.owner.to_string(),
        reason: reason.into(),
    })
}

/// What `orders` said, in its own words: they are meant for clients.
fn refusal(error: v1::Error) -> Error {
    let Ok(code) = error.code.parse::<ErrorCode>() else {
        tracing::error!(
            code = error.code,
            message = error.message,
            "a cancellation was refused for no known reason"
        );
        return ErrorCode::Internal.into();
    };
    let mut refused = Error::new(code, error.message);
    if code == ErrorCode::Unavailable {
        // Cancelling twice is cancelling once.
        refused = refused.retry_after(Duration::from_secs(1));
    }
    if error.hint.is_empty() {
        refused
    } else {
        refused.hint(error.hint)
    }
}

#[cfg(test)]
mod tests {
    use tiffin_graphql::Principal;
    use tiffin_order::Owner;
    use uuid::Uuid;

    use super::*;

    fn asked(role: Role, note: &str) -> Result<v1::CancelOrderRequest, Error> {
        let owner = Owner::parse("somebody").unwrap();
        let caller = Caller {
            principal: Principal { owner, role },
            trace: None,
        };
        request(&caller, OrderId::new(Uuid::nil()), Some(note.to_owned()))
    }

    #[test]
    fn a_cancellation_says_who_wants_it_on_whose_side_and_why() {
        let customers = asked(Role::Customer, " too late ").unwrap();
        assert_eq!(
            (customers.note.as_str(), customers.actor.as_str()),
            ("too late", "somebody")
        );
        assert_eq!(customers.reason(), v1::Reason::CancelledByCustomer);
        let operators = asked(Role::Operator, " ").unwrap();
        assert_eq!(operators.note, "");
        assert_eq!(operators.reason(), v1::Reason::CancelledByStaff);
    }

    #[test]
    fn a_note_that_cannot_be_read_is_the_clients_mistake() {
        let refused = asked(Role::Customer, "a\u{1b}[31mred").unwrap_err();
        assert_eq!(refused.code(), ErrorCode::BadUserInput);
    }

    #[test]
    fn what_orders_refuses_is_refused_in_its_words_and_what_is_unknown_is_masked() {
        let said = |code: &str| v1::Error {
            code: code.to_owned(),
            message: "Because.".to_owned(),
            hint: "Then.".to_owned(),
        };
        let known = Error::new(ErrorCode::OrderNotCancellable, "Because.").hint("Then.");
        assert_eq!(refusal(said("ORDER_NOT_CANCELLABLE")), known);
        assert_eq!(refusal(said("DATABASE_ON_FIRE")), ErrorCode::Internal.into());
    }
}
