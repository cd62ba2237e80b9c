//! What is measured of the list.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::{Registry, Unit},
};
use tiffin_eventstore::Position;

/// How far the list is; clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListMetrics {
    /// How far it has come; not known before its checkpoint is read.
    position: Arc<Mutex<Option<Position>>>,
    pub(super) lag_events: Gauge,
    lag_seconds: Gauge<f64, AtomicU64>,
    pub(super) skipped: Counter,
}

impl ListMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("tiffin_list");
        registry.register(
            "lag_events",
            "Events not yet in the list of orders; shown by the replica that keeps it",
            self.lag_events.clone(),
        );
        registry.register_with_unit(
            "lag",
            "Age of the oldest event not yet in the list of orders",
            Unit::Seconds,
            self.lag_seconds.clone(),
        );
        registry.register(
            "skipped",
            "Events that the list of orders passed over because they could not be read",
            self.skipped.clone(),
        );
    }

    pub(super) fn reached(&self, position: Position) {
        *self.known() = Some(position);
    }

    pub(super) fn position(&self) -> Option<Position> {
        *self.known()
    }

    pub(super) fn lag(&self, events: u64, age: Duration) {
        self.lag_events.set(i64::try_from(events).unwrap_or(i64::MAX));
        self.lag_seconds.set(age.as_secs_f64());
    }

    /// It is somebody else's to measure.
    pub(super) fn forget_lag(&self) {
        *self.known() = None;
        self.lag(0, Duration::ZERO);
    }

    fn known(&self) -> MutexGuard<'_, Option<Position>> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
