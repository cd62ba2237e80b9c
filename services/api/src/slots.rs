//! Slots for the orders in progress: as many as are answered soon.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Over how long the answers are counted that say how many are given in a second.
const WINDOW: Duration = Duration::from_secs(1);

/// Orders in progress: admitted, and not yet answered.
///
/// Who is admitted when as many are in progress as are answered within a time waits for about as long until the commit
/// (Little's law), be it for a processor or for the disk.
#[derive(Debug)]
pub(crate) struct Slots {
    at_least: usize,
    answered_within: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    taken: usize,
    limit: usize,
    since: Instant,
    answered: u32,
}

/// An order in progress, for as long as this is kept.
#[derive(Debug)]
#[must_use]
pub(crate) struct Slot<'a>(&'a Slots);

impl Slots {
    /// So many at the least; as many as are answered within the given time, where that is more.
    pub(crate) fn new(at_least: usize, answered_within: Duration) -> Self {
        Self {
            at_least,
            answered_within,
            state: Mutex::new(State {
                taken: 0,
                limit: at_least,
                since: Instant::now(),
                answered: 0,
            }),
        }
    }

    /// A slot, if one is free.
    pub(crate) fn take(&self) -> Option<Slot<'_>> {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> Option<Slot<'_>> {
        let mut state = self.state();
        let elapsed = now.saturating_duration_since(state.since);
        if elapsed >= WINDOW {
            state.limit = self.earned(state.answered, elapsed);
            state.since = now;
            state.answered = 0;
        }
        (state.taken < state.limit).then(|| {
            state.taken += 1;
            Slot(self)
        })
    }

    /// How many are taken, and how many there are.
    pub(crate) fn taken(&self) -> (usize, usize) {
        let state = self.state();
        (state.taken, state.limit)
    }

    /// How many there are when so many orders were answered within the time that elapsed.
    fn earned(&self, answered: u32, elapsed: Duration) -> usize {
        let within = self.answered_within.as_nanos() * u128::from(answered) / elapsed.as_nanos();
        usize::try_from(within).map_or(self.at_least, |within| within.max(self.at_least))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot<'_> {
    /// The order was answered, which earns slots; one that is given up earns nothing.
    pub(crate) fn answered(self) {
        let mut state = self.0.state();
        state.answered = state.answered.saturating_add(1);
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.state().taken -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slots of which two are there in any case, and the time at which they begin.
    fn two() -> (Slots, Instant) {
        let slots = Slots::new(2, Duration::from_millis(125));
        let begin = slots.state().since;
        (slots, begin)
    }

    #[test]
    fn a_slot_is_free_again_when_its_order_is_done() {
        let (slots, begin) = two();
        let first = slots.take_at(begin);
        let second = slots.take_at(begin);
        assert!(first.is_some() && second.is_some());
        assert!(slots.take_at(begin).is_none());
        drop(first);
        assert_eq!(slots.taken(), (1, 2));
        assert!(slots.take_at(begin).is_some());
    }

    #[test]
    fn what_is_answered_in_an_eighth_of_a_second_may_be_in_progress_and_two_in_any_case() {
        let (slots, begin) = two();
        for _ in 0..800 {
            slots.take_at(begin).unwrap().answered();
        }
        let second = Duration::from_secs(1);
        drop(slots.take_at(begin + 2 * second));
        assert_eq!(slots.taken(), (0, 50));
        drop(slots.take_at(begin + 3 * second));
        assert_eq!(slots.taken(), (0, 2));
    }

    #[test]
    fn an_order_that_is_given_up_earns_nothing() {
        let (slots, begin) = two();
        for _ in 0..800 {
            drop(slots.take_at(begin));
        }
        drop(slots.take_at(begin + WINDOW));
        assert_eq!(slots.taken(), (0, 2));
    }
}
