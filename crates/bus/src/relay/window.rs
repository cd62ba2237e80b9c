//! The messages in flight, in the order in which they were published.

use std::{collections::VecDeque, future::IntoFuture};

use async_nats::jetstream::{
    context::{PublishAckFuture, PublishError},
    publish::PublishAck,
};
use futures::future::BoxFuture;
use tiffin_eventstore::Cursor;
use tiffin_trace::Span;

use super::fault::Fault;

/// So many messages may be unacknowledged.
const SIZE: usize = 512;

/// The `error.type` of a message whose acknowledgement nobody waits for any more.
const GIVEN_UP: &str = "given_up";

/// A published message whose acknowledgement settles the log up to `through`.
struct InFlight {
    through: Cursor,
    sequence: u64,
    ack: BoxFuture<'static, Result<PublishAck, PublishError>>,
    span: Span,
}

/// The window and the last sequence that it will have reached when all is acknowledged.
pub(super) struct Window {
    in_flight: VecDeque<InFlight>,
    stream: &'static str,
    last_sequence: u64,
    /// The stream has been found to be where we left it.
    open: bool,
}

impl Window {
    pub(super) fn new(stream: &'static str, last_sequence: u64) -> Window {
        Window {
            in_flight: VecDeque::with_capacity(SIZE),
            stream,
            last_sequence,
            open: false,
        }
    }

    /// After a pause the next message goes alone: had somebody else published meanwhile, it would be refused, and
    /// the one behind it would be stored in its place.
    pub(super) fn pause(&mut self) {
        self.open &= !self.in_flight.is_empty();
    }

    pub(super) fn has_room(&self) -> bool {
        self.in_flight.len() < if self.open { SIZE } else { 1 }
    }

    /// The sequence that the next message must follow.
    pub(super) fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    /// The event at `event` has been published after [`Window::last_sequence`].
    pub(super) fn push(&mut self, event: Cursor, ack: PublishAckFuture, span: Span) {
        self.last_sequence += 1;
        self.in_flight.push_back(InFlight {
            through: event,
            sequence: self.last_sequence,
            ack: ack.into_future(),
            span,
        });
    }

    /// An event without a message is settled with the message before it; `false` if there is none in flight.
    pub(super) fn pass_over(&mut self, event: Cursor) -> bool {
        self.in_flight
            .back_mut()
            .map(|last| last.through = event)
            .is_some()
    }

    /// Waits for the oldest acknowledgement: up to where the log is settled, and at which sequence. Cancel-safe;
    /// `None` when nothing is in flight.
    pub(super) async fn settled(&mut self) -> Option<Result<(Cursor, u64), Fault>> {
        let ack = (&mut self.in_flight.front_mut()?.ack).await;
        let InFlight {
            through,
            sequence,
            span,
            ..
        } = self.in_flight.pop_front()?;
        Some(match ack {
            Ok(ack) if ack.sequence == sequence && ack.stream == self.stream => {
                self.open = true;
                Ok((through, sequence))
            }
            Ok(ack) => {
                span.fail("displaced");
                Err(Fault::Displaced {
                    stream: ack.stream,
                    stored: ack.sequence,
                    expected: sequence,
                })
            }
            Err(error) => {
                span.fail("unacknowledged");
                Err(error.into())
            }
        })
    }
}

/// What is in flight was not acknowledged, though it may be stored: whoever looks at the stream next finds it there, or
/// publishes it again.
impl Drop for Window {
    fn drop(&mut self) {
        for message in &self.in_flight {
            message.span.fail(GIVEN_UP);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
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

    impl Window {
        /// Puts a message in flight that is stored where it was to be.
        fn send(&mut self, position: u64) {
            self.send_as(position, Span::default());
        }

        fn send_as(&mut self, position: u64, span: Span) {
            self.last_sequence += 1;
            let ack = PublishAck {
                stream: STREAM.to_owned(),
                sequence: self.last_sequence,
                domain: String::new(),
                duplicate: false,
                value: None,
                batch_id: None,
                batch_size: None,
            };
            self.in_flight.push_back(InFlight {
                through: event(position),
                sequence: self.last_sequence,
                ack: std::future::ready(Ok(ack)).boxed(),
                span,
            });
        }
    }

    #[tokio::test]
    async fn what_is_in_flight_when_the_window_ends_has_failed_and_nothing_else() {
        let (tracer, mut spans) = Tracer::recording(1.0, 10);
        let mut window = Window::new(STREAM, 7);
        window.send_as(1, tracer.request(None, "acknowledged"));
        window.send_as(2, tracer.request(None, "given up"));
        assert!(matches!(window.settled().await, Some(Ok(_))));
        drop(window);
        let mut ended = Vec::new();
        spans.take_ready(&mut ended, 10);
        let failed = |span: &SpanData| span.attributes.iter().any(|it| it.key.as_str() == "error.type");
        let ended: Vec<_> = ended
            .iter()
            .map(|span| (span.name.as_ref(), failed(span)))
            .collect();
        assert_eq!(ended, [("acknowledged", false), ("given up", true)]);
    }

    #[tokio::test]
    async fn after_a_pause_nothing_follows_a_message_before_its_acknowledgement() {
        let mut window = Window::new(STREAM, 7);
        for _ in 0..2 {
            window.pause();
            assert!(window.has_room());
            window.send(1);
            assert!(!window.has_room());
            // More events, while the first message is on its way.
            window.pause();
            assert!(!window.has_room());
            assert!(matches!(window.settled().await, Some(Ok(_))));
            assert!(window.has_room());
        }
    }

    #[tokio::test]
    async fn what_comes_while_an_open_window_is_in_use_is_no_pause() {
        let mut window = Window::new(STREAM, 7);
        window.send(1);
        assert!(matches!(window.settled().await, Some(Ok(_))));
        window.send(2);
        window.pause();
        assert!(window.has_room());
    }
}
