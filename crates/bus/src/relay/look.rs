//! Looking at the stream and finding the place from which to publish.

use async_nats::jetstream::{
    ErrorCode,
    stream::{Info, Stream},
};
use tiffin_eventstore::{Checkpoint, Cursor, Direction, Position, ReadError, RecordedEvent};
use tracing::{error, info, warn};

use super::{
    Relay,
    fault::Fault,
    mark::{Mark, Place},
    resync::{Seen, Stored, Verdict, judge, missed_acks},
    search::Search,
    tail::Tail,
};
use crate::{ahead::Ahead, ensure, message::Headers};

/// Events read at a time.
const PAGE: usize = 512;

impl Relay {
    /// The place from which to publish, given the last checkpoint; creates the stream if it is not there.
    pub(super) async fn look(&self, checkpoint: &Checkpoint) -> Result<Place, Fault> {
        let jetstream = &self.bus.publishing().jetstream;
        let stream = ensure::stream(jetstream, &self.config.stream).await?;
        ensure::batches(jetstream, &stream).await?;
        let seen = seen(stream.cached_info());
        let log_replaced = self.is_replaced(checkpoint.cursor).await?;
        let mark = Mark::decode(&checkpoint.note);
        let verdict = judge(mark, log_replaced, &seen);
        let cursor = match verdict {
            Verdict::InStep => checkpoint.cursor,
            Verdict::Refill => {
                self.found_empty();
                self.oldest_kept().await?
            }
            Verdict::AfterLastMessage => match self.last_common(&stream, &seen).await? {
                Some(cursor) => cursor,
                None => self.oldest_kept().await?,
            },
            Verdict::ReadOn => {
                let sequence = mark.map_or(0, |mark| mark.sequence);
                self.read_on(checkpoint.cursor, sequence, &seen).await?
            }
        };
        if verdict != Verdict::InStep {
            info!(
                relay = self.config.name,
                ?verdict,
                from = checkpoint.cursor.position.0,
                position = cursor.position.0,
                "goes on from another place"
            );
        }
        Ok(Place {
            cursor,
            mark: Mark {
                created: seen.created,
                sequence: seen.last_sequence,
            },
        })
    }

    async fn is_replaced(&self, cursor: Cursor) -> Result<bool, Fault> {
        match self.config.store.read_after(cursor, 1).await {
            Ok(_) => Ok(false),
            Err(ReadError::LogReplaced) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// The event after which begins what the stream's limits would keep.
    async fn oldest_kept(&self) -> Result<Cursor, Fault> {
        let store = &self.config.store;
        let since = store.now() - self.config.stream.max_age;
        let mut wanted = self.config.stream.max_messages;
        let mut end = store.head().await?.position.0;
        while end > 0 {
            let begin = end.saturating_sub(PAGE as u64);
            let page = store.read_all(Position(begin), Direction::Forwards, PAGE).await?;
            for event in page.iter().rev().filter(|event| event.position.0 <= end) {
                if wanted == 0 || event.created_at < since {
                    return Ok(event.cursor());
                }
                if self.has_message(event) {
                    wanted -= 1;
                }
            }
            end = begin;
        }
        Ok(Cursor::START)
    }

    /// The last event of the stream that is also in the log.
    async fn last_common(&self, stream: &Stream, seen: &Seen) -> Result<Option<Cursor>, Fault> {
        let (mut common, mut unknown) = (None, None);
        let mut ours = seen.first_sequence;
        let mut search = Search::new(seen.first_sequence, seen.last_sequence);
        while let Some(sequence) = search.next() {
            let event = stored_event(stream, sequence).await?;
            let known = match event {
                Some(event) => self.is_in_log(event).await?,
                None => false,
            };
            search.answer(sequence, known);
            if known {
                common = event;
                ours = sequence + 1;
            } else {
                unknown = event.or(unknown);
            }
        }
        if let Some(event) = unknown {
            self.report_ahead(ours, seen.last_sequence, event);
        }
        Ok(common)
    }

    /// How far the messages after `sequence` are the events after `cursor`.
    async fn read_on(&self, mut cursor: Cursor, sequence: u64, seen: &Seen) -> Result<Cursor, Fault> {
        if seen.messages == 0 {
            return Ok(cursor);
        }
        let jetstream = &self.bus.publishing().jetstream;
        let first = seen.first_sequence.max(sequence + 1);
        let mut tail = Tail::open(jetstream, self.config.stream.name, first, seen.last_sequence).await?;
        let mut discarded = first > sequence + 1;
        while let Some(mut page) = tail.page().await? {
            // What limits have discarded was our events too if the log knows the first message after it.
            if std::mem::take(&mut discarded)
                && let Some(event) = page.first().and_then(|message| message.event)
                && event.position > cursor.position
                && self.is_in_log(event).await?
            {
                cursor = event;
                page.remove(0);
            }
            let next = self.next_published(cursor, page.len()).await?;
            let agreement = missed_acks(&next, &page);
            if let Some(last) = agreement.events.checked_sub(1) {
                cursor = next[last];
            }
            if let Some(Stored {
                sequence,
                event: Some(event),
            }) = agreement.foreign
            {
                warn!(
                    relay = self.config.name,
                    position = event.position.0,
                    "the stream holds what is not the next event; publishing from there again"
                );
                if !self.is_in_log(event).await? {
                    self.report_ahead(sequence, seen.last_sequence, event);
                }
                break;
            }
        }
        Ok(cursor)
    }

    /// The next `count` events after `cursor` that have a message, fewer at the log's end.
    async fn next_published(&self, mut cursor: Cursor, count: usize) -> Result<Vec<Cursor>, Fault> {
        let mut next = Vec::with_capacity(count);
        while next.len() < count {
            let page = self.config.store.read_after(cursor, PAGE).await?;
            let Some(last) = page.last() else { break };
            cursor = last.cursor();
            next.extend(
                page.iter()
                    .filter(|event| self.has_message(event))
                    .map(|event| event.cursor()),
            );
        }
        next.truncate(count);
        Ok(next)
    }

    fn has_message(&self, event: &RecordedEvent) -> bool {
        let Some(message) = (self.map)(event) else {
            return false;
        };
        // It is not published here.
        message.span.discard();
        true
    }

    async fn is_in_log(&self, event: Cursor) -> Result<bool, Fault> {
        let Some(before) = event.position.0.checked_sub(1) else {
            return Ok(false);
        };
        let found = self
            .config
            .store
            .read_all(Position(before), Direction::Forwards, 1)
            .await?;
        Ok(found.first().is_some_and(|found| found.cursor() == event))
    }

    /// Says that the log does not have the events of these messages, of which `event` is one.
    fn report_ahead(&self, first: u64, last: u64, event: Cursor) {
        let stream = self.config.stream.name;
        let ahead = Ahead { stream, first, last };
        let messages = ahead.messages();
        self.bus.finds().add(ahead);
        self.metrics
            .ahead
            .set(i64::try_from(messages).unwrap_or(i64::MAX));
        error!(
            relay = self.config.name,
            stream,
            messages,
            first_sequence = first,
            last_sequence = last,
            position = event.position.0,
            event.id = %event.event_id,
            "broker ahead of store: the database was restored to an earlier state, or is another one; these messages \
             are all that is left of what it lost, so save them with `nats stream backup` before they are too old; \
             going on after the last event that both have"
        );
    }

    fn found_empty(&self) {
        self.bus.finds().forget(self.config.stream.name);
        self.metrics.ahead.set(0);
    }
}

fn seen(info: &Info) -> Seen {
    Seen {
        created: info.created,
        messages: info.state.messages,
        first_sequence: info.state.first_sequence,
        last_sequence: info.state.last_sequence,
    }
}

/// The event that the message at `sequence` carries; `None` if there is no such message or it carries none.
async fn stored_event(stream: &Stream, sequence: u64) -> Result<Option<Cursor>, Fault> {
    use async_nats::jetstream::stream::LastRawMessageErrorKind as Kind;
    match stream.get_raw_message(sequence).await {
        Ok(message) => Ok(Headers::from(message.headers).event()),
        Err(error) => match error.kind() {
            Kind::NoMessageFound => Ok(None),
            Kind::JetStream(inner) if inner.error_code() == ErrorCode::NO_MESSAGE_FOUND => Ok(None),
            _ => Err(Fault::Stream(error.into())),
        },
    }
}
