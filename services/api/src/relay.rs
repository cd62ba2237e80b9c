//! What the world hears of a new order: `order.created.<id>`.

use std::time::Duration;

use tiffin_bus::{Message, StreamSpec};
use tiffin_eventstore::RecordedEvent;
use tiffin_order::OrderId;
use tiffin_proto::{Envelope, bus_payload, kind, public};
use tiffin_runtime::TraceParent;

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
        version: 1,
    }
}

/// The message for this event, if it places an order. The order is handed on as it stands in the event, unread.
pub(crate) fn message(event: &RecordedEvent) -> Option<Message> {
    if &*event.kind != kind::ORDER_CREATED {
        return None;
    }
    let id = OrderId::from_stream(event.stream.as_str())?;
    let public = public(&event.data)?;
    let envelope = Envelope::decode(&event.metadata).ok()?;
    let mut headers = vec![
        ("ce-specversion", "1.0".to_owned()),
        ("ce-type", "order.created".to_owned()),
        ("ce-source", "order.api".to_owned()),
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
        subject: format!("order.created.{id}"),
        headers,
        payload: bus_payload(&public, event.created_at),
    })
}
