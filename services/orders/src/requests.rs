//! The ADR-32 service `orders`: questions and commands that need an answer now.

use std::time::Duration;

use tiffin_bus::{Endpoint, ServiceSpec};
use tiffin_order::{Actor, Input, InvalidInput, Note, Order, OrderId, Refusal};
use tiffin_platform::{answer, error, spans, wrong};
use tiffin_proto::{
    cancel_reason, order_message,
    v1::{
        self, cancel_order_response::Result as Cancelled, get_order_response::Result as Got,
        read_events_response::Result as Read, republish_response::Result as Republished,
    },
};
use tiffin_trace::{SpanKind, TraceParent};

use crate::{
    again::Again,
    log::Log,
    saga::{Failure, Loaded, Origin, Runner},
};

/// Whoever asks without saying on whose behalf.
const OPERATOR: &str = "operator";

/// Where cancellations are asked for.
const CANCEL: &str = "orders.order.cancel";

/// The service and its endpoints.
pub(crate) fn spec(runner: &Runner, again: &Again) -> ServiceSpec {
    let (get, cancel) = (runner.clone(), runner.clone());
    let (log, again) = (again.log.clone(), again.clone());
    let endpoints = vec![
        Endpoint::new("get", "orders.order.get", move |request| {
            let runner = get.clone();
            let work = async move |question: v1::GetOrderRequest, _| runner.get(&question).await;
            answer(request, work, |result| v1::GetOrderResponse {
                result: Some(result.map_or_else(Got::Error, Got::Order)),
            })
        }),
        Endpoint::new("cancel", CANCEL, move |request| {
            let runner = cancel.clone();
            let work =
                async move |command: v1::CancelOrderRequest, trace| runner.cancel(&command, trace).await;
            answer(request, work, |result| v1::CancelOrderResponse {
                result: Some(result.map_or_else(Cancelled::Error, Cancelled::Order)),
            })
        }),
        Endpoint::new("events", "orders.events.read", move |request| {
            let log = log.clone();
            let work = async move |question: v1::ReadEventsRequest, _| read(&log, &question).await;
            answer(request, work, |result| v1::ReadEventsResponse {
                result: Some(result.map_or_else(Read::Error, Read::Events)),
            })
        }),
        Endpoint::new("republish", "orders.events.republish", move |request| {
            let again = again.clone();
            let work = async move |command: v1::RepublishRequest, _| {
                let order = optional(&command.order)?;
                Ok(again.publish(&command, order).await?)
            };
            answer(request, work, |result| v1::RepublishResponse {
                result: Some(result.map_or_else(Republished::Error, Republished::Republishing)),
            })
        }),
    ];
    ServiceSpec {
        name: "orders",
        version: env!("CARGO_PKG_VERSION"),
        description: "Carries orders through their workflow.",
        endpoints,
    }
}

impl Runner {
    async fn get(&self, question: &v1::GetOrderRequest) -> Result<v1::Order, v1::Error> {
        let id = order_id(&question.id)?;
        let loaded = self
            .saga()
            .read(id)
            .await
            .map_err(|failure| fault(id, &failure))?;
        shown(id, &loaded)
    }

    async fn cancel(
        &self,
        command: &v1::CancelOrderRequest,
        trace: Option<TraceParent>,
    ) -> Result<v1::Order, v1::Error> {
        let id = order_id(&command.id)?;
        let span = self.saga().tracer.span(trace, SpanKind::Server, CANCEL);
        span.set("rpc.system", "nats");
        span.set("rpc.method", CANCEL);
        span.set(spans::ORDER_ID, id);
        let (input, actor) = cancellation(command)?;
        let outcome = self
            .submit(
                id,
                input,
                Origin {
                    actor: Some(actor),
                    trace: span.context(),
                },
            )
            .await;
        let stopping = Failure::Unavailable("the process stops".to_owned());
        let loaded = outcome
            .await
            .unwrap_or(Err(stopping))
            .map_err(|failure| fault(id, &failure))?;
        shown(id, &loaded)
    }
}

async fn read(log: &Log, question: &v1::ReadEventsRequest) -> Result<v1::Events, v1::Error> {
    let order = optional(&question.order)?;
    let wait = Duration::from_millis(question.wait_ms.into());
    let page = log.read(&question.after, order, question.limit, wait).await?;
    Ok(page)
}

fn cancellation(command: &v1::CancelOrderRequest) -> Result<(Input, Actor), v1::Error> {
    let actor = if command.actor.is_empty() {
        OPERATOR
    } else {
        command.actor.as_str()
    };
    let actor = Actor::parse(actor).map_err(|it| invalid(&it))?;
    let reason = cancel_reason(command).ok_or_else(|| {
        wrong(
            "reason: this version does not know it",
            "Leave it out, or name a known one.",
        )
    })?;
    let note = Note::parse(&command.note).map_err(|it| invalid(&it))?;
    Ok((Input::Cancel { reason, note }, actor))
}

fn optional(order: &str) -> Result<Option<OrderId>, v1::Error> {
    (!order.is_empty()).then(|| order_id(order)).transpose()
}

fn order_id(text: &str) -> Result<OrderId, v1::Error> {
    OrderId::parse(text).map_err(|it| invalid(&it))
}

fn shown(id: OrderId, loaded: &Loaded) -> Result<v1::Order, v1::Error> {
    match &loaded.order {
        Order::Newer(_) => Err(fault(id, &Failure::Refused(Refusal::Newer))),
        order => match order.details() {
            Some(details) => Ok(order_message(id, details)),
            None => Err(fault(id, &Failure::Refused(Refusal::NotFound))),
        },
    }
}

fn invalid(input: &InvalidInput) -> v1::Error {
    wrong(input, input.problem.hint())
}

/// What whoever asked is told; faults of ours in few words, since the log has the others.
fn fault(id: OrderId, failure: &Failure) -> v1::Error {
    let again = "Send the same request again in a moment.";
    match failure {
        Failure::Refused(refusal) => match refusal {
            Refusal::NotFound => error("NOT_FOUND", refusal, "Use the id that createOrder answered."),
            Refusal::NotCancellable { .. } => error(
                "ORDER_NOT_CANCELLABLE",
                refusal,
                "An order can be cancelled while it is PENDING, PAID or PREPARING.",
            ),
            Refusal::Newer => error("UNAVAILABLE", refusal, again),
            Refusal::Exists | Refusal::OtherWorkflow { .. } => internal(id, failure),
        },
        Failure::Contended => error("TRY_AGAIN", failure, again),
        Failure::Unavailable(_) => {
            tracing::debug!(order.id = %id, error = %failure, "a request could not be answered");
            error("UNAVAILABLE", "the order cannot be reached at the moment", again)
        }
        Failure::Broken(_) | Failure::Parked => internal(id, failure),
    }
}

fn internal(id: OrderId, failure: &Failure) -> v1::Error {
    tracing::error!(order.id = %id, error = %failure, "a request failed");
    error(
        "INTERNAL",
        "the order cannot be handled",
        "Tell the operator the order's id.",
    )
}
