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
            self.look_at_lag().await;
        }
    }

    async fn look_at_lag(&self) {
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tiffin_eventstore::{
        Append, Cursor, DatabaseUrl, Derived, EventStore, Expected, Migrations, NewEvent, Urgency,
    };
    use tiffin_testkit::scratch_folder;
    use tokio_util::{sync::CancellationToken, task::TaskTracker};
    use uuid::Uuid;

    use super::*;
    use crate::{Bus, Config, RelayConfig, StreamSpec};

    const NO_TABLES: Migrations = Migrations {
        sqlite: &[],
        postgres: &[],
    };

    const STREAM: StreamSpec = StreamSpec {
        name: "EVENTS",
        description: "Events of a test",
        subjects: &["event.>"],
        max_age: Duration::from_hours(1),
        max_messages: 1,
        max_bytes: 1 << 20,
        replicas: 1,
        version: 1,
    };

    /// A log of one event.
    async fn log() -> (EventStore, Derived) {
        let url = DatabaseUrl::Sqlite(scratch_folder("log"));
        EventStore::migrate(&url).await.unwrap();
        Derived::migrate(&url, "bus", NO_TABLES).await.unwrap();
        let store = EventStore::open(tiffin_eventstore::Config::new(url))
            .await
            .unwrap();
        let derived = Derived::open(&store, "bus", NO_TABLES).await.unwrap();
        let event = NewEvent {
            id: Uuid::now_v7(),
            kind: "seen".into(),
            data: Bytes::new(),
            metadata: Bytes::new(),
        };
        let append = Append {
            stream: "a".into(),
            expected: Expected::NoStream,
            events: vec![event],
            urgency: Urgency::Start,
        };
        store.append(append).await.unwrap();
        (store, derived)
    }

    #[tokio::test]
    async fn a_relay_that_has_just_got_the_lease_does_not_show_the_whole_log_as_lag() {
        let (store, derived) = log().await;
        let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
        let nobody = Config {
            url: "nats://127.0.0.1:1".to_owned(),
            name: "relay".to_owned(),
            ca: None,
        };
        let bus = Bus::connect(nobody, &tracker, token.clone()).await.unwrap();
        let lease = derived.lease("relay", "me".to_owned(), &tracker, token.clone());
        lease.watch().wait_for(|held| *held).await.unwrap();
        let config = RelayConfig {
            name: "events",
            stream: STREAM,
            store,
            derived,
            lease,
        };
        let relay = Relay::new(&bus, config, |_| None);
        relay.look_at_lag().await;
        assert_eq!(relay.metrics.lag_events.get(), 0);
        relay.reached(Cursor::START);
        relay.look_at_lag().await;
        assert_eq!(relay.metrics.lag_events.get(), 1);
        token.cancel();
    }
}
