//! The spans that several services make, named and described by OpenTelemetry's conventions for databases and messaging.
//!
//! Every effect is *under* its one cause, across processes and through the log: what is appended under the request or
//! step that decided it, what is published under its append (the event carries that span), what is processed under its
//! publication (the message carries that one), although producer and consumer part ways: each message is one order's next
//! step, so a trace reads as the order's way. Messages are taken in batches, but each is worked on by itself, so that no
//! span stands for a batch.

use tiffin_eventstore::EventStore;
use tiffin_trace::{Span, SpanKind, TraceParent, Tracer};
use uuid::Uuid;

/// The order that a span is about.
pub const ORDER_ID: &str = "tiffin.order.id";
/// The version that the order has after it.
pub const ORDER_VERSION: &str = "tiffin.order.version";
/// The status that the order has after it.
pub const ORDER_STATUS: &str = "tiffin.order.status";

/// An append to the log: from its hand-over to the writer until it is committed.
pub fn append(tracer: &Tracer, store: &EventStore, cause: Option<TraceParent>) -> Span {
    let span = tracer.span(cause, SpanKind::Client, "append events");
    span.set("db.system.name", store.system());
    span.set("db.operation.name", "append");
    span.set("db.collection.name", "events");
    span
}

/// A relay's publication of an event: from its hand-over to NATS until it is acknowledged.
pub fn publish(tracer: &Tracer, cause: Option<TraceParent>, subject: &str, event: Uuid) -> Span {
    message(tracer, cause, SpanKind::Producer, "publish", subject, event)
}

/// The processing of a message.
pub fn process(tracer: &Tracer, cause: Option<TraceParent>, subject: &str, event: Uuid) -> Span {
    message(tracer, cause, SpanKind::Consumer, "process", subject, event)
}

fn message(
    tracer: &Tracer,
    cause: Option<TraceParent>,
    kind: SpanKind,
    operation: &'static str,
    subject: &str,
    event: Uuid,
) -> Span {
    // The last token is the order's id.
    let name = subject.rsplit_once('.').map_or(subject, |(name, _)| name);
    let span = tracer.span(cause, kind, format_args!("{name} {operation}"));
    span.set("messaging.system", "nats");
    span.set("messaging.operation.name", operation);
    span.set(
        "messaging.operation.type",
        if operation == "publish" { "send" } else { operation },
    );
    span.set("messaging.destination.name", subject);
    span.set("messaging.destination.template", format_args!("{name}.{{id}}"));
    span.set("messaging.message.id", event);
    span
}
