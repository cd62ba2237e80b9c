//! The batches in flight, in the order in which they were published.

use std::collections::VecDeque;

use async_nats::Client;
use futures::{StreamExt, stream::BoxStream};
use tiffin_eventstore::Cursor;
use tiffin_trace::Span;
use tokio::time::{Instant, timeout_at};

use super::{
    batch::{self, Acknowledged, Batch},
    fault::Fault,
};
use crate::{
    connection::{ACK_TIMEOUT, Connection},
    message::{self, Message},
};

/// So many messages may be unacknowledged.
const SIZE: usize = 2 * batch::SIZE;

/// The `error.type` of a message whose acknowledgement nobody waits for any more.
const GIVEN_UP: &str = "given_up";

/// A published batch whose acknowledgement settles the log up to `through`.
struct InFlight {
    through: Cursor,
    /// The sequence of its last message.
    sequence: u64,
    /// The publications of its messages.
    spans: Vec<Span>,
    /// Until when it is waited for.
    until: Instant,
}

impl InFlight {
    fn fail(&self, kind: &str) {
        for span in &self.spans {
            span.fail(kind);
        }
    }
}

/// The window and the last sequence that it will have reached when all is acknowledged.
pub(super) struct Window {
    in_flight: VecDeque<InFlight>,
    stream: &'static str,
    last_sequence: u64,
    /// The stream has been found to be where we left it.
    open: bool,
    inbox: String,
    answers: BoxStream<'static, async_nats::Message>,
}

impl Window {
    /// An empty window at the end of `stream`, with an inbox of its own.
    pub(super) async fn new(
        connection: &Connection,
        stream: &'static str,
        last_sequence: u64,
    ) -> Result<Window, Fault> {
        let inbox = connection.client.new_inbox();
        let answers = connection.client.subscribe(format!("{inbox}.>")).await;
        let answers = answers.map_err(Fault::publish)?.boxed();
        Ok(Self::answered(stream, last_sequence, inbox, answers))
    }

    fn answered(
        stream: &'static str,
        last_sequence: u64,
        inbox: String,
        answers: BoxStream<'static, async_nats::Message>,
    ) -> Window {
        Window {
            in_flight: VecDeque::new(),
            stream,
            last_sequence,
            open: false,
            inbox,
            answers,
        }
    }

    /// After a pause the next batch goes alone: had somebody else published meanwhile, it would be refused, and the
    /// one behind it might be stored in its place.
    pub(super) fn pause(&mut self) {
        self.open &= !self.in_flight.is_empty();
    }

    /// Whether there is room for a batch.
    pub(super) fn has_room(&self) -> bool {
        let messages: usize = self.in_flight.iter().map(|batch| batch.spans.len()).sum();
        if self.open {
            messages + batch::SIZE <= SIZE
        } else {
            messages == 0
        }
    }

    /// The sequence that the next message must follow.
    pub(super) fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    /// Publishes a batch after [`Window::last_sequence`]; with it the log is settled up to `through`.
    pub(super) async fn publish(
        &mut self,
        client: &Client,
        messages: Vec<(Cursor, Message)>,
        through: Cursor,
    ) -> Result<(), Fault> {
        let batch = Batch::new(&self.inbox, messages.len());
        let follows = self.last_sequence;
        // First of all, so that what is not published in the end has failed as well.
        self.push(
            messages.iter().map(|(_, message)| message.span.clone()).collect(),
            through,
        );
        for (((event, message), follows), number) in messages.into_iter().zip(follows..).zip(1..) {
            let headers = message::published(message.headers, event, follows);
            client
                .publish_with_reply_and_headers(
                    message.subject,
                    batch.reply(number),
                    headers,
                    message.payload,
                )
                .await?;
        }
        Ok(())
    }

    /// A batch of so many messages is in flight.
    fn push(&mut self, spans: Vec<Span>, through: Cursor) {
        self.last_sequence += spans.len() as u64;
        self.in_flight.push_back(InFlight {
            through,
            sequence: self.last_sequence,
            spans,
            until: Instant::now() + ACK_TIMEOUT,
        });
    }

    /// Events without a message are settled with the batch before them; `false` if there is none in flight.
    pub(super) fn pass_over(&mut self, event: Cursor) -> bool {
        self.in_flight
            .back_mut()
            .map(|last| last.through = event)
            .is_some()
    }

    /// Waits until the oldest batch is stored: up to where the log is settled, and at which sequence. Cancel-safe;
    /// `None` when nothing is in flight.
    pub(super) async fn settled(&mut self) -> Option<Result<(Cursor, u64), Fault>> {
        let until = self.in_flight.front()?.until;
        let stored = self.stored(until).await;
        let batch = self.in_flight.pop_front()?;
        Some(match stored {
            Ok(stored) if stored == self.expected(&batch) => {
                self.open = true;
                Ok((batch.through, batch.sequence))
            }
            Ok(stored) => {
                batch.fail("displaced");
                Err(Fault::Displaced {
                    stored,
                    expected: batch.sequence,
                    expected_count: batch.spans.len(),
                })
            }
            Err(fault) => {
                batch.fail("unacknowledged");
                Err(fault)
            }
        })
    }

    async fn stored(&mut self, until: Instant) -> Result<Acknowledged, Fault> {
        loop {
            let answer = timeout_at(until, self.answers.next()).await;
            let answer = answer.map_err(|_elapsed| Fault::Unacknowledged)?;
            if let Some(stored) = batch::read(&answer.ok_or(Fault::Disconnected)?)? {
                return Ok(stored);
            }
        }
    }

    fn expected(&self, batch: &InFlight) -> Acknowledged {
        Acknowledged {
            stream: self.stream.to_owned(),
            sequence: batch.sequence,
            count: batch.spans.len(),
        }
    }
}

/// What is in flight was not acknowledged, though it may be stored: whoever looks at the stream next finds it there, or
/// publishes it again.
impl Drop for Window {
    fn drop(&mut self) {
        for batch in &self.in_flight {
            batch.fail(GIVEN_UP);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{channel::mpsc, stream};
    use tiffin_eventstore::Position;
    use tiffin_trace::{SpanData, Tracer};
    use uuid::Uuid;

    use super::*;

    const STREAM: &str = "EVENTS";

    fn event(position: u64) -> Cursor {
        Cursor {
            position: Position(position),
            event_id: Uuid::from_u128(position.into()),
        }
    }

    /// A window after sequence 7, and what the server answers.
    fn window() -> (Window, mpsc::UnboundedSender<async_nats::Message>) {
        let (server, answers) = mpsc::unbounded();
        let window = Window::answered(STREAM, 7, "inbox".to_owned(), answers.boxed());
        (window, server)
    }

    /// Answers that so many messages are stored, the last as `sequence`.
    fn store(server: &mpsc::UnboundedSender<async_nats::Message>, sequence: u64, count: usize) {
        let payload = format!(r#"{{"stream":"{STREAM}","seq":{sequence},"batch":"b","count":{count}}}"#);
        server.unbounded_send(batch::answer(payload)).unwrap();
    }

    fn spans(count: usize) -> Vec<Span> {
        vec![Span::default(); count]
    }

    #[tokio::test]
    async fn a_batch_is_settled_when_all_of_it_is_stored_behind_what_was_there() {
        let (mut window, server) = window();
        window.push(spans(3), event(5));
        assert!(window.pass_over(event(6)));
        let flow = batch::answer(r#"{"type":"ack","seq":0,"msgs":256}"#);
        server.unbounded_send(flow).unwrap();
        store(&server, 10, 3);
        assert_eq!(window.settled().await.unwrap().unwrap(), (event(6), 10));
        assert!(window.settled().await.is_none());
        assert!(!window.pass_over(event(7)));
    }

    #[tokio::test]
    async fn a_batch_that_is_stored_in_part_or_elsewhere_is_a_fault() {
        for (sequence, count) in [(9, 2), (11, 3), (10, 2)] {
            let (mut window, server) = window();
            window.push(spans(3), event(5));
            store(&server, sequence, count);
            let settled = window.settled().await.unwrap();
            assert!(matches!(settled, Err(Fault::Displaced { .. })), "{settled:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_that_nobody_acknowledges_is_a_fault() {
        let (mut window, _server) = window();
        window.push(spans(3), event(5));
        let begun = Instant::now();
        let settled = window.settled().await.unwrap();
        assert!(matches!(settled, Err(Fault::Unacknowledged)), "{settled:?}");
        assert!(begun.elapsed() >= ACK_TIMEOUT);
    }

    #[tokio::test]
    async fn a_connection_that_ends_is_a_fault() {
        let mut window = Window::answered(STREAM, 7, "inbox".to_owned(), stream::empty().boxed());
        window.push(spans(1), event(5));
        assert!(matches!(window.settled().await, Some(Err(Fault::Disconnected))));
    }

    #[tokio::test]
    async fn what_is_in_flight_when_the_window_ends_has_failed_and_nothing_else() {
        let (tracer, mut recorded) = Tracer::recording(1.0, 10);
        let (mut window, server) = window();
        window.push(vec![tracer.request(None, "acknowledged")], event(1));
        window.push(vec![tracer.request(None, "given up")], event(2));
        store(&server, 8, 1);
        assert!(matches!(window.settled().await, Some(Ok(_))));
        drop(window);
        let mut ended = Vec::new();
        recorded.take_ready(&mut ended, 10);
        let failed = |span: &SpanData| span.attributes.iter().any(|it| it.key.as_str() == "error.type");
        let ended: Vec<_> = ended
            .iter()
            .map(|span| (span.name.as_ref(), failed(span)))
            .collect();
        assert_eq!(ended, [("acknowledged", false), ("given up", true)]);
    }

    #[tokio::test]
    async fn after_a_pause_nothing_follows_a_batch_before_its_acknowledgement() {
        let (mut window, server) = window();
        for sequence in [9, 11] {
            window.pause();
            assert!(window.has_room());
            window.push(spans(2), event(1));
            assert!(!window.has_room());
            // More events, while the first batch is on its way.
            window.pause();
            assert!(!window.has_room());
            store(&server, sequence, 2);
            assert!(matches!(window.settled().await, Some(Ok(_))));
            assert!(window.has_room());
        }
    }

    #[tokio::test]
    async fn what_comes_while_an_open_window_is_in_use_is_no_pause() {
        let (mut window, server) = window();
        window.push(spans(1), event(1));
        store(&server, 8, 1);
        assert!(matches!(window.settled().await, Some(Ok(_))));
        window.push(spans(1), event(2));
        window.pause();
        assert!(window.has_room());
    }

    #[tokio::test]
    async fn an_open_window_has_room_as_long_as_a_whole_batch_fits() {
        let (mut window, server) = window();
        window.push(spans(1), event(1));
        store(&server, 8, 1);
        assert!(matches!(window.settled().await, Some(Ok(_))));
        window.push(spans(batch::SIZE), event(2));
        assert!(window.has_room());
        window.push(spans(1), event(3));
        assert!(!window.has_room());
    }
}
