//! Compares the index with the log itself, slowly and for ever: no order is forgotten because of a mistake in between.

use std::time::Duration;

use tiffin_eventstore::{DerivedError, Direction, Position, ReadError, RecordedEvent, Revision, StreamName};
use tiffin_order::OrderId;
use time::OffsetDateTime;

use super::{Wakeups, trail::entry};
use crate::tables::Wants;

/// Events looked at a second.
const PAGE: usize = 512;
/// Overdue orders looked at a second.
const OVERDUE: u32 = 32;
/// What is younger may not have reached the index.
pub(super) const SETTLED: Duration = Duration::from_secs(30);
/// The pause between two passes over the log.
const REST: Duration = Duration::from_mins(10);

#[derive(Debug, thiserror::Error)]
pub(super) enum SweepError {
    #[error(transparent)]
    Derived(#[from] DerivedError),
    #[error(transparent)]
    Log(#[from] ReadError),
}

impl SweepError {
    fn passes(&self) -> bool {
        match self {
            Self::Derived(error) => error.passes(),
            Self::Log(error) => error.passes(),
        }
    }
}

impl Wakeups {
    /// Goes over the log again and again.
    pub(super) async fn sweep(&self) {
        let mut position = Position::START;
        loop {
            let pause = match self.sweep_page(position, self.ago(SETTLED)).await {
                Ok(Some(next)) => {
                    position = next;
                    Duration::from_secs(1)
                }
                Ok(None) => {
                    position = Position::START;
                    REST
                }
                Err(error) => {
                    if error.passes() {
                        tracing::debug!(%error, "the sweep pauses");
                    } else {
                        tracing::warn!(%error, "the sweep pauses");
                    }
                    Duration::from_secs(10)
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Looks at the orders that were placed in the next page, and at some whose wake-up did not help. Returns how far
    /// it has come; `None` at the end. What was recorded after `settled` may not have reached the index.
    pub(super) async fn sweep_page(
        &self,
        after: Position,
        settled: OffsetDateTime,
    ) -> Result<Option<Position>, SweepError> {
        let reached = self.tables.checkpoint().await?.cursor.position;
        for row in self.tables.overdue(settled, None, OVERDUE).await? {
            self.compare(row.order, settled, reached).await?;
        }
        let page = self.store.read_all(after, Direction::Forwards, PAGE).await?;
        let placed = |event: &RecordedEvent| event.revision == Revision::FIRST && event.created_at < settled;
        for event in page.iter().filter(|event| placed(event)) {
            if let Some(order) = OrderId::from_stream(event.stream.as_str()) {
                self.compare(order, settled, reached).await?;
            }
        }
        Ok(page.last().map(|last| last.position))
    }

    /// Compares an order's row with its last event, and corrects the row. It was wrong if the index had `reached` that
    /// event, and is only late otherwise.
    async fn compare(
        &self,
        order: OrderId,
        settled: OffsetDateTime,
        reached: Position,
    ) -> Result<(), SweepError> {
        let stream = StreamName::from(order.stream());
        let newest = self
            .store
            .read_stream(&stream, Revision::END, Direction::Backwards, 1)
            .await?;
        let Some(newest) = newest.first().filter(|newest| newest.created_at < settled) else {
            return Ok(());
        };
        let Some(mut wanted) = entry(newest) else {
            return Ok(());
        };
        let found = self.tables.position(order).await?;
        let right = match wanted.wants {
            Wants::Nothing => found.is_none(),
            Wants::Wake(_) | Wants::Attention => found.is_some_and(|found| found >= wanted.position),
        };
        if !right {
            if wanted.position <= reached {
                tracing::error!(order.id = %order, ?wanted, ?found, "the index of wake-ups was wrong");
                self.metrics.repairs.inc();
            }
            if wanted.status.is_none() {
                wanted.status = self
                    .runner
                    .saga()
                    .read(order)
                    .await
                    .ok()
                    .and_then(|read| read.order.status());
            }
            self.tables.repair(wanted).await?;
        }
        Ok(())
    }
}
