//! What one run did: how much, in which time, at what cost.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use tokio::{task::JoinHandle, time::sleep};

use crate::usage::{Usage, Watched};

/// Something that can be measured, again and again.
pub(crate) trait Subject {
    /// Works for about `time` and says what it did.
    async fn run(&mut self, time: Duration) -> Result<Run>;
}

/// What a subject did.
#[derive(Debug)]
pub(crate) struct Run {
    /// How many operations were completed.
    pub(crate) operations: u64,
    /// In which time.
    pub(crate) elapsed: Duration,
    /// What they cost, over all processes that took part.
    pub(crate) usage: Usage,
    /// The largest memory of these processes, in bytes; none where this process is one of them, which is load and floor
    /// too.
    pub(crate) peak: Option<u64>,
    /// The largest WAL of SQLite's log, in bytes.
    pub(crate) wal: Option<u64>,
    /// How long each took, in nanoseconds; empty where that was not asked.
    pub(crate) latency: Histogram<u64>,
}

impl Run {
    /// Operations per second.
    pub(crate) fn rate(&self) -> f64 {
        count(self.operations) / self.elapsed.as_secs_f64()
    }

    /// How long this part of them took at most, in microseconds: 0.5 for the median.
    pub(crate) fn latency_at(&self, part: f64) -> f64 {
        count(self.latency.value_at_quantile(part)) / 1e3
    }

    /// CPU time of all processes per operation, in microseconds.
    pub(crate) fn cpu_per_operation(&self) -> f64 {
        self.usage.cpu.as_secs_f64() * 1e6 / count(self.operations)
    }

    /// Bytes that all processes wrote per operation.
    pub(crate) fn written_per_operation(&self) -> f64 {
        count(self.usage.written) / count(self.operations)
    }
}

/// How often is looked how large the WAL is.
const LOOK: Duration = Duration::from_millis(50);

/// A stopwatch for time and cost.
pub(crate) struct Clock<'a> {
    watched: &'a Watched,
    before: Usage,
    start: Instant,
    wal: Option<Wal>,
}

impl<'a> Clock<'a> {
    /// Starts it.
    ///
    /// # Errors
    /// What is watched cannot be looked at.
    pub(crate) fn start(watched: &'a Watched) -> Result<Self> {
        Ok(Self {
            watched,
            before: watched.usage()?,
            wal: watched.wal().map(Wal::watch),
            start: Instant::now(),
        })
    }

    /// Stops it.
    ///
    /// # Errors
    /// As [`Clock::start`].
    pub(crate) fn stop(self, operations: u64, latency: Histogram<u64>) -> Result<Run> {
        let elapsed = self.start.elapsed();
        let usage = self.watched.usage()?;
        Ok(Run {
            operations,
            elapsed,
            usage: usage.since(self.before),
            peak: self.watched.apart().then_some(usage.peak),
            wal: self.wal.map(Wal::largest).transpose()?,
            latency,
        })
    }
}

/// Looks at the size of a WAL until it is dropped: it may be made shorter at any time.
struct Wal {
    path: PathBuf,
    largest: Arc<AtomicU64>,
    looking: JoinHandle<()>,
}

impl Wal {
    fn watch(path: &Path) -> Self {
        let (path, largest) = (path.to_owned(), Arc::default());
        let (of, seen) = (path.clone(), Arc::clone(&largest));
        let looking = tokio::spawn(async move {
            loop {
                if let Ok(metadata) = fs::metadata(&of) {
                    AtomicU64::fetch_max(&seen, metadata.len(), Ordering::Relaxed);
                }
                sleep(LOOK).await;
            }
        });
        Self {
            path,
            largest,
            looking,
        }
    }

    fn largest(self) -> Result<u64> {
        let now = fs::metadata(&self.path).with_context(|| format!("{}", self.path.display()))?;
        Ok(now.len().max(self.largest.load(Ordering::Relaxed)))
    }
}

impl Drop for Wal {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

/// A histogram of nanoseconds with two significant digits, which takes any value.
pub(crate) fn latencies() -> Histogram<u64> {
    let mut histogram = Histogram::new(2).expect("two digits are allowed");
    histogram.auto(true);
    histogram
}

/// Notes how long something took.
pub(crate) fn note(histogram: &mut Histogram<u64>, took: Duration) {
    let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    // It grows as needed, so there is nothing that it refuses.
    let _infallible = histogram.record(nanoseconds);
}

/// A count as a number to reckon with.
#[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^53")]
pub(crate) fn count(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_something_took_is_noted_whatever_it_is() {
        let mut histogram = latencies();
        for microseconds in [3, 250, 90_000_000] {
            note(&mut histogram, Duration::from_micros(microseconds));
        }
        let median = count(histogram.value_at_quantile(0.5)) / 1e3;
        assert!((248.0..253.0).contains(&median), "{median}");
        assert!(histogram.max() > 89_000_000_000);
    }
}
