//! Begins spans, and hands those that have ended to whoever exports them.

use std::{
    fmt::Display,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::trace::SpanData;
use tokio::sync::mpsc;

use crate::{Span, TraceParent};

/// Begins spans; clones are one.
#[derive(Clone, Debug)]
pub struct Tracer {
    ratio: f64,
    outlet: Option<Outlet>,
}

/// The way of ended spans to whoever exports them. Nobody ever waits for room in it.
#[derive(Clone, Debug)]
pub(crate) struct Outlet {
    sender: mpsc::Sender<SpanData>,
    lost: Arc<AtomicU64>,
}

/// The spans that have ended.
#[derive(Debug)]
pub struct Spans {
    receiver: mpsc::Receiver<SpanData>,
    lost: Arc<AtomicU64>,
}

impl Tracer {
    /// Samples this share of new traces, from 0 to 1, and records no span.
    pub fn silent(ratio: f64) -> Self {
        Self {
            ratio: ratio.clamp(0.0, 1.0),
            outlet: None,
        }
    }

    /// Samples this share of new traces, from 0 to 1. At most `waiting` ended spans are kept for whoever takes them;
    /// more are lost.
    pub fn recording(ratio: f64, waiting: usize) -> (Self, Spans) {
        let (sender, receiver) = mpsc::channel(waiting);
        let lost = Arc::new(AtomicU64::new(0));
        let outlet = Outlet {
            sender,
            lost: Arc::clone(&lost),
        };
        let tracer = Self {
            outlet: Some(outlet),
            ..Self::silent(ratio)
        };
        (tracer, Spans { receiver, lost })
    }

    /// A request from outside: continues the client's trace, or starts one where the client brought none that can be
    /// read.
    pub fn request(&self, given: Option<&str>, name: impl Display) -> Span {
        if let Some(client) = given.and_then(|text| text.parse().ok()) {
            return self.span(Some(client), SpanKind::Server, name);
        }
        let own = TraceParent::start(self.ratio);
        match self.outlet(own) {
            Some(outlet) => Span::recorded(outlet, own, None, SpanKind::Server, &name),
            None => Span::unrecorded(Some(own)),
        }
    }

    /// An operation below `parent`, recorded only where that is sampled.
    pub fn span(&self, parent: Option<TraceParent>, kind: SpanKind, name: impl Display) -> Span {
        match parent.and_then(|parent| Some((parent, self.outlet(parent)?))) {
            Some((under, outlet)) => Span::recorded(outlet, under.child(), parent, kind, &name),
            None => Span::unrecorded(parent),
        }
    }

    fn outlet(&self, context: TraceParent) -> Option<&Outlet> {
        self.outlet.as_ref().filter(|_| context.sampled())
    }
}

impl Outlet {
    pub(crate) fn send(&self, span: SpanData) {
        if self.sender.try_send(span).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Spans {
    /// Waits for ended spans and takes at most `limit`; how many. Cancel-safe; 0 when every tracer is gone.
    pub async fn take(&mut self, into: &mut Vec<SpanData>, limit: usize) -> usize {
        self.receiver.recv_many(into, limit).await
    }

    /// Takes what has ended already, at most `limit`.
    pub fn take_ready(&mut self, into: &mut Vec<SpanData>, limit: usize) {
        let ready = std::iter::from_fn(|| self.receiver.try_recv().ok());
        into.extend(ready.take(limit));
    }

    /// How many spans were lost for want of room since this was asked last.
    pub fn lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

    fn ended(spans: &mut Spans) -> Vec<SpanData> {
        let mut found = Vec::new();
        spans.take_ready(&mut found, 100);
        found
    }

    #[test]
    fn a_span_is_exported_once_under_its_parent_when_its_last_clone_is_gone() {
        let (tracer, mut spans) = Tracer::recording(0.0, 10);
        let request = tracer.request(Some(SAMPLED), "a request");
        let inner = tracer.span(request.context(), SpanKind::Internal, format_args!("step {}", 1));
        inner.set("what", 7);
        inner.set_number("number", 7);
        inner.fail("broken");
        let again = inner.clone();
        drop(inner);
        assert!(ended(&mut spans).is_empty());
        drop((again, request));
        let [inner, request] = &ended(&mut spans)[..] else {
            panic!("not two")
        };
        assert_eq!((&*inner.name, &*request.name), ("step 1", "a request"));
        assert_eq!(inner.parent_span_id, request.span_context.span_id());
        let client: TraceParent = SAMPLED.parse().unwrap();
        assert_eq!(request.parent_span_id, client.span_id());
        assert_eq!(request.span_context.trace_id(), inner.span_context.trace_id());
        assert!(request.parent_span_is_remote && !inner.parent_span_is_remote);
        assert_eq!(inner.attributes.len(), 3);
    }

    #[test]
    fn a_span_that_is_taken_back_is_not_exported() {
        let (tracer, mut spans) = Tracer::recording(0.0, 10);
        let parent = Some(SAMPLED.parse().unwrap());
        let span = tracer.span(parent, SpanKind::Producer, "a publication");
        let again = span.clone();
        span.discard();
        again.set("what", 7);
        drop(again);
        assert!(ended(&mut spans).is_empty());
    }

    #[test]
    fn what_is_not_sampled_is_not_recorded_and_hands_its_own_parent_on() {
        let (tracer, mut spans) = Tracer::recording(0.0, 10);
        for given in [Some(UNSAMPLED), None] {
            let request = tracer.request(given, "a request");
            let context = request.context().unwrap();
            assert!(!context.sampled());
            let inner = tracer.span(Some(context), SpanKind::Internal, "a step");
            assert_eq!(inner.context(), Some(context));
        }
        assert_eq!(tracer.span(None, SpanKind::Internal, "a step").context(), None);
        assert!(ended(&mut spans).is_empty());
    }

    #[test]
    fn what_is_not_sampled_allocates_nothing() {
        let (recording, _spans) = Tracer::recording(0.0, 10);
        for tracer in [recording, Tracer::silent(0.0)] {
            // Each thread has a source of chance, made when it is first asked.
            let other = tracer.request(None, "a request");
            let used = allocation_counter::measure(|| {
                let request = tracer.request(None, "a request");
                let inner = tracer.span(request.context(), SpanKind::Internal, format_args!("step {}", 1));
                inner.rename(format_args!("step {}", 2));
                inner.set("what", "text");
                inner.set_number("number", 7);
                inner.link(other.context().unwrap());
                inner.fail("broken");
                assert_eq!(inner.header(), None);
            });
            assert_eq!(used.count_total, 0);
        }
    }

    #[test]
    fn a_sampled_trace_that_nobody_exports_goes_through_unchanged() {
        let parent = Some(SAMPLED.parse().unwrap());
        let span = Tracer::silent(1.0).span(parent, SpanKind::Internal, "a step");
        assert_eq!(span.context(), parent);
    }

    #[test]
    fn a_new_trace_is_sampled_by_the_ratio() {
        let sampled = |ratio| {
            Tracer::silent(ratio)
                .request(Some("rubbish"), "it")
                .context()
                .unwrap()
                .sampled()
        };
        assert!(sampled(1.0) && !sampled(0.0));
    }

    #[test]
    fn what_finds_no_room_is_lost_and_counted() {
        let (tracer, mut spans) = Tracer::recording(1.0, 2);
        for _ in 0..5 {
            tracer.request(None, "a request");
        }
        assert_eq!((ended(&mut spans).len(), spans.lost(), spans.lost()), (2, 3, 0));
    }
}
