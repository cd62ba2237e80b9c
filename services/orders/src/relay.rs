//! What the world hears of an order after it was placed: `order.updated.<id>` and `order.parked.<id>`.

use std::time::Duration;

use tiffin_bus::{Message, StreamSpec};
use tiffin_eventstore::RecordedEvent;
use tiffin_order::OrderId;
use tiffin_proto::kind;
use tiffin_trace::Tracer;

/// The stream of changes.
pub(crate) fn stream(replicas: usize) -> StreamSpec {
    StreamSpec {
        name: "ORDER_UPDATED",
        description: "Orders as they changed, or were set aside. Written by orders alone.",
        subjects: &["order.updated.*", "order.stuck.*", "order.parked.*"],
        max_age: Duration::from_hours(7 * 24),
        max_messages: 2_000_000,
        max_bytes: 4 << 30,
        replicas,
        version: 2,
    }
}

/// The message for this event, if it has one and is ours to publish.
pub(crate) fn message(tracer: &Tracer, event: &RecordedEvent) -> Option<Message> {
    (&*event.kind != kind::ORDER_CREATED).then(|| any_message(tracer, event))?
}

/// The message for this event, if it has one, whoever publishes it.
pub(crate) fn any_message(tracer: &Tracer, event: &RecordedEvent) -> Option<Message> {
    let stream = event.stream.as_str();
    let (source, id) = match &*event.kind {
        kind::ORDER_CREATED => ("order.api", OrderId::from_stream(stream)?.to_string()),
        kind::MESSAGE_PARKED => ("order.processing", stream.strip_prefix("parked-")?.to_owned()),
        _ => ("order.processing", OrderId::from_stream(stream)?.to_string()),
    };
    tiffin_platform::message(tracer, event, id, source)
}
