//! The list of orders: a projection of the log, kept by the replica that holds the lease and read by all.

mod batch;
mod follow;
mod lag;
mod metrics;
mod page;
#[cfg(test)]
mod tests;

use std::time::Duration;

use tiffin_eventstore::{DerivedError, EventStore, Lease};
use tokio_util::sync::CancellationToken;

pub(crate) use metrics::ListMetrics;

use crate::tables::Tables;

/// The pause after a fault of the database.
const PAUSE: Duration = Duration::from_secs(1);
/// How often it is looked for what is obsolete.
const CLEAR: Duration = Duration::from_mins(1);

/// Keeps the list.
pub(crate) struct List {
    pub(crate) store: EventStore,
    pub(crate) tables: Tables,
    pub(crate) metrics: ListMetrics,
}

impl List {
    /// Keeps the list whenever the lease is held, until `token` is cancelled.
    pub(crate) async fn lead(self, lease: Lease, token: CancellationToken) {
        token
            .run_until_cancelled(async {
                let mut held = lease.watch();
                while held.wait_for(|held| *held).await.is_ok() {
                    tracing::info!("keeping the list of orders");
                    tokio::select! {
                        _ = held.wait_for(|held| !held) => {}
                        () = Box::pin(self.keep()) => {}
                    }
                    self.metrics.forget_lag();
                }
            })
            .await;
    }

    async fn keep(&self) {
        tokio::join!(self.follow(), self.clear(), self.report_lag());
    }

    /// Deletes what is obsolete, now and then.
    async fn clear(&self) {
        let mut ticks = tokio::time::interval(CLEAR);
        loop {
            ticks.tick().await;
            if let Err(error) = self.tables.clear().await {
                self.rest("obsolete lists could not be deleted", &error).await;
            }
        }
    }

    async fn rest(&self, what: &str, error: &DerivedError) {
        tracing::warn!(%error, "{what}");
        tokio::time::sleep(PAUSE).await;
    }
}
