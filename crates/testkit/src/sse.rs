//! Follows server-sent events.

use anyhow::{Context, bail, ensure};
use futures::{StreamExt, stream::BoxStream};
use reqwest::{Response, header::CONTENT_TYPE};
use serde_json::Value;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SseEvent {
    /// Its type, as in `event: next`; empty if none is given.
    pub event: String,
    /// The last id given, with this event or before it.
    pub id: String,
    /// Its data.
    pub data: String,
}

impl SseEvent {
    /// Its data as JSON.
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_str(&self.data).with_context(|| format!("not JSON: {self:?}"))
    }
}

/// A stream of events.
pub struct SseStream {
    body: BoxStream<'static, reqwest::Result<Vec<u8>>>,
    buffer: Vec<u8>,
    last_id: String,
}

impl SseStream {
    /// Follows an answer, unless it is something else.
    pub(crate) async fn new(answer: Response) -> anyhow::Result<Self> {
        let kind = answer
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        if !answer.status().is_success() || !kind.starts_with("text/event-stream") {
            bail!("refused: {} {kind}: {}", answer.status(), answer.text().await?);
        }
        let body = answer
            .bytes_stream()
            .map(|part| part.map(|bytes| bytes.to_vec()))
            .boxed();
        Ok(Self {
            body,
            buffer: Vec::new(),
            last_id: String::new(),
        })
    }

    /// The next event, or nothing once the stream has ended in good order. Comments, which keep the connection alive,
    /// are passed over.
    pub async fn next(&mut self) -> anyhow::Result<Option<SseEvent>> {
        let mut event = SseEvent::default();
        let mut anything = false;
        while let Some(line) = self.line().await? {
            if line.is_empty() {
                if anything {
                    event.id.clone_from(&self.last_id);
                    return Ok(Some(event));
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut event.event),
                "id" => value.clone_into(&mut self.last_id),
                "data" if event.data.is_empty() => value.clone_into(&mut event.data),
                "data" => event.data = format!("{}\n{value}", event.data),
                _ => continue,
            }
            anything = true;
        }
        ensure!(!anything, "the stream ended within an event: {event:?}");
        Ok(None)
    }

    async fn line(&mut self) -> anyhow::Result<Option<String>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(Some(String::from_utf8(line)?));
            }
            match self.body.next().await {
                Some(part) => self.buffer.extend(part?),
                None => return Ok(None),
            }
        }
    }
}
