//! How far the list is behind the log.

use std::time::Duration;

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
            self.look_at_lag().await;
        }
    }

    pub(super) async fn look_at_lag(&self) {
        let Some(position) = self.metrics.position() else {
            return;
        };
        // With the database away the last value stands.
        if let Ok((events, age)) = self.store.behind(position).await {
            self.metrics.lag(events, age);
        }
    }
}
