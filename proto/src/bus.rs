//! What goes over the bus: the public part of an event, and when it was recorded.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use time::OffsetDateTime;

use crate::{decode::DecodeError, v1, words::timestamp};

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
