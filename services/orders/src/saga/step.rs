//! One step of one order: fold, decide, append. Only `decide` refuses.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use tiffin_eventstore::{
    Append, AppendError, Cursor, EventStore, Expected, NewEvent, RecordedEvent, Revision, StreamName, Urgency,
};
use tiffin_order::{Actor, Input, NewFact, Order, OrderId, decide, evolve};
use tiffin_platform::spans;
use tiffin_proto::{Context, Encoded, encode};
use tiffin_trace::{Span, SpanKind, TraceParent, Tracer};
use tracing::field::display;
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
    /// What the message or request belongs to; else the order's own trace goes on.
    pub(crate) trace: Option<TraceParent>,
}

/// Takes steps.
pub(crate) struct Saga {
    pub(crate) store: EventStore,
    pub(crate) workflows: Workflows,
    pub(crate) cache: Cache,
    pub(crate) metrics: Metrics,
    pub(crate) tracer: Tracer,
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
            let span = self.span(id, input, origin, &before);
            let now = self.store.now();
            let decided = decide(&before.order, input.clone(), &workflow, now);
            let new = decided.inspect_err(|refusal| {
                span.fail("refused");
                self.metrics.refused(refusal);
            })?;
            if new.is_empty() {
                return Ok(before);
            }
            match self.append(id, &before, &new, origin, &span).await {
                Ok(after) => {
                    if let (Input::Wake, Some(due)) = (input, before.order.wake_at()) {
                        self.metrics.woken(now - due);
                    }
                    let is_visible = after.order.version() != before.order.version();
                    let status = after.order.status().filter(|_| is_visible);
                    self.metrics.stepped(begun.elapsed(), status);
                    self.cache.put(id, &after);
                    tell(id, &after, &span);
                    return Ok(after);
                }
                Err(AppendError::Conflict { .. }) => {
                    span.fail("conflict");
                    self.metrics.conflicts.inc();
                }
                Err(error) => {
                    span.fail("unavailable");
                    self.cache.forget(id);
                    return Err(error.into());
                }
            }
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
    pub(crate) fn recall(&self, first: Cursor) {
        let Some(first) = self.store.recent(first) else {
            return;
        };
        if first.revision == Revision::FIRST
            && let Some(id) = OrderId::from_stream(first.stream.as_str())
            && let Some(loaded) = folded(&[first])
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
            if let Some(loaded) = folded(&events) {
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
        step: &Span,
    ) -> Result<Arc<Loaded>, AppendError> {
        let span = spans::append(&self.tracer, &self.store, step.context());
        span.set(spans::ORDER_ID, id);
        let trace = span.context();
        let context = Context {
            actor: origin.actor.clone(),
            trace,
            input_hash: None,
        };
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
        let appended = self.store.append(append).await;
        let recorded = appended.inspect_err(|_| span.fail("refused"))?.events;
        Ok(Arc::new(after(before, new, &recorded, trace)))
    }

    /// A step is under what asked for it: the message, the request, or the order's last append, which set the timer that
    /// woke it, however long ago. A request from another trace goes on in that; the order's is then a link.
    fn span(&self, id: OrderId, input: &Input, origin: &Origin, before: &Loaded) -> Span {
        let name = match input {
            Input::Create { .. } => "saga create",
            Input::Start => "saga start",
            Input::Wake => "saga wake",
            Input::Cancel { .. } => "saga cancel",
            Input::Park { .. } => "saga park",
        };
        let cause = origin.trace.or(before.trace);
        let span = self.tracer.span(cause, SpanKind::Internal, name);
        span.set(spans::ORDER_ID, id);
        if let (Some(cause), Some(order)) = (cause, before.trace)
            && order.sampled()
            && order.trace_id() != cause.trace_id()
        {
            span.link(order);
        }
        span
    }
}

/// The order, unless its stream cannot be folded: its step meets that again, and is guarded.
fn folded(events: &[Arc<RecordedEvent>]) -> Option<Loaded> {
    catch_unwind(AssertUnwindSafe(|| fold(events))).ok()?.ok()
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
    trace: Option<TraceParent>,
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
        trace,
    }
}

/// A line for each step, for who asks for it; what they cost is in docs/performance.md.
fn tell(id: OrderId, after: &Loaded, span: &Span) {
    let (Some(status), Some(version)) = (after.order.status(), after.order.version()) else {
        return;
    };
    span.set(spans::ORDER_STATUS, status);
    span.set_number(spans::ORDER_VERSION, version.get());
    let trace_id = after.trace.map(TraceParent::trace_id).map(display);
    tracing::debug!(order.id = %id, order.version = version.get(), trace_id, %status, "order moved");
}
