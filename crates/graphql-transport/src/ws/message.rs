//! The messages of graphql-transport-ws, and of its predecessor, whose sub-protocol is called graphql-ws.

use async_graphql::ServerError;
use axum::extract::ws::{Message, Utf8Bytes};
use bytes::{BufMut, Bytes, BytesMut};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    reply::{render_error_list, render_first_error},
    request::GraphqlRequest,
};

/// Which of the two protocols a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    TransportWs,
    Legacy,
}

impl Dialect {
    /// Those that are spoken, the preferred one first.
    pub(super) const PROTOCOLS: [&str; 2] = ["graphql-transport-ws", "graphql-ws"];

    pub(super) fn of(protocol: &[u8]) -> Self {
        if protocol == b"graphql-ws" {
            Self::Legacy
        } else {
            Self::TransportWs
        }
    }
}

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
    /// Legacy's `subscribe`.
    Start {
        id: String,
        payload: GraphqlRequest,
    },
    /// Legacy's `complete`.
    Stop {
        id: String,
    },
    /// Legacy's announcement that the client will close.
    ConnectionTerminate {},
}

pub(super) fn ack() -> Message {
    Message::Text(Utf8Bytes::from_static(r#"{"type":"connection_ack"}"#))
}

/// Legacy's answer to a refused `connection_init`.
pub(super) fn connection_error(message: &str) -> Message {
    let payload = Value::from(message);
    Message::Text(format!(r#"{{"type":"connection_error","payload":{{"message":{payload}}}}}"#).into())
}

pub(super) fn pong(payload: Option<Map<String, Value>>) -> Message {
    let text = match payload {
        None => r#"{"type":"pong"}"#.to_owned(),
        Some(payload) => format!(r#"{{"type":"pong","payload":{}}}"#, Value::Object(payload)),
    };
    Message::Text(text.into())
}

/// A result. None where `payload` is not text, which JSON always is.
pub(super) fn next(dialect: Dialect, id: &str, payload: &Bytes) -> Option<Message> {
    let kind = match dialect {
        Dialect::TransportWs => "next",
        Dialect::Legacy => "data",
    };
    with_payload(kind, id, payload)
}

/// The errors that end an operation; legacy has room for one.
pub(super) fn error(dialect: Dialect, id: &str, errors: Vec<ServerError>, at_most: usize) -> Option<Message> {
    let payload = match dialect {
        Dialect::TransportWs => render_error_list(errors, at_most),
        Dialect::Legacy => render_first_error(errors),
    };
    with_payload("error", id, &payload)
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
        let message = next(Dialect::TransportWs, "a\"\n", &Bytes::from_static(b"{}"));
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
            r#"{"type":"begin"}"#,
            r#"{"type":"subscribe","id":1,"payload":{"query":"{a}"}}"#,
            r#"{"type":"subscribe","id":"1","payload":{}}"#,
            r#"{"type":"connection_init","payload":"x"}"#,
        ] {
            assert!(serde_json::from_str::<ClientMessage>(text).is_err(), "{text}");
        }
    }
}
