//! Wakes what nobody in memory wakes: the index of wake-ups, kept by the replica that holds the lease.

mod follow;
mod overdue;
mod sweep;
#[cfg(test)]
mod tests;
mod trail;

use std::time::{Duration, Instant};

use tiffin_eventstore::{DerivedError, EventStore, Lease};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::{metrics::Metrics, saga::Runner, tables::Tables};

/// The pause between two counts of the unfinished orders. With the second by which the index trails the log, and the moment
/// until it is written, the count is up to 4 s old.
const CENSUS: Duration = Duration::from_secs(2);
/// The pause is so many times what the last count took, if that is more: it looks at the whole index, 150 ms for 400,000
/// orders.
const CENSUS_SHARE: u32 = 50;
/// But no longer than this, since what is counted warns somebody.
const CENSUS_LONGEST: Duration = Duration::from_secs(30);
/// The pause after a fault of the database.
const PAUSE: Duration = Duration::from_secs(1);

/// What the work of the lease's holder needs.
pub(crate) struct Wakeups {
    pub(crate) store: EventStore,
    pub(crate) tables: Tables,
    pub(crate) runner: Runner,
    pub(crate) metrics: Metrics,
}

impl Wakeups {
    /// Keeps the index and wakes what is overdue, whenever the lease is held, until `token` is cancelled.
    pub(crate) async fn lead(self, lease: Lease, token: CancellationToken) {
        let keep = || {
            tracing::info!("keeping the index of wake-ups");
            Box::pin(self.keep())
        };
        lease
            .while_held(token, keep, || self.metrics.forget_census())
            .await;
    }

    async fn keep(&self) {
        tokio::join!(self.follow(), self.fire(), self.sweep(), self.count());
    }

    async fn count(&self) {
        loop {
            let begun = Instant::now();
            match self.tables.census().await {
                Ok(census) => {
                    self.metrics.census(&census, self.store.now());
                    tokio::time::sleep(until_next_census(begun.elapsed())).await;
                }
                Err(error) => self.rest("unfinished orders could not be counted", &error).await,
            }
        }
    }

    async fn rest(&self, what: &str, error: &DerivedError) {
        if error.passes() {
            tracing::debug!(%error, "{what}");
        } else {
            tracing::warn!(%error, "{what}");
        }
        tokio::time::sleep(PAUSE).await;
    }

    fn ago(&self, time: Duration) -> OffsetDateTime {
        self.store.now() - time
    }
}

/// The pause after a census that took so long.
fn until_next_census(took: Duration) -> Duration {
    (took * CENSUS_SHARE).clamp(CENSUS, CENSUS_LONGEST)
}
