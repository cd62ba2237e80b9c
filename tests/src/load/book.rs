//! What everybody notes while the load runs.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};
use uuid::Uuid;

/// How many different sentences of a kind are kept.
const KEPT: usize = 10;

/// Something that happened, how often, and in what words.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) count: usize,
    told: Vec<Sentence>,
}

#[derive(Clone, Debug)]
struct Sentence {
    what: String,
    count: usize,
    first: Duration,
    last: Duration,
}

impl Tally {
    pub(super) fn add(&mut self, at: Duration, what: &str) {
        self.count += 1;
        if let Some(known) = self.told.iter_mut().find(|known| known.what == what) {
            known.count += 1;
            known.last = at;
        } else if self.told.len() < KEPT {
            self.told.push(Sentence {
                what: what.to_owned(),
                count: 1,
                first: at,
                last: at,
            });
        }
    }

    /// What was told, a line for each different sentence.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        self.told.iter().map(
            |Sentence {
                 what,
                 count,
                 first,
                 last,
             }| {
                let (first, last) = (first.as_secs_f64(), last.as_secs_f64());
                format!("{count} times from {first:.1} s to {last:.1} s: {what}")
            },
        )
    }
}

/// The notes.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Orders that somebody began to place.
    pub(super) begun: usize,
    /// Acknowledged orders, and whether each was found finished with all its versions.
    pub(super) orders: BTreeMap<String, bool>,
    /// Requests, those that failed and were repeated included.
    pub(super) requests: usize,
    /// Requests that got no answer, or one that asks to come again.
    pub(super) failed: Tally,
    /// Subscriptions that could not be opened and were tried again.
    pub(super) not_opened: Tally,
    /// Answers that make no sense, and orders that are not as they must be.
    pub(super) wrong: Tally,
    /// Versions that a subscriber did not get.
    pub(super) missing: Tally,
    /// Versions that a subscriber got twice.
    pub(super) twice: Tally,
    pub(super) updates: usize,
    pub(super) connected: usize,
    /// Subscribers that have not seen the end of what they follow, and whoever places orders while some are not answered for.
    pub(super) busy: usize,
    /// When subscribers came back after their connection had ended.
    pub(super) reconnects: Vec<Duration>,
    /// The longest that a subscriber was without a connection.
    pub(super) longest_gap: Duration,
}

/// The notes of all tasks.
#[derive(Debug)]
pub(super) struct Book {
    began: Instant,
    /// Tells this run's idempotency keys from another's.
    pub(super) run: Uuid,
    notes: Mutex<Notes>,
    newest: watch::Sender<Option<String>>,
}

impl Book {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            run: Uuid::now_v7(),
            notes: Mutex::default(),
            newest: watch::Sender::new(None),
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn write(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an order that was answered for, which subscribers may follow from now on.
    pub(super) fn acknowledge(&self, id: String) {
        self.write().orders.insert(id.clone(), false);
        self.newest.send_replace(Some(id));
    }

    /// The order that was acknowledged last.
    pub(super) fn newest(&self) -> watch::Receiver<Option<String>> {
        self.newest.subscribe()
    }

    /// How things stand, in a line.
    pub(super) fn line(&self) -> String {
        let notes = self.write();
        format!(
            "{:>5.0} s  connected {}  acknowledged {} of {}  updates {}  reconnects {}  failed requests {}  \
             subscriptions not opened {}  missing {}  twice {}",
            self.now().as_secs_f64(),
            notes.connected,
            notes.orders.len(),
            notes.begun,
            notes.updates,
            notes.reconnects.len(),
            notes.failed.count,
            notes.not_opened.count,
            notes.missing.count,
            notes.twice.count,
        )
    }
}
