//! What the world hears of an event.

use std::fmt::Display;

use tiffin_bus::Message;
use tiffin_eventstore::RecordedEvent;
use tiffin_proto::Publication;
use tiffin_trace::Tracer;

use crate::spans;

/// The message of an event about the order with this id, published by `source`; `None` if nobody hears of it. Its subject
/// is the event's name and the id.
pub fn message(
    tracer: &Tracer,
    event: &RecordedEvent,
    id: impl Display,
    source: &'static str,
) -> Option<Message> {
    let publication = Publication::of(&event.kind, &event.data, &event.metadata, event.created_at)?;
    let subject = format!("{}.{id}", publication.name);
    let span = spans::publish(tracer, publication.trace(), &subject, event.id);
    span.set(spans::ORDER_ID, id);
    Some(Message {
        subject,
        headers: publication.headers(source, span.header()),
        payload: publication.payload,
        span,
    })
}
