//! The database's clock, carried on by the process' monotonic clock.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, Instant},
};

use time::OffsetDateTime;

use crate::event::{from_micros, to_micros};

/// After this an observation is taken even where it puts the clock back.
const TRUSTED: Duration = Duration::from_secs(1);

/// Never falls. An answer is old by the time it took to arrive, so of the observations of a second the latest rules.
pub(crate) struct Clock {
    origin: Instant,
    /// The database's time at `origin`, in microseconds.
    offset: AtomicI64,
    /// When `offset` was observed, in microseconds after `origin`.
    observed: AtomicI64,
    /// The latest time given out.
    floor: AtomicI64,
}

impl Clock {
    pub(crate) fn new(now: OffsetDateTime) -> Self {
        let now = to_micros(now);
        Self {
            origin: Instant::now(),
            offset: now.into(),
            observed: 0.into(),
            floor: now.into(),
        }
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        let now = self.offset.load(Ordering::Relaxed) + self.elapsed();
        from_micros(self.floor.fetch_max(now, Ordering::Relaxed).max(now))
    }

    /// The database has just answered that its clock shows `now`.
    pub(crate) fn observe(&self, now: OffsetDateTime) {
        let elapsed = self.elapsed();
        let offset = to_micros(now) - elapsed;
        let age = elapsed - self.observed.load(Ordering::Relaxed);
        if offset > self.offset.load(Ordering::Relaxed) || age > micros(TRUSTED) {
            self.offset.store(offset, Ordering::Relaxed);
            self.observed.store(elapsed, Ordering::Relaxed);
        }
    }

    fn elapsed(&self) -> i64 {
        micros(self.origin.elapsed())
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// This machine's clock, which is the clock of a database inside this process.
#[expect(clippy::disallowed_methods, reason = "SQLite has no clock but the machine's")]
pub(crate) fn machine() -> OffsetDateTime {
    from_micros(to_micros(OffsetDateTime::now_utc()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_follows_the_database_and_never_falls() {
        let start = from_micros(1_000_000_000);
        let clock = Clock::new(start);
        clock.observe(start + Duration::from_mins(1));
        let ahead = clock.now();
        assert!(ahead >= start + Duration::from_mins(1));
        clock.observe(start);
        assert!(
            clock.now() >= ahead,
            "an older answer does not put the clock back"
        );
    }
}
