//! The connections that a process keeps to its database, and how many of them are in use.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};
use sqlx::SqlitePool;

use crate::postgres::Connections;

/// Connections to one of the two databases.
#[derive(Clone)]
pub(crate) enum Pool {
    Sqlite(SqlitePool),
    Postgres(Arc<Connections>),
}

/// How many connections of a pool there are.
pub(crate) struct Counts {
    pub(crate) used: u32,
    pub(crate) idle: u32,
    /// That may be open.
    pub(crate) most: u32,
}

impl Pool {
    fn counts(&self) -> Counts {
        match self {
            Self::Sqlite(pool) => {
                let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
                Counts {
                    used: pool.size().saturating_sub(idle),
                    idle,
                    most: pool.options().get_max_connections(),
                }
            }
            Self::Postgres(pool) => pool.counts(),
        }
    }
}

/// The pools of a process, by schema and purpose.
#[derive(Default)]
pub(crate) struct Pools(Mutex<Vec<(Name, Pool)>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Name {
    schema: &'static str,
    pool: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    schema: &'static str,
    pool: &'static str,
    state: &'static str,
}

impl Pools {
    /// Shows a pool from now on; another one of the same name takes its place.
    pub(crate) fn show(&self, schema: &'static str, pool: &'static str, connections: &Pool) {
        let name = Name { schema, pool };
        let mut pools = self.pools();
        pools.retain(|(known, _)| *known != name);
        pools.push((name, connections.clone()));
    }

    fn pools(&self) -> MutexGuard<'_, Vec<(Name, Pool)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the pools are doing, looked at when somebody asks.
pub(crate) struct Usage(pub(crate) Arc<Pools>);

impl fmt::Debug for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Usage")
    }
}

impl Collector for Usage {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let pools = self.0.pools();
        let counts: Vec<_> = pools.iter().map(|(name, pool)| (*name, pool.counts())).collect();
        drop(pools);
        let help = "Connections that are open, by what they do.";
        let mut connections = encoder.encode_descriptor("connections", help, None, MetricType::Gauge)?;
        for (Name { schema, pool }, counts) in &counts {
            for (state, count) in [("used", counts.used), ("idle", counts.idle)] {
                let labels = InState { schema, pool, state };
                ConstGauge::new(i64::from(count)).encode(connections.encode_family(&labels)?)?;
            }
        }
        let help = "Connections that may be open.";
        let mut most = encoder.encode_descriptor("connections_max", help, None, MetricType::Gauge)?;
        for (name, counts) in &counts {
            ConstGauge::new(i64::from(counts.most)).encode(most.encode_family(name)?)?;
        }
        Ok(())
    }
}
