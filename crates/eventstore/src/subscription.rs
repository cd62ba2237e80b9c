//! A reader of the whole log: what it has missed first, then what is committed, without a gap and without repetition.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{
    Cursor, Position, ReadError, RecordedEvent, SubscribeError,
    fault::Backoff,
    tail::{After, BATCH, Tail, read_after},
};

/// Follows the log from a cursor on. Made by [`EventStore::subscribe`](crate::EventStore::subscribe).
pub struct Subscription {
    tail: Arc<Tail>,
    cursor: Cursor,
    heads: watch::Receiver<Position>,
    /// How often the log had been replaced when the cursor was last found in it.
    generation: u64,
    poll: Duration,
    /// How long it lets events gather once there are new ones.
    gather: Duration,
}

impl Subscription {
    pub(crate) fn new(tail: Arc<Tail>, cursor: Cursor, poll: Duration) -> Self {
        let (heads, generation) = (tail.heads(), tail.generation());
        Self {
            tail,
            cursor,
            heads,
            generation,
            poll,
            gather: Duration::ZERO,
        }
    }

    /// For a follower that acts only now and then: new events may gather for so long before they are handed out, so that
    /// it is not woken by every commit.
    #[must_use]
    pub fn gathering(self, gather: Duration) -> Self {
        Self { gather, ..self }
    }

    /// The last event that was handed out.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// The next events, at least one and at most 512, which follow on those before. Waits until there are any, and
    /// through faults of the database. A call that is cancelled takes nothing away.
    ///
    /// # Errors
    /// The log does not hold the cursor any more, or the store is closed.
    pub async fn next(&mut self) -> Result<Vec<Arc<RecordedEvent>>, SubscribeError> {
        let closing = self.tail.closing().clone();
        tokio::select! {
            biased;
            () = closing.cancelled() => Err(SubscribeError::Closed),
            events = self.advance() => events,
        }
    }

    async fn advance(&mut self) -> Result<Vec<Arc<RecordedEvent>>, SubscribeError> {
        let mut backoff = Backoff::new();
        loop {
            self.heads.borrow_and_update();
            let generation = self.tail.generation();
            match self.tail.after(self.cursor, BATCH) {
                After::Events(events) => return Ok(self.hand_out(events, generation)),
                After::UpToDate => {
                    self.changed().await;
                    if !self.gather.is_zero() {
                        tokio::time::sleep(self.gather).await;
                    }
                    continue;
                }
                After::Replaced => return Err(self.replaced().await),
                After::TooOld | After::Ahead => {}
            }
            match read_after(self.tail.backend(), self.cursor, BATCH).await {
                Ok(events) if events.is_empty() => {
                    // Ahead of the tail and up to date: look again when the tail has moved, and now and then.
                    let _ = tokio::time::timeout(self.poll, self.changed()).await;
                }
                Ok(events) => return Ok(self.hand_out(events, generation)),
                Err(ReadError::LogReplaced) => return Err(self.replaced().await),
                Err(ReadError::Unavailable(fault)) => {
                    self.tail.health().unread(&fault);
                    backoff.pause().await;
                }
            }
        }
    }

    async fn changed(&mut self) {
        if self.heads.changed().await.is_err() {
            // The tail is gone, which closing announces as well.
            std::future::pending::<()>().await;
        }
    }

    /// `generation`: before the events were asked for.
    fn hand_out(&mut self, events: Vec<Arc<RecordedEvent>>, generation: u64) -> Vec<Arc<RecordedEvent>> {
        if let Some(last) = events.last() {
            self.cursor = last.cursor();
            self.generation = generation;
            self.tail.nudge(last.position);
        }
        events
    }

    async fn replaced(&self) -> SubscribeError {
        self.tail.log_replaced(self.generation).await;
        SubscribeError::LogReplaced
    }
}
