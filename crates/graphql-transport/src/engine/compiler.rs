//! Gets documents from the cache, or compiles them beside the request's way, a bounded number at a time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use async_graphql::ServerError;
use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::{Registry, Unit},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Engine;
use crate::{
    documents::{Cache, Document, compile},
    error::{Code, Refusal},
    settings::Settings,
};

/// Shorter documents cost less to compile than to hand to another thread and back.
const INLINE_BYTES: usize = 1_024;

pub(super) struct Compiler {
    cache: Cache,
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_at_most: usize,
    hits: Counter,
    misses: Counter,
    bytes: Gauge,
}

impl Compiler {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            cache: Cache::new(settings.document_cache_bytes),
            permits: Arc::new(Semaphore::new(settings.compilations.max(1))),
            waiting: AtomicUsize::new(0),
            waiting_at_most: settings.compilations_waiting,
            hits: Counter::default(),
            misses: Counter::default(),
            bytes: Gauge::default(),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("graphql_documents");
        registry.register("hits", "Documents that were seen before", self.hits.clone());
        registry.register("misses", "Documents that had to be compiled", self.misses.clone());
        registry.register_with_unit(
            "cache",
            "Memory for documents, roughly",
            Unit::Bytes,
            self.bytes.clone(),
        );
    }

    /// The compiled document.
    pub(super) async fn document(engine: &Engine, text: String) -> Result<Arc<Document>, Vec<ServerError>> {
        let this = &engine.0.compiler;
        if let Some(document) = this.cache.get(&text) {
            this.hits.inc();
            return Ok(document);
        }
        this.misses.inc();
        // What is far too long is not worth a place in the queue.
        engine.settings().limits.check_text(&text)?;
        let permit = this.permit().await?;
        let document = if text.len() <= INLINE_BYTES {
            compile_for(engine, &text)?
        } else {
            let engine = engine.clone();
            // It goes on when its client is gone, and so does its permit.
            let compiling = move || {
                let _permit = permit;
                compile_for(&engine, &text)
            };
            let compiled = tokio::task::spawn_blocking(compiling).await;
            compiled.map_err(|_| Refusal::new(Code::Internal, "The document could not be compiled."))??
        };
        let document = Arc::new(document);
        this.cache.put(&document);
        this.bytes
            .set(i64::try_from(this.cache.bytes()).unwrap_or(i64::MAX));
        Ok(document)
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        let overloaded = || {
            Refusal::new(Code::Overloaded, "Too many new documents at a time.")
                .retry_after(Duration::from_secs(1))
        };
        let _place = Place::take(&self.waiting, self.waiting_at_most).ok_or_else(overloaded)?;
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        permit.map_err(|_| overloaded())
    }
}

fn compile_for(engine: &Engine, text: &str) -> Result<Document, Vec<ServerError>> {
    compile(text, &engine.settings().limits, &engine.0.env, &*engine.0.schema)
}

/// A place in a queue of bounded length, given back when dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(taken: &'a AtomicUsize, at_most: usize) -> Option<Self> {
        let place = Self(taken);
        // A place too many is given back as `place` is dropped.
        (taken.fetch_add(1, Relaxed) < at_most).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
