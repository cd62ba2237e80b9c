//! The list of orders: a projection of the log, kept by the replica that holds the lease and read by all.

mod batch;
mod follow;
mod lag;
mod metrics;
mod page;
mod rebuild;
#[cfg(test)]
mod tests;

use std::{error::Error, sync::Arc, time::Duration};

use tiffin_eventstore::{EventStore, Lease};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub(crate) use metrics::ListMetrics;
pub(crate) use rebuild::Portions;

use crate::tables::Tables;

/// The pause after a fault of the database.
const PAUSE: Duration = Duration::from_secs(1);

/// Keeps the list.
pub(crate) struct List {
    pub(crate) store: EventStore,
    pub(crate) tables: Tables,
    pub(crate) metrics: ListMetrics,
    /// How much of the log a building takes in at a time.
    pub(crate) portions: Portions,
    /// Somebody wants the list to be built anew.
    pub(crate) wanted: Arc<Notify>,
    /// Another generation is served than before.
    pub(crate) replaced: Notify,
}

impl List {
    /// Keeps the list whenever the lease is held, until `token` is cancelled.
    pub(crate) async fn lead(self, lease: Lease, token: CancellationToken) {
        let keep = || {
            tracing::info!("keeping the list of orders");
            Box::pin(self.keep())
        };
        lease.while_held(token, keep, || self.metrics.forget_lag()).await;
    }

    async fn keep(&self) {
        tokio::join!(self.follow(), self.rebuild(), self.report_lag());
    }

    /// `told`: the store has told of it already.
    async fn rest(&self, what: &str, told: bool, error: &(dyn Error + Sync)) {
        if told {
            tracing::debug!(%error, "{what}");
        } else {
            tracing::warn!(%error, "{what}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}
