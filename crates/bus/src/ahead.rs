//! What streams hold that the log does not: found when the database is an older one than the broker has seen.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Messages of a stream whose events the log does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// The stream's name.
    pub stream: &'static str,
    /// The sequence of the first such message.
    pub first: u64,
    /// The sequence of the last; all between are such messages, too.
    pub last: u64,
}

impl Ahead {
    /// How many messages these are.
    pub fn messages(&self) -> u64 {
        (self.last + 1).saturating_sub(self.first)
    }
}

impl fmt::Display for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, first, last } = self;
        let messages = self.messages();
        write!(
            f,
            "{stream} holds {messages} messages, {first} to {last}, whose events the log does not have"
        )
    }
}

/// What the relays of a process have found, the last find of each stream; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Finds(Arc<Mutex<BTreeMap<&'static str, Ahead>>>);

impl Finds {
    pub(crate) fn add(&self, ahead: Ahead) {
        self.finds().insert(ahead.stream, ahead);
    }

    /// The stream holds nothing any more.
    pub(crate) fn forget(&self, stream: &str) {
        self.finds().remove(stream);
    }

    pub(crate) fn all(&self) -> Vec<Ahead> {
        self.finds().values().copied().collect()
    }

    fn finds(&self) -> MutexGuard<'_, BTreeMap<&'static str, Ahead>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
