//! How a batch of messages is named to the server, and what the server answers.
//!
//! A batch is a fast ingest (ADR-50 of NATS, from 2.14 on): its messages are stored one by one, as others are, but
//! acknowledged together, and after one that is refused or missing none of the batch is stored any more. All of that
//! stands in the subject to which the server answers: `<inbox>.<batch>.<flow>.fail.<number>.<operation>.$FI`.

use async_nats::{Message, StatusCode, jetstream};
#[cfg(test)]
use bytes::Bytes;
use serde::Deserialize;
use uuid::Uuid;

use super::fault::Fault;

/// The most messages of a batch.
pub(super) const SIZE: usize = 256;

/// A new batch of a known number of messages.
pub(super) struct Batch {
    /// What all of its answers' subjects begin with.
    head: String,
    size: usize,
}

impl Batch {
    /// A batch that is answered in `inbox`. Beside its end the server only answers how fast it may go on; that is not
    /// waited for, since a window is far below what the server takes at once.
    pub(super) fn new(inbox: &str, size: usize) -> Self {
        let id = Uuid::now_v7().simple();
        Self {
            head: format!("{inbox}.{id}.{SIZE}.fail"),
            size,
        }
    }

    /// The subject with which its message `number`, counted from 1, is published.
    pub(super) fn reply(&self, number: usize) -> String {
        let operation = match number {
            last if last == self.size => Operation::Commit,
            1 => Operation::Start,
            _ => Operation::Append,
        };
        format!("{}.{number}.{}.$FI", self.head, operation as u8)
    }
}

/// What the server is to do with a message; the first of a batch may also be its last.
#[derive(Clone, Copy)]
enum Operation {
    Start = 0,
    Append = 1,
    Commit = 2,
}

/// A whole batch has been stored, its last message here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Acknowledged {
    pub(super) stream: String,
    pub(super) sequence: u64,
    /// How many messages it was.
    pub(super) count: usize,
}

/// Every answer of the server; the kind is not said where a batch is at its end.
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "type")]
    kind: Option<Kind>,
    error: Option<jetstream::Error>,
    #[serde(default)]
    stream: String,
    #[serde(default, rename = "seq")]
    sequence: u64,
    #[serde(default)]
    count: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Ack,
    Gap,
    Err,
}

/// What an answer says; `None` for one that only tells how fast to publish. An error may be of a later batch than the
/// oldest in flight: whoever looks at the stream then finds what is stored.
pub(super) fn read(answer: &Message) -> Result<Option<Acknowledged>, Fault> {
    if answer.status == Some(StatusCode::NO_RESPONDERS) {
        return Err(Fault::NoStream);
    }
    let answer: Answer = serde_json::from_slice(&answer.payload).map_err(Fault::publish)?;
    match answer {
        Answer {
            error: Some(error), ..
        } => Err(error.into()),
        Answer {
            kind: Some(Kind::Ack),
            ..
        } => Ok(None),
        Answer {
            kind: Some(Kind::Gap | Kind::Err),
            ..
        } => Err(Fault::Gap),
        Answer {
            kind: None,
            stream,
            sequence,
            count,
            ..
        } => Ok(Some(Acknowledged {
            stream,
            sequence,
            count,
        })),
    }
}

/// What the server sends.
#[cfg(test)]
pub(super) fn answer(payload: impl Into<Bytes>) -> Message {
    let payload = payload.into();
    Message {
        subject: "inbox".into(),
        reply: None,
        length: payload.len(),
        payload,
        headers: None,
        status: None,
        description: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_message_starts_a_batch_and_the_last_commits_it() {
        let replies = |size| {
            let batch = Batch::new("_INBOX.a", size);
            let replies: Vec<_> = (1..=size).map(|number| batch.reply(number)).collect();
            assert!(replies.iter().all(|reply| reply.starts_with(&batch.head)));
            replies
                .iter()
                .map(|reply| reply[batch.head.len()..].to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(replies(1), [".1.2.$FI"]);
        assert_eq!(replies(3), [".1.0.$FI", ".2.1.$FI", ".3.2.$FI"]);
    }

    #[test]
    fn the_last_acknowledgement_says_what_is_stored_where() {
        let stored = read(&answer(r#"{"stream":"EVENTS","seq":45,"batch":"b","count":3}"#));
        let expected = Acknowledged {
            stream: "EVENTS".to_owned(),
            sequence: 45,
            count: 3,
        };
        assert_eq!(stored.unwrap(), Some(expected));
        assert_eq!(
            read(&answer(r#"{"type":"ack","seq":0,"msgs":256}"#)).unwrap(),
            None
        );
    }

    #[test]
    fn what_was_not_stored_is_a_fault() {
        let refused = r#"{"type":"err","seq":2,"error":{"code":400,"err_code":10071,"description":"wrong last sequence"}}"#;
        assert!(matches!(read(&answer(refused)), Err(Fault::Refused)));
        let refused = r#"{"error":{"code":400,"err_code":10071,"description":"wrong last sequence"},"stream":"EVENTS","seq":0}"#;
        assert!(matches!(read(&answer(refused)), Err(Fault::Refused)));
        let disabled = r#"{"error":{"code":400,"err_code":10205,"description":"batch publish is disabled"},"stream":"EVENTS","seq":0}"#;
        assert!(matches!(read(&answer(disabled)), Err(Fault::Publish(_))));
        let gap = r#"{"type":"gap","last_seq":2,"seq":4}"#;
        assert!(matches!(read(&answer(gap)), Err(Fault::Gap)));
        let nobody = Message {
            status: Some(StatusCode::NO_RESPONDERS),
            ..answer("")
        };
        assert!(matches!(read(&nobody), Err(Fault::NoStream)));
    }
}
