//! One step of one order: fold, decide, append. Only `decide` refuses.

use std::{sync::Arc, time::Instant};

use tiffin_eventstore::{
    Append, AppendError, Cursor, EventStore, Expected, NewEvent, RecordedEvent, Revision, StreamName, Urgency,
};
use tiffin_order::{Actor, Input, NewFact, Order, OrderId, decide, evolve};
use tiffin_proto::{Context, Encoded, encode};
use tiffin_runtime::TraceParent;
use uuid::Uuid;

use super::{Failure, Loaded, Workflows, cache::Cache, fold};
use crate::metrics::Metrics;

/// How often an input is decided on anew because somebody else changed the order in between.
const DECISIONS: usize = 8;

/// On whose behalf something happens.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin {
    /// Who; `None` for the saga itself.
    pub(crate) actor: Option<Actor>,
    /// The trace that the request belongs to; else the order's own goes on.
    pub(crate) traceparent: Option<Arc<str>>,
}

/// Takes steps.
pub(crate) struct Saga {
    pub(crate) store: EventStore,
    pub(crate) workflows: Workflows,
    pub(crate) cache: Cache,
    pub(crate) metrics: Metrics,
}

impl Saga {
    /// Carries `input` out on the order, and returns the order as it then is.
    pub(crate) async fn step(
        &self,
        id: OrderId,
        input: &Input,
        origin: &Origin,
    ) -> Result<Arc<Loaded>, Failure> {
        let begun = Instant::now();
        for _ in 0..DECISIONS {
            let before = self.load(id).await?;
            let workflow = self.workflows.of(&before.order).await?;
            let now = self.store.now();
            let decided = decide(&before.order, input.clone(), &workflow, now);
            let new = decided.inspect_err(|refusal| self.metrics.refused(refusal))?;
            if new.is_empty() {
                return Ok(before);
            }
            match self.append(id, &before, &new, origin).await {
                Ok(after) => {
                    if let (Input::Wake, Some(due)) = (input, before.order.wake_at()) {
                        self.metrics.woken(now - due);
                    }
                    let is_visible = after.order.version() != before.order.version();
                    let status = after.order.status().filter(|_| is_visible);
                    self.metrics.stepped(begun.elapsed(), status);
                    self.cache.put(id, &after);
                    tell(id, &after);
                    return Ok(after);
                }
                Err(AppendError::Conflict { .. }) => self.metrics.conflicts.inc(),
                Err(error) => {
                    self.cache.forget(id);
                    return Err(error.into());
                }
            };
            self.cache.forget(id);
        }
        Err(Failure::Contended)
    }

    /// The order from memory, else from its stream.
    async fn load(&self, id: OrderId) -> Result<Arc<Loaded>, Failure> {
        if let Some(known) = self.cache.get(id) {
            return Ok(known);
        }
        let loaded = Arc::new(self.read(id).await?);
        self.cache.put(id, &loaded);
        Ok(loaded)
    }

    /// The order from its stream.
    pub(crate) async fn read(&self, id: OrderId) -> Result<Loaded, Failure> {
        let streams = self.store.read_streams(&[StreamName::from(id.stream())]).await?;
        fold(streams.first().map_or(&[], Vec::as_slice))
    }

    /// Keeps a new order as its first event shows it, if that is still in memory. If more has happened to the order, the
    /// next append is refused, and the stream read.
    pub(crate) fn recall(&self, first: Option<Cursor>) {
        let Some(first) = first.and_then(|cursor| self.store.recent(cursor)) else {
            return;
        };
        if first.revision == Revision::FIRST
            && let Some(id) = OrderId::from_stream(first.stream.as_str())
            && let Ok(loaded) = fold(&[first])
        {
            self.cache.put(id, &Arc::new(loaded));
        }
    }

    /// Reads those orders into memory that are not there, all at once; what cannot be read is seen in its step.
    pub(crate) async fn preload(&self, ids: &[OrderId]) {
        let missing: Vec<_> = ids
            .iter()
            .copied()
            .filter(|id| self.cache.get(*id).is_none())
            .collect();
        if missing.is_empty() {
            return;
        }
        let names: Vec<_> = missing.iter().map(|id| StreamName::from(id.stream())).collect();
        let Ok(streams) = self.store.read_streams(&names).await else {
            return;
        };
        for (id, events) in missing.into_iter().zip(streams) {
            if let Ok(loaded) = fold(&events) {
                self.cache.put(id, &Arc::new(loaded));
            }
        }
    }

    async fn append(
        &self,
        id: OrderId,
        before: &Loaded,
        new: &[NewFact],
        origin: &Origin,
    ) -> Result<Arc<Loaded>, AppendError> {
        let context = context(before, origin);
        let mut order = before.order.clone();
        let mut events = Vec::with_capacity(new.len());
        for fact in new {
            events.push(event(id, &order, fact, &context));
            order = evolve(order, &fact.fact, self.store.now());
        }
        let append = Append {
            stream: StreamName::from(id.stream()),
            expected: Expected::Exact(before.revision),
            events,
            urgency: Urgency::Continue,
        };
        let recorded = self.store.append(append).await?.events;
        Ok(Arc::new(after(before, new, &recorded, context.traceparent)))
    }
}

/// The event by which `new` is recorded.
pub(crate) fn event(id: OrderId, before: &Order, new: &NewFact, context: &Context) -> NewEvent {
    new_event(encode(id, before, new, context))
}

/// The event with this content, under an id of its own.
pub(crate) fn new_event(encoded: Encoded) -> NewEvent {
    NewEvent {
        id: Uuid::now_v7(),
        kind: encoded.kind.into(),
        data: encoded.data,
        metadata: encoded.metadata,
    }
}

/// The order with what was recorded, at the times at which it was.
fn after(
    before: &Loaded,
    new: &[NewFact],
    recorded: &[Arc<RecordedEvent>],
    traceparent: Option<Arc<str>>,
) -> Loaded {
    let order = new
        .iter()
        .zip(recorded)
        .fold(before.order.clone(), |order, (new, recorded)| {
            evolve(order, &new.fact, recorded.created_at)
        });
    let revision = recorded.last().map_or(before.revision, |last| last.revision);
    Loaded {
        order,
        revision,
        traceparent,
    }
}

/// The request's trace goes on, else that of the order's last event.
fn context(before: &Loaded, origin: &Origin) -> Context {
    let parent = origin.traceparent.as_deref().or(before.traceparent.as_deref());
    let child = parent.and_then(|text| text.parse().ok()).map(TraceParent::child);
    Context {
        actor: origin.actor.clone(),
        traceparent: child.map(|child| child.to_string().into()),
        input_hash: None,
    }
}

/// One line for each order at its end; the steps before it only for who asks for them.
fn tell(id: OrderId, after: &Loaded) {
    let (Some(status), Some(version)) = (after.order.status(), after.order.version()) else {
        return;
    };
    let trace_id = after
        .traceparent
        .as_deref()
        .and_then(|text| text.parse().ok())
        .map(TraceParent::trace_id);
    let trace_id = trace_id.unwrap_or_default();
    if after.order.is_finished() {
        tracing::info!(order.id = %id, order.version = version.get(), trace.id = trace_id, %status, "order finished");
    } else {
        tracing::debug!(order.id = %id, order.version = version.get(), trace.id = trace_id, %status, "order moved");
    }
}
