//! What the world hears of an order after it was placed: `order.updated.<id>` and `order.parked.<id>`.

use std::time::Duration;

use tiffin_bus::{Message, StreamSpec};
use tiffin_eventstore::RecordedEvent;
use tiffin_order::OrderId;
use tiffin_proto::{Envelope, bus_payload, kind, public};
use tiffin_runtime::TraceParent;

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
        version: 1,
    }
}

/// The message for this event, if it has one. The order is handed on as it stands in the event, unread; so is a change
/// by an event of a type that is not known here.
pub(crate) fn message(event: &RecordedEvent) -> Option<Message> {
    let envelope = Envelope::decode(&event.metadata).ok()?;
    let (what, id) = match &*event.kind {
        kind::ORDER_CREATED => return None,
        kind::ORDER_PARKED => ("parked", OrderId::from_stream(event.stream.as_str())?.to_string()),
        kind::MESSAGE_PARKED => (
            "parked",
            event.stream.as_str().strip_prefix("parked-")?.to_owned(),
        ),
        _ if envelope.version.is_some() => (
            "updated",
            OrderId::from_stream(event.stream.as_str())?.to_string(),
        ),
        _ => return None,
    };
    let public = public(&event.data)?;
    let mut headers = vec![
        ("ce-specversion", "1.0".to_owned()),
        ("ce-type", format!("order.{what}")),
        ("ce-source", "order.processing".to_owned()),
    ];
    headers.extend(envelope.status.map(|status| ("order-status", status.to_string())));
    headers.extend(
        envelope
            .version
            .map(|version| ("order-version", version.to_string())),
    );
    let sampled = |text: &&str| text.parse().is_ok_and(TraceParent::sampled);
    let traceparent = envelope.traceparent.as_deref().filter(sampled);
    headers.extend(traceparent.map(|text| ("traceparent", text.to_owned())));
    Some(Message {
        subject: format!("order.{what}.{id}"),
        headers,
        payload: bus_payload(&public, event.created_at),
    })
}
