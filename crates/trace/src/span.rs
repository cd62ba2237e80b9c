//! One operation of a trace, from its beginning to its end.

use std::{
    fmt::{self, Display},
    sync::{Arc, Mutex, PoisonError},
    time::{Instant, SystemTime},
};

use opentelemetry::{
    InstrumentationScope, KeyValue,
    trace::{Link, SpanId, SpanKind, Status},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::{TraceParent, tracer::Outlet};

/// An operation that is going on; it ends when the last clone is dropped. The default is one of no trace.
#[derive(Clone, Default)]
pub struct Span {
    context: Option<TraceParent>,
    recording: Option<Arc<Recording>>,
}

struct Recording {
    /// There until the end.
    data: Mutex<Option<SpanData>>,
    begun: Instant,
    outlet: Outlet,
}

impl Span {
    /// An operation that belongs to this trace and is not recorded.
    pub(crate) fn unrecorded(context: Option<TraceParent>) -> Self {
        Self {
            context,
            recording: None,
        }
    }

    /// An operation that is recorded as `own`.
    pub(crate) fn recorded(
        outlet: &Outlet,
        own: TraceParent,
        parent: Option<TraceParent>,
        kind: SpanKind,
        name: &dyn Display,
    ) -> Self {
        let start_time = wall_clock();
        let remote = matches!(kind, SpanKind::Server | SpanKind::Consumer);
        let data = SpanData {
            span_context: own.into(),
            parent_span_id: parent.map_or(SpanId::INVALID, TraceParent::span_id),
            parent_span_is_remote: parent.is_some() && remote,
            span_kind: kind,
            name: name.to_string().into(),
            start_time,
            end_time: start_time,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: scope(),
        };
        let recording = Recording {
            data: Mutex::new(Some(data)),
            begun: Instant::now(),
            outlet: outlet.clone(),
        };
        Self {
            context: Some(own),
            recording: Some(Arc::new(recording)),
        }
    }

    /// What the operation's effects belong to: itself if it is recorded, else what it was begun under, so that nothing
    /// is ever under a span that nobody exports.
    pub fn context(&self) -> Option<TraceParent> {
        self.context
    }

    /// The same as W3C text, for a header; none where it is not sampled.
    pub fn header(&self) -> Option<String> {
        let context = self.context.filter(|context| context.sampled());
        context.map(|context| context.to_string())
    }

    /// Gives it another name.
    pub fn rename(&self, name: impl Display) {
        self.record(|data| data.name = name.to_string().into());
    }

    /// Says something of it; written out only if it is recorded.
    pub fn set(&self, key: &'static str, value: impl Display) {
        self.record(|data| data.attributes.push(KeyValue::new(key, value.to_string())));
    }

    /// Says a number of it.
    pub fn set_number(&self, key: &'static str, value: impl Into<i64>) {
        self.record(|data| data.attributes.push(KeyValue::new(key, value.into())));
    }

    /// Says that it has another cause, besides the one that it is under.
    pub fn link(&self, cause: TraceParent) {
        self.record(|data| data.links.links.push(Link::with_context(cause.into())));
    }

    /// Says that it failed, by a word that stands for all failures of the kind; never by a text that may hold what
    /// somebody wrote.
    pub fn fail(&self, kind: impl Display) {
        self.record(|data| {
            data.status = Status::error("");
            data.attributes
                .push(KeyValue::new("error.type", kind.to_string()));
        });
    }

    /// Takes it back: it is not exported, whoever has it.
    pub fn discard(self) {
        let Some(recording) = &self.recording else { return };
        *recording.data.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn record(&self, change: impl FnOnce(&mut SpanData)) {
        let Some(recording) = &self.recording else { return };
        let mut data = recording.data.lock().unwrap_or_else(PoisonError::into_inner);
        data.as_mut().map(change);
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let data = self.data.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut data) = data.take() {
            data.end_time = data.start_time + self.begun.elapsed();
            self.outlet.send(data);
        }
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Span").field(&self.context).finish()
    }
}

/// Who speaks.
fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("tiffin")
        .with_version(env!("CARGO_PKG_VERSION"))
        .build()
}

#[expect(
    clippy::disallowed_methods,
    reason = "spans lie beside those of other programs, which know no clock of this database"
)]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}
