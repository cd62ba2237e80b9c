//! The workflows in the log: the one that new orders are started under, and those of the orders under way.

use std::{
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
};

use lru::LruCache;
use tiffin_eventstore::{
    Append, AppendError, Direction, EventStore, Expected, Revision, StreamName, Urgency,
};
use tiffin_order::{Order, Workflow, WorkflowId};
use tiffin_proto::{encode_workflow, workflow};

use super::{Failure, step::new_event};

/// How many workflows of former configurations are kept in memory.
const KEPT: NonZeroUsize = NonZeroUsize::new(64).expect("not zero");

/// Finds the workflow of an order.
pub(crate) struct Workflows {
    store: EventStore,
    current: Workflow,
    speed: f64,
    former: Mutex<LruCache<WorkflowId, Workflow>>,
}

impl Workflows {
    /// New orders are started under `current`; every wait is divided by `speed`.
    pub(crate) fn new(store: EventStore, current: Workflow, speed: f64) -> Self {
        let current = current.sped_up(speed);
        Self {
            store,
            current,
            speed,
            former: Mutex::new(LruCache::new(KEPT)),
        }
    }

    /// Puts the current workflow into the log, if it is not there yet.
    pub(crate) async fn define(&self) -> Result<(), AppendError> {
        let append = Append {
            stream: StreamName::from(self.current.id().stream()),
            expected: Expected::NoStream,
            events: vec![new_event(encode_workflow(&self.current))],
            urgency: Urgency::Continue,
        };
        match self.store.append(append).await {
            Ok(_) | Err(AppendError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The workflow that decides about this order.
    pub(crate) async fn of(&self, order: &Order) -> Result<Workflow, Failure> {
        match order.workflow() {
            Some(id) if id != self.current.id() => self.former(id).await,
            _ => Ok(self.current.clone()),
        }
    }

    async fn former(&self, id: &WorkflowId) -> Result<Workflow, Failure> {
        if let Some(known) = self.former.lock().unwrap_or_else(PoisonError::into_inner).get(id) {
            return Ok(known.clone());
        }
        let found = self.read(id).await?.sped_up(self.speed);
        self.former
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .put(*id, found.clone());
        Ok(found)
    }

    async fn read(&self, id: &WorkflowId) -> Result<Workflow, Failure> {
        let stream = StreamName::from(id.stream());
        let events = self
            .store
            .read_stream(&stream, Revision::FIRST, Direction::Forwards, 1)
            .await?;
        let event = events
            .first()
            .ok_or_else(|| Failure::Broken(format!("{stream} is not in the log")))?;
        let found = Workflow::parse(&workflow(&event.data)?)
            .map_err(|error| Failure::Broken(format!("{stream}: {error}")))?;
        if found.id() != id {
            return Err(Failure::Broken(format!("{stream} holds another workflow")));
        }
        Ok(found)
    }
}
