//! Follows the log, a second behind it, and keeps the index.

use std::time::Duration;

use tiffin_eventstore::{Cursor, DerivedError, SubscribeError};
use tokio::time::MissedTickBehavior;

use super::{PAUSE, Wakeups, trail::Trail};

/// How far behind the log: so that short waits never reach the index.
const BEHIND: Duration = Duration::from_secs(1);
/// How often the index is written; without changes every second time.
const WRITE: Duration = Duration::from_millis(250);
/// How long events may gather before the index looks at them.
const GATHER: Duration = Duration::from_millis(20);
/// The most orders that are held back at a time.
const MOST: usize = 20_000;
/// The most orders of one transaction: the lease, which has the same connection, is to be renewed in between.
const AT_ONCE: usize = 1_000;

#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Derived(#[from] DerivedError),
    #[error(transparent)]
    Subscription(#[from] SubscribeError),
}

impl Wakeups {
    /// Keeps the index for ever.
    pub(super) async fn follow(&self) {
        loop {
            match self.follow_from_checkpoint().await {
                Err(FollowError::Subscription(SubscribeError::LogReplaced)) => self.restart().await,
                Err(FollowError::Derived(error)) => self.rest("the index of wake-ups pauses", &error).await,
                Err(FollowError::Subscription(SubscribeError::Closed)) | Ok(()) => {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn follow_from_checkpoint(&self) -> Result<(), FollowError> {
        let mut saved = self.tables.checkpoint().await?.cursor;
        let mut subscription = self.store.subscribe(saved).gathering(GATHER);
        let mut trail = Trail::new(saved);
        let mut ticks = tokio::time::interval(WRITE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silent = false;
        loop {
            tokio::select! {
                events = subscription.next(), if trail.len() < MOST => {
                    events?.iter().for_each(|event| trail.push(event));
                }
                _ = ticks.tick() => {
                    silent = self.write(&mut trail, &mut saved, silent).await?;
                }
            }
        }
    }

    /// Writes what is old enough; if nothing is, and nothing was the last time, how far the log was read. Returns
    /// whether nothing was written.
    async fn write(&self, trail: &mut Trail, saved: &mut Cursor, silent: bool) -> Result<bool, DerivedError> {
        loop {
            let (entries, reached) = trail.take(self.ago(BEHIND), AT_ONCE);
            if reached == *saved || (entries.is_empty() && !silent) {
                return Ok(true);
            }
            self.tables.advance(&entries, saved, reached).await?;
            *saved = reached;
            if entries.len() < AT_ONCE {
                return Ok(false);
            }
        }
    }

    /// Another log: what the index says is of the former one.
    async fn restart(&self) {
        tracing::warn!("the log was replaced; the index of wake-ups begins anew");
        let restarted = async {
            let checkpoint = self.tables.checkpoint().await?;
            self.tables.restart(&checkpoint.cursor).await
        };
        if let Err(error) = restarted.await {
            self.rest("the index of wake-ups could not begin anew", &error)
                .await;
        }
    }
}
