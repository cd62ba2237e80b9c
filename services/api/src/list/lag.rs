//! How far the list is behind the log.

use std::time::Duration;

use tiffin_eventstore::{Direction, Position, ReadError};
use tokio::time::{MissedTickBehavior, interval};

use super::List;

const EVERY: Duration = Duration::from_secs(1);

impl List {
    /// Keeps the lag's metrics up to date.
    pub(super) async fn report_lag(&self) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // With the database away the last value stands.
            if let Ok((events, age)) = self.lag(self.metrics.position()).await {
                self.metrics.lag(events, age);
            }
        }
    }

    /// The number of events after this position, and the age of the first of them.
    async fn lag(&self, position: Position) -> Result<(u64, Duration), ReadError> {
        let oldest = self.store.read_all(position, Direction::Forwards, 1).await?;
        let Some(oldest) = oldest.first() else {
            return Ok((0, Duration::ZERO));
        };
        let behind = self.store.head().await?.position.0.saturating_sub(position.0);
        let age = Duration::try_from(self.store.now() - oldest.created_at).unwrap_or_default();
        Ok((behind, age))
    }
}
