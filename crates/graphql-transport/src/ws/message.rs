//! The messages of graphql-transport-ws.

use async_graphql::ServerError;
use axum::extract::ws::{Message, Utf8Bytes};
use bytes::{BufMut, Bytes, BytesMut};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{reply::render_error_list, request::GraphqlRequest};

/// What a client says.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ClientMessage {
    ConnectionInit {
        #[serde(default)]
        payload: Option<Map<String, Value>>,
    },
    Ping {
        #[serde(default)]
        payload: Option<Map<String, Value>>,
    },
    Pong {},
    Subscribe {
        id: String,
        payload: GraphqlRequest,
    },
    Complete {
        id: String,
    },
}

pub(super) fn ack() -> Message {
    Message::Text(Utf8Bytes::from_static(r#"{"type":"connection_ack"}"#))
}

pub(super) fn pong(payload: Option<Map<String, Value>>) -> Message {
    let text = match payload {
        None => r#"{"type":"pong"}"#.to_owned(),
        Some(payload) => format!(r#"{{"type":"pong","payload":{}}}"#, Value::Object(payload)),
    };
    Message::Text(text.into())
}

/// A result. None where `payload` is not text, which JSON always is.
pub(super) fn next(id: &str, payload: &Bytes) -> Option<Message> {
    with_payload("next", id, payload)
}

/// The errors that end an operation before it began.
pub(super) fn error(id: &str, errors: Vec<ServerError>, at_most: usize) -> Option<Message> {
    with_payload("error", id, &render_error_list(errors, at_most))
}

pub(super) fn complete(id: &str) -> Message {
    Message::Text(format!(r#"{{"id":{},"type":"complete"}}"#, Value::from(id)).into())
}

fn with_payload(kind: &str, id: &str, payload: &Bytes) -> Option<Message> {
    let head = format!(r#"{{"id":{},"type":"{kind}","payload":"#, Value::from(id));
    let mut text = BytesMut::with_capacity(head.len() + payload.len() + 1);
    text.put_slice(head.as_bytes());
    text.put_slice(payload);
    text.put_u8(b'}');
    Some(Message::Text(Utf8Bytes::try_from(text.freeze()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_sent_back_as_it_came_whatever_is_in_it() {
        let message = next("a\"\n", &Bytes::from_static(b"{}"));
        assert_eq!(
            message,
            Some(Message::Text(
                r#"{"id":"a\"\n","type":"next","payload":{}}"#.into()
            ))
        );
    }

    #[test]
    fn what_is_not_of_the_protocol_is_not_read() {
        for text in [
            "{}",
            "[]",
            r#"{"type":"start"}"#,
            r#"{"type":"subscribe","id":1,"payload":{"query":"{a}"}}"#,
            r#"{"type":"subscribe","id":"1","payload":{}}"#,
            r#"{"type":"connection_init","payload":"x"}"#,
        ] {
            assert!(serde_json::from_str::<ClientMessage>(text).is_err(), "{text}");
        }
    }
}
