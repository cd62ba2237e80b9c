//! What `orders` measures of its own.

use std::{sync::atomic::AtomicU64, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};
use tiffin_order::{Refusal, Status};
use time::OffsetDateTime;

use crate::{saga::Runner, tables::Census};

/// Counters and gauges; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    open: Family<ByStatus, Gauge>,
    parked_open: Gauge,
    oldest_due: Gauge<f64, AtomicU64>,
    late: Histogram,
    step: Histogram,
    changes: Family<ByStatus, Counter>,
    parked: Family<ByWhat, Counter>,
    newer: Counter,
    pub(crate) overdue: Counter,
    pub(crate) conflicts: Counter,
    pub(crate) failures: Counter,
    pub(crate) repairs: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByStatus {
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByWhat {
    what: &'static str,
}

impl Metrics {
    /// Metrics that are shown as soon as they are registered.
    pub(crate) fn new() -> Self {
        let (changes, parked) = (Family::default(), Family::default());
        // A rate needs the zero that came before the first.
        for status in Status::ALL.map(Status::as_str) {
            drop(changes.get_or_create(&ByStatus { status }));
        }
        for what in ["order", "message"] {
            drop(parked.get_or_create(&ByWhat { what }));
        }
        Self {
            open: Family::default(),
            parked_open: Gauge::default(),
            oldest_due: Gauge::default(),
            // 1 ms to 33 s.
            late: Histogram::new(exponential_buckets(0.001, 2.0, 16)),
            // 0.5 ms to 16 s.
            step: Histogram::new(exponential_buckets(0.000_5, 2.0, 16)),
            changes,
            parked,
            newer: Counter::default(),
            overdue: Counter::default(),
            conflicts: Counter::default(),
            failures: Counter::default(),
            repairs: Counter::default(),
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry, runner: Runner) {
        let orders = registry.sub_registry_with_prefix("tiffin_orders");
        let this = self.clone();
        orders.register(
            "open",
            "Unfinished orders by status as the index of wake-ups has them, up to 4 seconds behind the log (half a minute \
             where there are very many) and without what came and went within one; shown by the replica that keeps it",
            this.open,
        );
        orders.register(
            "parked_open",
            "Unfinished orders that are set aside, as of the same count",
            this.parked_open,
        );
        orders.register(
            "changes",
            "Changes of orders that customers can see, by the status after them; placing one is none of these",
            this.changes,
        );
        orders.register_with_unit(
            "step",
            "From taking up an input to its event's commit",
            Unit::Seconds,
            this.step,
        );
        orders.register("parked", "Orders and messages set aside", this.parked);
        orders.register_with_unit(
            "wake_late",
            "How late steps were taken that waited",
            Unit::Seconds,
            this.late,
        );
        orders.register_with_unit(
            "wake_oldest_due",
            "For how long the earliest wake-up of the index has been due",
            Unit::Seconds,
            this.oldest_due,
        );
        orders.register(
            "wake_overdue",
            "Orders woken by the index because no timer had",
            this.overdue,
        );
        orders.register("newer", "Times an order was left to a newer version", this.newer);
        orders.register(
            "conflicts",
            "Decisions taken again because the order had changed",
            this.conflicts,
        );
        orders.register(
            "handler_failures",
            "Times an order's handling failed",
            this.failures,
        );
        orders.register(
            "sweep_repairs",
            "Rows of the index that the sweep corrected",
            this.repairs,
        );
        orders.register_collector(Box::new(Load(runner)));
    }

    pub(crate) fn refused(&self, refusal: &Refusal) {
        if *refusal == Refusal::Newer {
            self.newer.inc();
        }
    }

    /// A step that waited was taken so long after it was due.
    pub(crate) fn woken(&self, late: time::Duration) {
        self.late.observe(late.as_seconds_f64().max(0.0));
    }

    /// A step was committed, which took so long; `status` is the order's if its customer can see the change.
    pub(crate) fn stepped(&self, took: Duration, status: Option<Status>) {
        self.step.observe(took.as_secs_f64());
        if let Some(status) = status {
            let status = status.as_str();
            self.changes.get_or_create(&ByStatus { status }).inc();
        }
    }

    pub(crate) fn parked(&self, what: &'static str) {
        self.parked.get_or_create(&ByWhat { what }).inc();
    }

    pub(crate) fn census(&self, census: &Census, now: OffsetDateTime) {
        for status in Status::ALL.into_iter().filter(|status| !status.is_final()) {
            let count = census
                .open
                .iter()
                .find(|(name, _)| name == status.as_str())
                .map_or(0, |(_, count)| *count);
            self.open
                .get_or_create(&ByStatus {
                    status: status.as_str(),
                })
                .set(count);
        }
        self.parked_open.set(census.parked);
        let due = census
            .earliest
            .map_or(0.0, |earliest| (now - earliest).as_seconds_f64());
        self.oldest_due.set(due.max(0.0));
    }

    /// Another replica counts now.
    pub(crate) fn forget_census(&self) {
        self.open.clear();
        self.parked_open.set(0);
        self.oldest_due.set(0.0);
    }
}

/// What the runner has in hand, looked at when somebody asks.
#[derive(Debug)]
struct Load(Runner);

impl Collector for Load {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let (working, timers) = self.0.load();
        for (name, help, value) in [
            ("in_flight", "Orders being worked on", working),
            ("timers", "Wake-ups armed in memory", timers),
        ] {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}
