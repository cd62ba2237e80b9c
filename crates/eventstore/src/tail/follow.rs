//! The task that brings the tail what other processes committed, and notices a replaced log.
//!
//! While nobody in the process follows the log, it only keeps up with the log's end and reads no events: whoever learns
//! from the bus how far the log is complete is not to cost the database all of it.

use std::{sync::Arc, time::Duration};

use tokio::time::MissedTickBehavior;

use super::{Tail, last_cursor, read_after};
use crate::{ReadError, clock::Clock, fault::Backoff};

/// The most events of one read.
pub(crate) const BATCH: usize = 512;
/// How far the database's clock may be put back without a word.
const TOLERATED: Duration = Duration::from_secs(1);

impl Tail {
    /// Reads when there is a gap, when somebody says so, and every `poll`; then the database's clock, too.
    pub(crate) async fn follow(self: Arc<Self>, clock: Arc<Clock>, poll: Duration) {
        let mut stood_still = false;
        let mut polls = tokio::time::interval(poll);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let polled = tokio::select! {
                () = self.closing.cancelled() => return,
                () = self.wake.notified() => false,
                _ = polls.tick() => {
                    if let Ok(now) = self.backend.now().await {
                        let behind = clock.observe(now);
                        if behind > TOLERATED && !stood_still {
                            tracing::warn!(
                                seconds = behind.as_secs(),
                                "the database's clock was put back: nothing falls due until it has caught up"
                            );
                        }
                        stood_still = behind > TOLERATED;
                    }
                    true
                }
            };
            let looking = async {
                if self.is_followed() {
                    self.catch_up().await;
                } else if polled {
                    self.skip_to_end().await;
                }
            };
            tokio::select! {
                () = self.closing.cancelled() => return,
                () = looking => {}
            }
        }
    }

    /// Begins at the log's end. Whoever follows from before that reads what lies between by itself.
    async fn skip_to_end(&self) {
        let generation = self.generation();
        let held = read_after(&*self.backend, self.head(), 0).await;
        match held {
            Err(ReadError::LogReplaced) => return self.log_replaced(generation).await,
            Err(ReadError::Unavailable(fault)) => return self.health.unread(&fault),
            Ok(_) => self.health.answered(),
        }
        if let Ok(end) = last_cursor(&*self.backend).await {
            self.begin_at(end, generation);
        }
    }

    /// Reads until nothing is missing.
    async fn catch_up(&self) {
        let mut backoff = Backoff::new();
        loop {
            let generation = self.generation();
            let (from, gap) = {
                let ring = self.ring();
                (ring.head(), ring.gap())
            };
            let limit = gap.map_or(BATCH, |gap| usize::try_from(gap).unwrap_or(BATCH).min(BATCH));
            match read_after(&*self.backend, from, limit).await {
                Ok(events) if events.is_empty() && gap.is_none() => {
                    // A task that was to tell of a commit may have ended with the runtime in which it was made.
                    self.tell();
                    return self.health.answered();
                }
                // What was committed beyond the gap is gone, and so is what was in the gap.
                Ok(events) if events.is_empty() => self.log_replaced(generation).await,
                Ok(events) => {
                    self.health.answered();
                    self.metrics.tail_reads.inc();
                    self.take_in(&events, generation);
                    self.tell();
                    if events.len() < limit && self.ring().gap().is_none() {
                        return;
                    }
                }
                Err(ReadError::LogReplaced) => self.log_replaced(generation).await,
                Err(ReadError::Unavailable(fault)) => {
                    self.health.unread(&fault);
                    backoff.pause().await;
                }
            }
        }
    }
}
