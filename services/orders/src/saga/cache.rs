//! The states of the orders that this process worked on last, so that the next step reads nothing.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lru::LruCache;
use tiffin_order::OrderId;

use super::Loaded;

/// How many states are kept.
const KEPT: NonZeroUsize = NonZeroUsize::new(20_000).unwrap();

/// A bounded cache. What it holds may be old, never wrong: the fence of an append shows it.
pub(crate) struct Cache(Mutex<LruCache<OrderId, Arc<Loaded>>>);

impl Default for Cache {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(KEPT)))
    }
}

impl Cache {
    pub(crate) fn get(&self, id: OrderId) -> Option<Arc<Loaded>> {
        self.entries().get(&id).cloned()
    }

    /// Keeps the newer of what it has and what it is given; a finished order is not worth its place.
    pub(crate) fn put(&self, id: OrderId, loaded: &Arc<Loaded>) {
        let mut entries = self.entries();
        if loaded.order.is_finished() {
            entries.pop(&id);
        } else if entries
            .peek(&id)
            .is_none_or(|known| known.revision < loaded.revision)
        {
            entries.put(id, Arc::clone(loaded));
        }
    }

    pub(crate) fn forget(&self, id: OrderId) {
        self.entries().pop(&id);
    }

    pub(crate) fn clear(&self) {
        self.entries().clear();
    }

    fn entries(&self) -> MutexGuard<'_, LruCache<OrderId, Arc<Loaded>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
