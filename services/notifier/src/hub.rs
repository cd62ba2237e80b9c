//! Who watches which order in this process, and the newest that each order's watchers share.

use std::{
    collections::{HashMap, VecDeque, hash_map},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tiffin_order::OrderId;
use tokio::sync::watch;

use crate::{slot::Slot, update::Update};

/// So many of an order's newest updates are shared by its watchers; what is older is read from the store.
const RECENT: usize = 4;

/// The table of watched orders. What nobody watches is not kept.
#[derive(Clone, Default)]
pub(crate) struct Hub(Arc<Mutex<HashMap<OrderId, Topic>>>);

struct Topic {
    watchers: usize,
    window: watch::Sender<Window>,
}

impl Hub {
    /// Begins to watch an order. Whatever is published from now on is seen, so what happened before may be read
    /// afterwards without a gap between the two.
    pub(crate) fn attach(&self, order: OrderId) -> Attachment {
        let mut topics = self.topics();
        let topic = topics.entry(order).or_insert_with(|| Topic {
            watchers: 0,
            window: watch::Sender::new(Window::default()),
        });
        topic.watchers += 1;
        let window = topic.window.subscribe();
        drop(topics);
        let seen = window.borrow().mark();
        Attachment {
            hub: self.clone(),
            order,
            window,
            read: seen,
        }
    }

    /// Hands an update to the order's watchers. Duplicates and latecomers do no harm.
    pub(crate) fn publish(&self, update: &Arc<Update>) {
        if let Some(topic) = self.topics().get(&update.change.order) {
            topic.window.send_if_modified(|window| window.push(update));
        }
    }

    /// Sends the watchers of this order, or of every order, to the store, since something was missed.
    pub(crate) fn read_again(&self, order: Option<OrderId>) {
        let topics = self.topics();
        let read_again = |topic: &Topic| topic.window.send_modify(Window::clear);
        match order {
            Some(order) => topics.get(&order).into_iter().for_each(read_again),
            None => topics.values().for_each(read_again),
        }
    }

    /// Whether nobody watches anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.topics().is_empty()
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<OrderId, Topic>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An order's newest updates, versions without gap, and how often something was missed.
#[derive(Default)]
struct Window {
    recent: VecDeque<Arc<Update>>,
    missed: u64,
}

impl Window {
    fn push(&mut self, update: &Arc<Update>) -> bool {
        let version = update.change.version;
        let newest = self.recent.back().map(|newest| newest.change.version);
        if newest.is_some_and(|newest| version <= newest) {
            return false;
        }
        if newest.is_some_and(|newest| version > newest + 1) {
            self.recent.clear();
        }
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(update.clone());
        true
    }

    fn clear(&mut self) {
        self.recent.clear();
        self.missed += 1;
    }

    fn mark(&self) -> Mark {
        Mark {
            newest: self.recent.back().map_or(0, |newest| newest.change.version),
            missed: self.missed,
        }
    }
}

/// How far a window was when the store was read.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark {
    newest: u32,
    missed: u64,
}

/// What an attachment finds for a slot.
pub(crate) enum Found {
    /// The slot's next version.
    Next(Arc<Update>),
    /// A version beyond the next, or nothing certain: the store knows.
    Behind,
    /// Nothing new.
    Nothing,
}

/// One watcher's hold on an order's window; lets go when dropped.
pub(crate) struct Attachment {
    hub: Hub,
    order: OrderId,
    window: watch::Receiver<Window>,
    /// The window as it was before the store was last read.
    read: Mark,
}

impl Attachment {
    /// Notes that the store is about to be read: only what comes later can be missing in what is read.
    pub(crate) fn about_to_read(&mut self) {
        self.read = self.window.borrow_and_update().mark();
    }

    /// Looks for the slot's next version.
    pub(crate) fn look(&mut self, slot: Slot) -> Found {
        let window = self.window.borrow_and_update();
        let next = slot.next();
        if window.missed != self.read.missed {
            return Found::Behind;
        }
        if let Some(update) = window.recent.iter().find(|update| update.change.version == next) {
            return Found::Next(update.clone());
        }
        // What the store did not hold when it was read after the broker had told of it is no reason to read again.
        let newest = window.mark().newest;
        if newest > next && newest != self.read.newest {
            Found::Behind
        } else {
            Found::Nothing
        }
    }

    /// Waits until the window has changed since the last look.
    pub(crate) async fn changed(&mut self) {
        // The sender lives as long as there is an attachment.
        let _ = self.window.changed().await;
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let mut topics = self.hub.topics();
        if let hash_map::Entry::Occupied(mut topic) = topics.entry(self.order) {
            topic.get_mut().watchers -= 1;
            if topic.get().watchers == 0 {
                topic.remove();
            }
        }
    }
}
