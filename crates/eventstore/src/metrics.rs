//! What the store counts.

use std::{fmt, sync::Arc, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeLabelValue, EncodeMetric},
    metrics::{
        MetricType,
        counter::Counter,
        family::Family,
        gauge::ConstGauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use crate::{AppendError, Appended, health::Schemas, writer::Queue};

#[derive(Clone)]
pub(crate) struct Metrics {
    group_events: Histogram,
    commit: Histogram,
    pub(crate) tail_reads: Counter,
    appends: Family<Labels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the names are the label's values")]
pub(crate) enum Outcome {
    written,
    replayed,
    conflict,
    id_reused,
    log_replaced,
    unavailable,
}

impl Outcome {
    const ALL: [Self; 6] = [
        Self::written,
        Self::replayed,
        Self::conflict,
        Self::id_reused,
        Self::log_replaced,
        Self::unavailable,
    ];

    pub(crate) fn of(answer: &Result<Appended, AppendError>) -> Self {
        match answer {
            Ok(Appended { replayed: false, .. }) => Self::written,
            Ok(Appended { replayed: true, .. }) => Self::replayed,
            Err(AppendError::Conflict { .. }) => Self::conflict,
            Err(AppendError::IdReused { .. }) => Self::id_reused,
            Err(AppendError::LogReplaced) => Self::log_replaced,
            Err(_) => Self::unavailable,
        }
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            group_events: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            // 0.25 ms to 8 s.
            commit: Histogram::new(exponential_buckets(0.000_25, 2.0, 16)),
            tail_reads: Counter::default(),
            appends: Family::default(),
        }
    }

    /// A group of `events` events was committed, which took so long.
    pub(crate) fn group_of(&self, events: usize, took: Duration) {
        // A group has at most 512.
        self.group_events
            .observe(u32::try_from(events).unwrap_or(u32::MAX).into());
        self.commit.observe(took.as_secs_f64());
    }

    pub(crate) fn appended(&self, outcome: Outcome) {
        self.appends.get_or_create(&Labels { outcome }).inc();
    }

    pub(crate) fn register(&self, queue: &Arc<Queue>, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("tiffin_store");
        registry.register(
            "group_events",
            "Events committed together",
            self.group_events.clone(),
        );
        registry.register_with_unit(
            "commit",
            "From a group's sending to the database's answer, repetitions included",
            Unit::Seconds,
            self.commit.clone(),
        );
        // A rate needs the zero that came before the first.
        for outcome in Outcome::ALL {
            drop(self.appends.get_or_create(&Labels { outcome }));
        }
        registry.register("appends", "Appends by their outcome", self.appends.clone());
        registry.register(
            "tail_reads",
            "Reads of the log by the tail that brought events",
            self.tail_reads.clone(),
        );
        registry.register_collector(Box::new(QueueAge(Arc::clone(queue))));
    }
}

struct QueueAge(Arc<Queue>);

impl fmt::Debug for QueueAge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QueueAge")
    }
}

impl Collector for QueueAge {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let age = self.0.oldest().unwrap_or_default().as_secs_f64();
        let help = "Age of the oldest append that waits for the writer.";
        let encoder =
            encoder.encode_descriptor("queue_age", help, Some(&Unit::Seconds), MetricType::Gauge)?;
        ConstGauge::new(age).encode(encoder)
    }
}

/// Whether the database answers and writes, looked at when somebody asks.
pub(crate) struct Answers(pub(crate) Arc<Schemas>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct In {
    schema: &'static str,
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answers")
    }
}

impl Collector for Answers {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let schemas = self.0.are_well();
        let help = "Whether the database answered the last question, and did not refuse to be read.";
        let mut up = encoder.encode_descriptor("up", help, None, MetricType::Gauge)?;
        for (&schema, &(answers, _)) in &schemas {
            ConstGauge::new(i64::from(answers)).encode(up.encode_family(&In { schema })?)?;
        }
        let help = "Whether the database wrote what it was last given, or was not given anything.";
        let mut writable = encoder.encode_descriptor("writable", help, None, MetricType::Gauge)?;
        for (&schema, &(_, writes)) in &schemas {
            ConstGauge::new(i64::from(writes)).encode(writable.encode_family(&In { schema })?)?;
        }
        Ok(())
    }
}
