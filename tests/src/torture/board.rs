//! Where the clients of a running system write down what they do and see.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::history::Placement;

/// All placements so far; clones are the same board.
#[derive(Clone, Debug)]
pub(super) struct Board {
    start: Instant,
    entries: Arc<Mutex<Vec<Entry>>>,
}

/// One client's placement.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    start: Instant,
    placement: Arc<Mutex<Placement>>,
}

impl Board {
    /// An empty board; times count from now.
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            entries: Arc::default(),
        }
    }

    /// The time since the start.
    pub(super) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Begins an entry.
    pub(super) fn enter(&self, label: String) -> Entry {
        let placement = Placement {
            label,
            ..Placement::default()
        };
        let entry = Entry {
            start: self.start,
            placement: Arc::new(Mutex::new(placement)),
        };
        lock(&self.entries).push(entry.clone());
        entry
    }

    /// How many placements are as is asked for.
    pub(super) fn count(&self, asked: impl Fn(&Placement) -> bool) -> usize {
        let entries = lock(&self.entries);
        entries.iter().filter(|entry| asked(&entry.write())).count()
    }

    /// Whether every order that was sent is acknowledged and seen to be finished.
    pub(super) fn is_done(&self) -> bool {
        lock(&self.entries).iter().all(|entry| entry.write().completed)
    }

    /// What is on the board now.
    pub(super) fn placements(&self) -> Vec<Placement> {
        lock(&self.entries)
            .iter()
            .map(|entry| entry.write().clone())
            .collect()
    }
}

impl Entry {
    /// The time since the board's start.
    pub(super) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// The placement, to be read or written and given back at once.
    pub(super) fn write(&self) -> MutexGuard<'_, Placement> {
        lock(&self.placement)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
