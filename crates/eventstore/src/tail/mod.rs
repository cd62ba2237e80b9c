//! The one tail of a process: fed by its own writer, by SQL only across a gap, and shared by all subscriptions.

mod follow;
mod ring;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    Cursor, Direction, Fault, Position, ReadError, RecordedEvent,
    backend::{Backend, Read},
    fault::Backoff,
    health::Health,
    metrics::Metrics,
};
pub(crate) use follow::BATCH;
pub(crate) use ring::After;
use ring::Ring;

pub(crate) struct Tail {
    backend: Arc<dyn Backend>,
    ring: Mutex<Ring>,
    most_bytes: usize,
    head: watch::Sender<Position>,
    replaced: watch::Sender<u64>,
    replacing: tokio::sync::Mutex<()>,
    wake: Notify,
    health: Arc<Health>,
    metrics: Metrics,
    closing: CancellationToken,
}

impl Tail {
    pub(crate) fn new(
        backend: Arc<dyn Backend>,
        head: Cursor,
        most_bytes: usize,
        health: Arc<Health>,
        metrics: Metrics,
        closing: CancellationToken,
    ) -> Self {
        Self {
            backend,
            ring: Mutex::new(Ring::new(head, most_bytes)),
            most_bytes,
            head: watch::Sender::new(head.position),
            replaced: watch::Sender::new(0),
            replacing: tokio::sync::Mutex::default(),
            wake: Notify::new(),
            health,
            metrics,
            closing,
        }
    }

    /// The last event that is known without a gap.
    pub(crate) fn head(&self) -> Cursor {
        self.ring().head()
    }

    /// Changes with each event that becomes known, and when the log is replaced.
    pub(crate) fn heads(&self) -> watch::Receiver<Position> {
        let heads = self.head.subscribe();
        // It may only have kept up with the log's end until now.
        self.wake.notify_one();
        heads
    }

    fn is_followed(&self) -> bool {
        self.head.receiver_count() > 0
    }

    /// Leaves out what lies before `end`, which stood in the log in `generation`.
    fn begin_at(&self, end: Cursor, generation: u64) {
        {
            let mut ring = self.ring();
            if self.generation() != generation || end.position <= ring.head().position {
                return;
            }
            *ring = Ring::new(end, self.most_bytes);
        }
        self.head.send_replace(end.position);
    }

    pub(crate) fn after(&self, cursor: Cursor, limit: usize) -> After {
        self.ring().after(cursor, limit)
    }

    /// The event at a cursor, if it is in memory.
    pub(crate) fn at(&self, cursor: Cursor) -> Option<Arc<RecordedEvent>> {
        self.ring().at(cursor).cloned()
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// Takes in committed events, in the order of the log, that were asked for in `generation`. If the log was replaced
    /// since, they may be the old one's: it is read again. Subscriptions wait until they are told.
    pub(crate) fn take_in(&self, events: &[Arc<RecordedEvent>], generation: u64) {
        let complete = {
            let mut ring = self.ring();
            let current = self.generation() == generation;
            if current {
                ring.take_in(events);
            }
            current && ring.gap().is_none()
        };
        if !complete {
            self.wake.notify_one();
        }
    }

    /// Wakes the subscriptions that wait for what was taken in.
    pub(crate) fn tell(&self) {
        // The head is read under the lock of what is told, lest one from before a replacement be told after it.
        self.head.send_if_modified(|known| {
            let head = self.head().position;
            std::mem::replace(known, head) != head
        });
    }

    /// Somebody committed up to `position`.
    pub(crate) fn nudge(&self, position: Position) {
        if position > self.head().position {
            self.wake.notify_one();
        }
    }

    /// Waits until the events up to `position` are known, and has them read at once. In a process in which nobody follows the
    /// log there is nothing to wait for.
    pub(crate) async fn reached(&self, position: Position) {
        if !self.is_followed() {
            return;
        }
        let mut heads = self.head.subscribe();
        self.nudge(position);
        // The sender lives as long as the tail.
        let _position = heads.wait_for(|_told| self.head().position >= position).await;
    }

    /// How often the log was replaced.
    pub(crate) fn generation(&self) -> u64 {
        *self.replaced.borrow()
    }

    pub(crate) fn replacements(&self) -> watch::Receiver<u64> {
        self.replaced.subscribe()
    }

    /// A cursor that was good in `generation` is not in the log: starts anew at its present end, unless that was done.
    pub(crate) async fn log_replaced(&self, generation: u64) {
        let _one_at_a_time = self.replacing.lock().await;
        if self.generation() != generation {
            return;
        }
        let mut backoff = Backoff::new();
        let head = loop {
            match last_cursor(&*self.backend).await {
                Ok(head) => break head,
                Err(_) if self.closing.is_cancelled() => return,
                Err(_) => backoff.pause().await,
            }
        };
        tracing::error!(
            position = head.position.0,
            "the log was replaced by another one; starting anew at its end"
        );
        {
            let mut ring = self.ring();
            *ring = Ring::new(head, self.most_bytes);
            self.replaced.send_modify(|count| *count += 1);
        }
        self.head.send_replace(head.position);
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The log's last event.
pub(crate) async fn last(backend: &dyn Backend) -> Result<Option<Arc<RecordedEvent>>, Fault> {
    let last = Read::All {
        after: Position::END,
        direction: Direction::Backwards,
        limit: 1,
    };
    Ok(backend.read(last).await?.pop())
}

pub(crate) async fn last_cursor(backend: &dyn Backend) -> Result<Cursor, Fault> {
    Ok(last(backend).await?.map_or(Cursor::START, |event| event.cursor()))
}

/// Reads what comes after a cursor. The cursor's own event is read along, so that a replaced log is noticed.
pub(crate) async fn read_after(
    backend: &dyn Backend,
    cursor: Cursor,
    limit: usize,
) -> Result<Vec<Arc<RecordedEvent>>, ReadError> {
    let forwards = |after, limit| Read::All {
        after,
        direction: Direction::Forwards,
        limit,
    };
    let Some(before) = cursor.position.0.checked_sub(1) else {
        return Ok(backend.read(forwards(Position::START, limit)).await?);
    };
    let mut events = backend
        .read(forwards(Position(before), limit.saturating_add(1)))
        .await?;
    if events.first().map(|event| event.cursor()) != Some(cursor) {
        return Err(ReadError::LogReplaced);
    }
    events.remove(0);
    Ok(events)
}
