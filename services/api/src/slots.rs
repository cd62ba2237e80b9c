//! Places for the orders in progress: as many as are answered soon.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Over how long the answers are counted that say how many are given in a second.
const WINDOW: Duration = Duration::from_secs(1);

/// Orders in progress: let in, and not yet answered.
///
/// Who comes when as many are in progress as are answered within a time waits for about as long (Little's law), wherever
/// it is that they wait: for their turn on a processor as for the disk.
#[derive(Debug)]
pub(crate) struct Places {
    at_least: usize,
    answered_within: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    taken: usize,
    places: usize,
    since: Instant,
    answered: u32,
}

/// An order in progress, for as long as this is kept.
#[derive(Debug)]
#[must_use]
pub(crate) struct Place<'a>(&'a Places);

impl Places {
    /// `at_least` so many; more where more than these are answered within the given time.
    pub(crate) fn new(at_least: usize, answered_within: Duration) -> Self {
        Self {
            at_least,
            answered_within,
            state: Mutex::new(State {
                taken: 0,
                places: at_least,
                since: Instant::now(),
                answered: 0,
            }),
        }
    }

    /// A place, if one is free.
    pub(crate) fn take(&self) -> Option<Place<'_>> {
        let mut state = self.state();
        let elapsed = state.since.elapsed();
        if elapsed >= WINDOW {
            state.places = self.deserved(state.answered, elapsed);
            state.since += elapsed;
            state.answered = 0;
        }
        (state.taken < state.places).then(|| {
            state.taken += 1;
            Place(self)
        })
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        self.state().taken
    }

    /// How many there are when so many orders were answered within the time that elapsed.
    fn deserved(&self, answered: u32, elapsed: Duration) -> usize {
        let within = self.answered_within.as_nanos() * u128::from(answered) / elapsed.as_nanos().max(1);
        usize::try_from(within).map_or(self.at_least, |within| within.max(self.at_least))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.taken -= 1;
        state.answered = state.answered.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_order_was_answered() {
        let places = Places::new(2, Duration::ZERO);
        let first = places.take();
        let second = places.take();
        assert!(first.is_some() && second.is_some());
        assert!(places.take().is_none());
        drop(first);
        assert_eq!(places.taken(), 1);
        assert!(places.take().is_some());
    }

    #[test]
    fn the_places_are_as_many_as_are_answered_within_the_time_and_never_too_few() {
        let places = Places::new(100, Duration::from_millis(125));
        let second = Duration::from_secs(1);
        assert_eq!(places.deserved(0, second), 100);
        assert_eq!(places.deserved(800, second), 100);
        assert_eq!(places.deserved(80_000, second), 10_000);
        assert_eq!(places.deserved(80_000, 2 * second), 5_000);
    }
}
