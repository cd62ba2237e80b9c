//! How a database's standbys follow it.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Unit,
};

/// What is known of a database's standbys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replication {
    /// A file has none.
    None,
    /// The owner of the log's schema is no member of `pg_read_all_stats`, so that nobody is told.
    Hidden,
    /// As the server says.
    Known(Standbys),
}

/// The standbys that stream, and how far they are; those that are away do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standbys {
    /// How many are waited for by commits, or may be.
    pub synchronous: u64,
    /// How many are not.
    pub asynchronous: u64,
    /// For how long what the slowest of them replayed last had been committed.
    pub lag: Duration,
    /// How many bytes of the write-ahead log the slowest of them has not replayed.
    pub lag_bytes: u64,
    /// How many bytes of the write-ahead log are kept for the standby with a slot that lacks the most, present or not.
    pub retained_bytes: u64,
}

/// What was answered last; nothing, unless it was known.
#[derive(Default)]
pub(crate) struct LastSeen(Mutex<Option<Standbys>>);

impl LastSeen {
    pub(crate) fn note(&self, answer: Option<&Replication>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = match answer {
            Some(Replication::Known(standbys)) => Some(*standbys),
            _ => None,
        };
    }

    fn get(&self) -> Option<Standbys> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was seen last, shown when somebody asks.
pub(crate) struct Lag(pub(crate) Arc<LastSeen>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Mode {
    mode: &'static str,
}

impl fmt::Debug for Lag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lag")
    }
}

impl Collector for Lag {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let Some(seen) = self.0.get() else { return Ok(()) };
        let help = "Standbys that stream.";
        let mut standbys = encoder.encode_descriptor("standbys", help, None, MetricType::Gauge)?;
        for (mode, count) in [
            ("synchronous", seen.synchronous),
            ("asynchronous", seen.asynchronous),
        ] {
            gauge(count).encode(standbys.encode_family(&Mode { mode })?)?;
        }
        let help = "How long the slowest standby took to replay what it replayed last.";
        let unit = Some(&Unit::Seconds);
        ConstGauge::new(seen.lag.as_secs_f64()).encode(encoder.encode_descriptor(
            "replay_lag",
            help,
            unit,
            MetricType::Gauge,
        )?)?;
        for (name, help, bytes) in [
            (
                "replay_lag",
                "Write-ahead log that the slowest standby has not replayed.",
                seen.lag_bytes,
            ),
            (
                "wal_retained",
                "Write-ahead log that is kept for the replication slot that lacks the most.",
                seen.retained_bytes,
            ),
        ] {
            let unit = Some(&Unit::Bytes);
            gauge(bytes).encode(encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?)?;
        }
        Ok(())
    }
}

fn gauge(value: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
}
