//! Reads the events of a subscription that comes as server-sent events.

use futures::{StreamExt, stream::BoxStream};
use reqwest::Response;
use serde_json::Value;

use crate::failure::{Exit, Failure};

/// What a subscription sends.
#[derive(Debug, PartialEq)]
pub(super) enum Event {
    /// A result of the subscription.
    Next(Value),
    /// There is nothing more to come.
    Complete,
}

/// The events of one connection.
pub(super) struct Events {
    body: BoxStream<'static, Result<Vec<u8>, Failure>>,
    buffer: Vec<u8>,
    last_id: Option<String>,
}

impl Events {
    pub(super) fn new(answer: Response) -> Self {
        let body = answer.bytes_stream().map(|part| match part {
            Ok(bytes) => Ok(bytes.to_vec()),
            Err(error) => Err(Failure::new(
                Exit::Unavailable,
                format_args!("the connection was lost: {error}"),
            )),
        });
        Self::read(body.boxed())
    }

    fn read(body: BoxStream<'static, Result<Vec<u8>, Failure>>) -> Self {
        Self {
            body,
            buffer: Vec::new(),
            last_id: None,
        }
    }

    /// The id of the last whole event that had one.
    pub(super) fn last_id(&self) -> Option<String> {
        self.last_id.clone()
    }

    /// The next event; nothing if the connection ends without a completion.
    pub(super) async fn next(&mut self) -> Result<Option<Event>, Failure> {
        let (mut kind, mut data, mut id) = (String::new(), String::new(), None);
        while let Some(line) = self.line().await? {
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut kind),
                "data" => data.push_str(value),
                "id" => id = Some(value.to_owned()),
                // The empty line after an event.
                "" if line.is_empty() => {
                    if id.is_some() {
                        self.last_id = id.take();
                    }
                    match kind.as_str() {
                        "next" => return Ok(Some(Event::Next(parse(&data)?))),
                        "complete" => return Ok(Some(Event::Complete)),
                        _ => (kind, data) = (String::new(), String::new()),
                    }
                }
                _ => {}
            }
        }
        Ok(None)
    }

    async fn line(&mut self) -> Result<Option<String>, Failure> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line);
                return Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()));
            }
            match self.body.next().await {
                Some(part) => self.buffer.extend(part?),
                None => return Ok(None),
            }
        }
    }
}

fn parse(data: &str) -> Result<Value, Failure> {
    serde_json::from_str(data).map_err(|_| Failure::fault("the server sent something that is not JSON"))
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use serde_json::json;

    use super::*;

    fn events(parts: &[&str]) -> Events {
        let parts: Vec<_> = parts.iter().map(|part| Ok(part.as_bytes().to_vec())).collect();
        Events::read(stream::iter(parts).boxed())
    }

    #[tokio::test]
    async fn events_are_read_across_the_parts_they_come_in() {
        let parts = [
            ":\n\nevent: next\nid: 2\nda",
            "ta: {\"data\": 1}\r\n\nevent: comp",
            "lete\ndata:\n\n",
        ];
        let mut events = events(&parts);
        assert_eq!(events.next().await, Ok(Some(Event::Next(json!({ "data": 1 })))));
        assert_eq!(events.last_id().as_deref(), Some("2"));
        assert_eq!(events.next().await, Ok(Some(Event::Complete)));
        assert_eq!(events.last_id().as_deref(), Some("2"));
        assert_eq!(events.next().await, Ok(None));
    }

    #[tokio::test]
    async fn an_event_that_was_cut_off_does_not_count() {
        let mut events = events(&["event: next\nid: 3\ndata: {}\n"]);
        assert_eq!(events.next().await, Ok(None));
        assert_eq!(events.last_id(), None);
    }
}
