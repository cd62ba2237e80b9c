//! The bytes of server-sent events.

use bytes::{BufMut, Bytes, BytesMut};

use crate::subscribe::Next;

/// A result.
pub(super) fn next(next: &Next) -> Bytes {
    let mut text = BytesMut::with_capacity(next.payload.len() + 48);
    text.put_slice(b"event: next\n");
    if let Some(id) = next.id {
        text.put_slice(format!("id: {id}\n").as_bytes());
    }
    text.put_slice(b"data: ");
    text.put_slice(&next.payload);
    text.put_slice(b"\n\n");
    text.freeze()
}

/// The end of the operation. Without a data line, browsers would drop it.
pub(super) fn complete() -> Bytes {
    Bytes::from_static(b"event: complete\ndata:\n\n")
}

/// Keeps the connection open.
pub(super) fn comment() -> Bytes {
    Bytes::from_static(b":\n\n")
}

/// When to connect again, should the connection be lost.
pub(super) fn retry(milliseconds: u64) -> Bytes {
    Bytes::from(format!("retry: {milliseconds}\n\n"))
}
