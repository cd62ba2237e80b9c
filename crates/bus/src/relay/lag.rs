//! How far a relay is behind the log.

use std::{sync::atomic::Ordering, time::Duration};

use tiffin_eventstore::{Direction, Position, ReadError};
use tokio::time::{MissedTickBehavior, interval};

use super::Relay;

const EVERY: Duration = Duration::from_secs(1);

impl Relay {
    /// Keeps the lag's metrics up to date; whoever does not hold the lease reports none.
    pub(super) async fn report_lag(&self) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let lag = if self.config.lease.held() {
                self.lag().await
            } else {
                Ok((0, Duration::ZERO))
            };
            // With the database away the last value stands.
            if let Ok((events, age)) = lag {
                self.metrics
                    .lag_events
                    .set(i64::try_from(events).unwrap_or(i64::MAX));
                self.metrics.lag_seconds.set(age.as_secs_f64());
            }
        }
    }

    /// The number of events after the relay's position, and the age of the first of them.
    async fn lag(&self) -> Result<(u64, Duration), ReadError> {
        let store = &self.config.store;
        let position = self.position.load(Ordering::Relaxed);
        let oldest = store.read_all(Position(position), Direction::Forwards, 1).await?;
        let Some(oldest) = oldest.first() else {
            return Ok((0, Duration::ZERO));
        };
        let behind = store.head().await?.position.0.saturating_sub(position);
        let age = Duration::try_from(store.now() - oldest.created_at).unwrap_or_default();
        Ok((behind, age))
    }
}
