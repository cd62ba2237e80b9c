//! Builds the list anew from the log, beside the one that is served, and then serves it in its place.

use std::time::Duration;

use tiffin_eventstore::{Cursor, DerivedError, ReadError, SubscribeError};

use super::{List, batch::Batch};
use crate::tables::Generation;

/// How often it is looked whether another replica was asked for a building.
const LOOK: Duration = Duration::from_secs(1);

/// How much of the log is in memory at a time: twice a read, and what is gathered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portions {
    /// Events of one read, some 20 KiB each at most. An answer with fewer ends at the log's head.
    pub(crate) read: usize,
    /// So many changed orders are gathered: the more, the more of an order's events are written as one.
    pub(crate) orders: usize,
    /// But not more bytes of events than these.
    pub(crate) bytes: usize,
}

impl Default for Portions {
    fn default() -> Self {
        Self {
            read: 1_024,
            orders: 10_000,
            bytes: 16 << 20,
        }
    }
}

impl Portions {
    pub(super) fn are_gathered(&self, batch: &Batch) -> bool {
        batch.len() >= self.orders || batch.bytes() >= self.bytes
    }
}

#[derive(Debug, thiserror::Error)]
enum BuildError {
    #[error(transparent)]
    Derived(#[from] DerivedError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Subscription(#[from] SubscribeError),
}

impl BuildError {
    fn passes(&self) -> bool {
        match self {
            Self::Derived(error) => error.passes(),
            Self::Read(error) => error.passes(),
            Self::Subscription(_) => false,
        }
    }
}

impl List {
    /// Builds what is wanted, and goes on with what was begun; deletes what is obsolete.
    pub(super) async fn rebuild(&self) {
        loop {
            let built = async {
                match self.tables.generations().await?.building {
                    Some(generation) => self.build(generation).await?,
                    None => self.tables.clear().await?,
                }
                Ok::<_, BuildError>(())
            };
            match built.await {
                Ok(()) => drop(tokio::time::timeout(LOOK, self.wanted.notified()).await),
                Err(error) => {
                    self.rest("the building of the list pauses", error.passes(), &error)
                        .await;
                }
            }
        }
    }

    async fn build(&self, generation: Generation) -> Result<(), BuildError> {
        let mut saved = self.tables.checkpoint(generation).await?;
        tracing::info!(?generation, from = %saved.position, "building the list of orders anew");
        let read = self.portions.read;
        let mut batch = Batch::new(saved);
        let mut events = self.store.read_after(saved, read).await?;
        loop {
            for event in &events {
                self.push(&mut batch, event);
            }
            let reached = batch.reached();
            if events.len() < read {
                if self
                    .tables
                    .replace(generation, &batch.take(), &saved, reached)
                    .await?
                {
                    tracing::info!(?generation, to = %reached.position, "the list of orders is the new one");
                    self.replaced.notify_one();
                    return Ok(());
                }
                if self.tables.generations().await?.building != Some(generation) {
                    return Ok(());
                }
                // The list that is served has come further: there is more in the log.
                saved = reached;
                events = self.store.subscribe(saved).next().await?;
            } else if !self.portions.are_gathered(&batch) {
                events = self.store.read_after(reached, read).await?;
            } else {
                let (written, next) = tokio::join!(
                    self.put(generation, &mut batch, &mut saved),
                    self.store.read_after(reached, read)
                );
                written?;
                events = next?;
            }
        }
    }

    async fn put(
        &self,
        generation: Generation,
        batch: &mut Batch,
        saved: &mut Cursor,
    ) -> Result<(), DerivedError> {
        let reached = batch.reached();
        self.tables
            .advance(generation, &batch.take(), saved, reached)
            .await?;
        *saved = reached;
        Ok(())
    }
}
