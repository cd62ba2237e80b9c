//! Documents that were seen before, bounded by the memory they take.

use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

use super::Document;

/// What a parsed document takes for each token, measured on queries, mutations and introspection (183 to 225).
const BYTES_PER_TOKEN: usize = 224;
/// What an entry takes besides text and tokens.
const BYTES_PER_ENTRY: usize = 512;

/// The least recently used go first.
pub(crate) struct Cache {
    capacity: usize,
    inner: Mutex<Inner>,
}

struct Inner {
    /// The text is the key, so equal hashes alone never match.
    documents: LruCache<Arc<str>, Arc<Document>, std::hash::RandomState>,
    bytes: usize,
}

impl Cache {
    /// `capacity` in bytes; 0 keeps nothing.
    pub(crate) fn new(capacity: usize) -> Self {
        let documents = LruCache::unbounded_with_hasher(std::hash::RandomState::new());
        Self {
            capacity,
            inner: Mutex::new(Inner { documents, bytes: 0 }),
        }
    }

    pub(crate) fn get(&self, text: &str) -> Option<Arc<Document>> {
        self.lock().documents.get(text).cloned()
    }

    pub(crate) fn put(&self, document: &Arc<Document>) {
        let mut inner = self.lock();
        if inner
            .documents
            .put(Arc::clone(&document.text), Arc::clone(document))
            .is_none()
        {
            inner.bytes += weight(document);
        }
        while inner.bytes > self.capacity {
            let Some((_, oldest)) = inner.documents.pop_lru() else {
                break;
            };
            inner.bytes -= weight(&oldest);
        }
    }

    /// Roughly the bytes in use.
    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Nothing in here can be left half done by a panic.
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn weight(document: &Document) -> usize {
    BYTES_PER_ENTRY + document.text.len() + document.tokens * BYTES_PER_TOKEN
}
