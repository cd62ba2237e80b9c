//! New orders as the bus brings them: sooner than their wake-up would.

use std::time::Duration;

use tiffin_bus::{Bus, ConsumerSpec, Delivery, PullConsumer};
use tiffin_order::{Input, OrderId, Refusal};
use tiffin_platform::spans;
use tiffin_proto::{decode_bus, v1};
use tiffin_trace::{Span, Tracer};
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    park,
    saga::{Failure, Origin, Outcome, Runner},
};

/// How long the tail may take to bring an order that is announced. Its stream is read after that.
const TAIL: Duration = Duration::from_millis(50);

fn spec() -> ConsumerSpec {
    ConsumerSpec {
        max_ack_pending: 2048,
        batch: 128,
        ..ConsumerSpec::new(
            "ORDER_CREATED",
            "orders-saga",
            "Starts orders. Shared by the replicas of orders.",
        )
    }
}

/// Starts the orders that are announced.
#[derive(Clone)]
pub(crate) struct Starts {
    pub(crate) runner: Runner,
    pub(crate) tracker: TaskTracker,
}

impl Starts {
    /// Takes announcements until `token` is cancelled.
    pub(crate) async fn consume(self, bus: Bus, token: CancellationToken) {
        PullConsumer::new(&bus, spec())
            .run(token, move |batch| self.clone().take(batch))
            .await;
    }

    async fn take(self, batch: Vec<Delivery>) {
        let announced: Vec<_> = batch
            .into_iter()
            .map(|delivery| (announced(&delivery), delivery))
            .collect();
        self.recall(&announced).await;
        let saga = self.runner.saga();
        for (order, delivery) in announced {
            let this = self.clone();
            match order {
                Ok(order) => {
                    let span = processed(&saga.tracer, &delivery, order);
                    let origin = Origin {
                        actor: None,
                        trace: span.context(),
                    };
                    let outcome = self.runner.submit(order, Input::Start, origin).await;
                    self.tracker.spawn(async move {
                        match outcome.await {
                            Ok(outcome) => {
                                judge(&span, &outcome);
                                this.finish(&delivery, order, outcome).await;
                            }
                            // Started already, or the process stops; the message comes again.
                            Err(_) => span.fail("dropped"),
                        }
                    });
                }
                Err(reason) => {
                    self.tracker
                        .spawn(async move { this.set_aside(&delivery, &reason).await });
                }
            }
        }
    }

    /// Has the orders in memory: from the tail, which brings them to whoever follows the log, and the others from their streams.
    async fn recall(&self, announced: &[(Result<OrderId, String>, Delivery)]) {
        let saga = self.runner.saga();
        let first = || {
            announced
                .iter()
                .filter_map(|(_, delivery)| delivery.headers.event())
        };
        if let Some(newest) = first().map(|event| event.position).max() {
            let _late = timeout(TAIL, saga.store.reached(newest)).await;
        }
        first().for_each(|event| saga.recall(event));
        let orders: Vec<_> = announced
            .iter()
            .filter_map(|(order, _)| order.as_ref().ok().copied())
            .collect();
        saga.preload(&orders).await;
    }

    /// Acknowledges what is done with. What the database kept from being done comes again; the wake-up that every new
    /// order has does not wait for that.
    async fn finish(&self, delivery: &Delivery, order: OrderId, outcome: Outcome) {
        match outcome {
            Err(Failure::Refused(Refusal::NotFound)) => {
                // Apart: rare, and what it needs would count for every order that is started.
                Box::pin(self.set_aside(delivery, "it names an order that does not exist")).await;
            }
            Ok(_) | Err(Failure::Parked | Failure::Refused(_)) => delivery.ack().await,
            Err(failure @ Failure::Unavailable(_)) => {
                tracing::debug!(order.id = %order, error = %failure, "an order was not started");
            }
            Err(failure) => {
                tracing::warn!(order.id = %order, error = %failure, "an order was not started");
            }
        }
    }

    async fn set_aside(&self, delivery: &Delivery, reason: &str) {
        let saga = self.runner.saga();
        let payload = delivery.payload.clone();
        match park::message(&saga.store, &saga.metrics, &delivery.subject, payload, reason).await {
            Ok(()) => delivery.ack().await,
            Err(error) => {
                tracing::warn!(subject = delivery.subject, %error, "a message could not be set aside yet");
            }
        }
    }
}

/// The start of an order, until the message is acknowledged.
fn processed(tracer: &Tracer, delivery: &Delivery, order: OrderId) -> Span {
    let event = delivery
        .headers
        .event()
        .map_or(Uuid::nil(), |event| event.event_id);
    let span = spans::process(tracer, delivery.headers.trace(), &delivery.subject, event);
    span.set(spans::ORDER_ID, order);
    span
}

/// Whether the start failed. That it is not to be started any more is no failure: it was, sooner than the message came.
fn judge(span: &Span, outcome: &Outcome) {
    match outcome {
        Ok(_) => {}
        Err(Failure::Refused(refusal)) if *refusal != Refusal::NotFound => {}
        Err(failure) => span.fail(failure.word()),
    }
}

/// The order that a message announces, or what is wrong with the message.
fn announced(delivery: &Delivery) -> Result<OrderId, String> {
    let event = decode_bus(&delivery.payload).map_err(|error| error.to_string())?;
    let Some(v1::event::Event::OrderCreated(v1::OrderCreated { order: Some(order) })) = event.event else {
        return Err("it is no order.created event".to_owned());
    };
    let id = OrderId::parse(&order.id).map_err(|error| error.to_string())?;
    if delivery.subject.rsplit('.').next() != Some(order.id.as_str()) {
        return Err("its subject names another order".to_owned());
    }
    Ok(id)
}
