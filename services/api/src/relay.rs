//! What the world hears of a new order: `order.created.<id>`.

use std::time::Duration;

use tiffin_bus::{Message, StreamSpec};
use tiffin_eventstore::RecordedEvent;
use tiffin_order::OrderId;
use tiffin_proto::kind;
use tiffin_trace::Tracer;

/// How long new orders may gather while they come thick and fast. What follows an order (broker, consumer, saga) wakes a dozen
/// threads, for many orders at a time as for one, and takes the processors from whoever places the next; no saga needs to
/// begin sooner.
pub(crate) const GATHER: Duration = Duration::from_millis(2);

/// The stream of new orders.
pub(crate) fn stream(replicas: usize) -> StreamSpec {
    StreamSpec {
        name: "ORDER_CREATED",
        description: "Orders as they were placed. Written by api alone.",
        subjects: &["order.created.*"],
        max_age: Duration::from_hours(7 * 24),
        max_messages: 500_000,
        max_bytes: 1 << 30,
        replicas,
        version: 2,
    }
}

/// The message for this event, if it places an order.
pub(crate) fn message(tracer: &Tracer, event: &RecordedEvent) -> Option<Message> {
    if &*event.kind != kind::ORDER_CREATED {
        return None;
    }
    let id = OrderId::from_stream(event.stream.as_str())?;
    tiffin_platform::message(tracer, event, id, "order.api")
}
