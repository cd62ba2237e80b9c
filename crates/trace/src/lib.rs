//! Traces: which request an effect belongs to, and the spans that show it. Only sampled traces make spans; for any
//! other, and where nobody exports them, a span is empty and costs neither memory nor a lock.

mod span;
mod traceparent;
mod tracer;

pub use opentelemetry::trace::SpanKind;
pub use opentelemetry_sdk::trace::SpanData;
pub use span::Span;
pub use traceparent::{NotATraceParent, TraceId, TraceParent};
pub use tracer::{Spans, Tracer};
