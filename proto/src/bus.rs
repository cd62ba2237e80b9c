//! What goes over the bus: the public part of an event with the time at which it was recorded, and its headers.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use tiffin_trace::TraceParent;
use time::OffsetDateTime;

use crate::{
    decode::{DecodeError, Envelope, public, trace},
    v1,
    words::{kind, timestamp},
};

/// An event of the log as the bus carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Its type there, such as `order.updated`: the subject without the id, and the `type` of CloudEvents.
    pub name: &'static str,
    /// What is published: the public part as it stands in the event, unread, and the time.
    pub payload: Bytes,
    envelope: Envelope,
    trace: Option<TraceParent>,
}

impl Publication {
    /// What is published of an event; `None` if that is nothing. A change is published whatever the event's type, also
    /// one that is not known here.
    pub fn of(kind: &str, data: &Bytes, metadata: &[u8], recorded_at: OffsetDateTime) -> Option<Self> {
        let envelope = Envelope::decode(metadata).ok()?;
        let name = match kind {
            kind::ORDER_CREATED => "order.created",
            kind::ORDER_PARKED | kind::MESSAGE_PARKED => "order.parked",
            _ if envelope.version.is_some() => "order.updated",
            _ => return None,
        };
        Some(Self {
            name,
            payload: bus_payload(&public(data)?, recorded_at),
            envelope,
            trace: trace(metadata),
        })
    }

    /// What the event belongs to.
    pub fn trace(&self) -> Option<TraceParent> {
        self.trace
    }

    /// The message's headers: `source` is who publishes, and `traceparent` what the message belongs to, if that is
    /// sampled.
    pub fn headers(&self, source: &'static str, traceparent: Option<String>) -> Vec<(&'static str, String)> {
        let Envelope { status, version, .. } = &self.envelope;
        let always = [
            ("ce-specversion", "1.0".to_owned()),
            ("ce-type", self.name.to_owned()),
            ("ce-source", source.to_owned()),
        ];
        let known = [
            status.map(|status| ("order-status", status.to_string())),
            version.map(|version| ("order-version", version.to_string())),
            traceparent.map(|text| ("traceparent", text)),
        ];
        always.into_iter().chain(known.into_iter().flatten()).collect()
    }
}

/// The message for an event whose public part is `public` and which was recorded at `recorded_at`.
///
/// The public part is copied, not read: two serialised messages after one another are the two merged.
pub fn bus_payload(public: &Bytes, recorded_at: OffsetDateTime) -> Bytes {
    let time = v1::Event {
        event: None,
        recorded_at: Some(timestamp(recorded_at)),
    };
    let mut payload = BytesMut::with_capacity(public.len() + time.encoded_len());
    payload.put_slice(public);
    payload.put_slice(&time.encode_to_vec());
    payload.freeze()
}

/// Reads a message from the bus.
pub fn decode_bus(payload: &[u8]) -> Result<v1::Event, DecodeError> {
    Ok(v1::Event::decode(payload)?)
}
