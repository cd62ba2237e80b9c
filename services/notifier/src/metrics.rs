//! What the notifier counts.

use std::sync::{Arc, atomic::AtomicU64};

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use time::OffsetDateTime;

/// The upper bounds of the push latency's buckets, in seconds.
const LATENCY: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0,
];

/// The database's clock.
pub(crate) type Clock = Arc<dyn Fn() -> OffsetDateTime + Send + Sync>;

/// The notifier's metrics; clones count together.
#[derive(Clone)]
pub(crate) struct Metrics {
    clock: Clock,
    subscribers: Gauge,
    pushes: Counter,
    latency: Histogram,
    reads: Counter,
    histories: Counter,
    feed_lag: Gauge<f64, AtomicU64>,
}

impl Metrics {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            subscribers: Gauge::default(),
            pushes: Counter::default(),
            latency: Histogram::new(LATENCY),
            reads: Counter::default(),
            histories: Counter::default(),
            feed_lag: Gauge::default(),
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("tiffin_notifier");
        registry.register(
            "subscribers",
            "Subscriptions that are open now",
            self.subscribers.clone(),
        );
        registry.register("pushes", "Updates handed to subscribers", self.pushes.clone());
        registry.register_with_unit(
            "push_latency",
            "From an event's commit to its hand-over to a subscriber who was up to date",
            Unit::Seconds,
            self.latency.clone(),
        );
        registry.register(
            "catch_up_reads",
            "Statements that read orders' streams for subscribers",
            self.reads.clone(),
        );
        registry.register(
            "catch_up_streams",
            "Orders' streams that these read",
            self.histories.clone(),
        );
        registry.register_with_unit(
            "feed_lag",
            "From the newest update's commit to its arrival here",
            Unit::Seconds,
            self.feed_lag.clone(),
        );
    }

    /// Counts a subscription for as long as the answer lives.
    pub(crate) fn subscribe(&self) -> Subscribed {
        self.subscribers.inc();
        Subscribed(self.subscribers.clone())
    }

    pub(crate) fn pushed(&self) {
        self.pushes.inc();
    }

    pub(crate) fn pushed_live(&self, recorded: OffsetDateTime) {
        self.latency.observe(self.age(recorded));
    }

    pub(crate) fn read(&self, streams: usize) {
        self.reads.inc();
        self.histories.inc_by(u64::try_from(streams).unwrap_or(u64::MAX));
    }

    pub(crate) fn arrived(&self, recorded: OffsetDateTime) {
        self.feed_lag.set(self.age(recorded));
    }

    fn age(&self, recorded: OffsetDateTime) -> f64 {
        ((self.clock)() - recorded).as_seconds_f64().max(0.0)
    }
}

/// One open subscription.
pub(crate) struct Subscribed(Gauge);

impl Drop for Subscribed {
    fn drop(&mut self) {
        self.0.dec();
    }
}
