//! What is to be published as one: the next events of the log that have a message.

use tiffin_eventstore::{Cursor, Direction, ReadError, RecordedEvent, Revision, StreamName};

use super::Republisher;
use crate::message::Message;

/// The most messages of a page; the server takes up to 1,000 as one.
const MESSAGES: usize = 500;
/// The most bytes of a page, but for its last message.
const BYTES: usize = 4 << 20;
/// The most events that are read for a page.
const EVENTS: usize = 4096;
/// Events read at a time.
const READ: usize = 512;

/// What is to be published as one.
pub(super) struct Page {
    /// The last event that was looked at.
    pub(super) cursor: Cursor,
    events: usize,
    bytes: usize,
    pub(super) messages: Vec<(Message, Cursor)>,
}

impl Page {
    fn after(cursor: Cursor) -> Page {
        Page {
            cursor,
            events: 0,
            bytes: 0,
            messages: Vec::new(),
        }
    }

    fn is_full(&self) -> bool {
        self.messages.len() >= MESSAGES || self.bytes >= BYTES
    }

    fn add(&mut self, event: &RecordedEvent, message: Option<Message>) {
        self.cursor = event.cursor();
        self.events += 1;
        if let Some(message) = message {
            self.bytes += message.payload.len();
            self.messages.push((message, event.cursor()));
        }
    }
}

impl Republisher {
    /// The next page of all events.
    pub(super) async fn next(&self, after: Cursor) -> Result<Page, ReadError> {
        let mut page = Page::after(after);
        while page.events < EVENTS && !page.is_full() {
            let events = self.store.read_after(page.cursor, READ).await?;
            for event in &events {
                if page.is_full() {
                    break;
                }
                page.add(event, (self.map)(event));
            }
            if events.len() < READ {
                break;
            }
        }
        Ok(page)
    }

    /// The next page of one stream's events; its end is the log's.
    pub(super) async fn next_of(&self, stream: &StreamName, after: Cursor) -> Result<Page, ReadError> {
        let head = self.store.head().await?;
        let events = self
            .store
            .read_stream(stream, Revision::FIRST, Direction::Forwards, usize::MAX)
            .await?;
        let mut page = Page::after(after);
        for event in events.iter().filter(|event| event.position > after.position) {
            if page.is_full() {
                return Ok(page);
            }
            page.add(event, (self.map)(event));
        }
        if head.position > page.cursor.position {
            page.cursor = head;
        }
        Ok(page)
    }
}
