//! The database's clock, carried on by the process' monotonic clock.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use time::OffsetDateTime;

use crate::event::{from_micros, to_micros};

/// After this an observation is taken even where it puts the clock back.
const TRUSTED: Duration = Duration::from_secs(1);

/// Never falls. An answer is old by the time it took to arrive, so of the observations of a second the latest rules.
pub(crate) struct Clock {
    origin: Instant,
    dial: Mutex<Dial>,
}

/// All in microseconds.
struct Dial {
    /// The database's time at the clock's origin.
    offset: i64,
    /// When `offset` was observed, after the origin.
    observed: i64,
    /// The latest time given out.
    latest: i64,
}

impl Clock {
    pub(crate) fn new(now: OffsetDateTime) -> Self {
        let now = to_micros(now);
        Self {
            origin: Instant::now(),
            dial: Mutex::new(Dial {
                offset: now,
                observed: 0,
                latest: now,
            }),
        }
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        let mut dial = self.dial();
        dial.latest = dial.latest.max(dial.offset + self.elapsed());
        from_micros(dial.latest)
    }

    /// The database has just answered that its clock shows `now`. Returns by how much it lies behind what it showed
    /// before: until it has caught up, time stands still.
    pub(crate) fn observe(&self, now: OffsetDateTime) -> Duration {
        let mut dial = self.dial();
        let elapsed = self.elapsed();
        let behind = dial.latest - to_micros(now);
        let offset = to_micros(now) - elapsed;
        if offset > dial.offset || elapsed - dial.observed > micros(TRUSTED) {
            dial.offset = offset;
            dial.observed = elapsed;
        }
        Duration::from_micros(u64::try_from(behind).unwrap_or_default())
    }

    fn elapsed(&self) -> i64 {
        micros(self.origin.elapsed())
    }

    fn dial(&self) -> MutexGuard<'_, Dial> {
        self.dial.lock().unwrap_or_else(PoisonError::into_inner)
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
        assert!(
            clock.observe(start) >= Duration::from_mins(1),
            "and is known to be behind"
        );
    }
}
