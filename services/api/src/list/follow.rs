//! Follows the log and keeps the list.

use std::time::Duration;

use tiffin_eventstore::{Cursor, DerivedError, RecordedEvent, SubscribeError};
use tokio::time::MissedTickBehavior;

use super::{List, PAUSE, batch::Batch};
use crate::tables::Generation;

/// How often the list is written; without changes every second time.
const WRITE: Duration = Duration::from_millis(250);
/// How long events may gather before the list looks at them.
const GATHER: Duration = Duration::from_millis(20);
/// So many changed orders are written at once, sooner than that.
const AT_ONCE: usize = 1_000;

#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Derived(#[from] DerivedError),
    #[error(transparent)]
    Subscription(#[from] SubscribeError),
}

impl List {
    /// Keeps the list for ever.
    pub(super) async fn follow(&self) {
        loop {
            match self.follow_from_checkpoint().await {
                Err(FollowError::Subscription(SubscribeError::LogReplaced)) => self.begin_anew().await,
                Err(FollowError::Derived(error)) => {
                    self.rest("the list of orders pauses", error.passes(), &error)
                        .await;
                }
                Ok(()) => {}
                Err(FollowError::Subscription(SubscribeError::Closed)) => {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Returns when another generation is served.
    async fn follow_from_checkpoint(&self) -> Result<(), FollowError> {
        let generation = self.tables.generations().await?.live;
        let mut saved = self.tables.checkpoint(generation).await?;
        self.metrics.reached(saved.position);
        let mut subscription = self.store.subscribe(saved).gathering(GATHER);
        let mut batch = Batch::new(saved);
        let mut ticks = tokio::time::interval(WRITE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silent = false;
        loop {
            tokio::select! {
                events = subscription.next() => {
                    events?.iter().for_each(|event| self.push(&mut batch, event));
                    if batch.len() < AT_ONCE {
                        continue;
                    }
                }
                _ = ticks.tick() => {}
                () = self.replaced.notified() => return Ok(()),
            }
            silent = self.write(generation, &mut batch, &mut saved, silent).await?;
        }
    }

    /// An event that cannot be read changes nothing: the order is shown as it was.
    pub(super) fn push(&self, batch: &mut Batch, event: &RecordedEvent) {
        if let Err(error) = batch.push(event) {
            tracing::warn!(position = %event.position, stream = %event.stream, %error, "the list passes over an event");
            self.metrics.skipped.inc();
        }
    }

    /// Writes what has changed; if nothing has, and nothing had the last time, how far the log was read. Returns
    /// whether nothing was written.
    async fn write(
        &self,
        generation: Generation,
        batch: &mut Batch,
        saved: &mut Cursor,
        silent: bool,
    ) -> Result<bool, DerivedError> {
        let reached = batch.reached();
        if reached == *saved || (batch.len() == 0 && !silent) {
            return Ok(true);
        }
        self.tables
            .advance(generation, &batch.take(), saved, reached)
            .await?;
        *saved = reached;
        self.metrics.reached(reached.position);
        Ok(false)
    }

    /// Another log: what the list says is of the former one.
    async fn begin_anew(&self) {
        tracing::warn!("the log was replaced; the list of orders begins anew");
        if let Err(error) = self.tables.begin_anew().await {
            self.rest("the list of orders could not begin anew", error.passes(), &error)
                .await;
        }
    }
}
