//! How far a relay is behind the log.

use std::time::Duration;

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
            let lag = match self.position() {
                Some(position) if self.config.lease.held() => self.config.store.behind(position).await,
                _ => Ok((0, Duration::ZERO)),
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
}
