//! W3C trace context: where in a trace an operation is.

use std::{fmt, str::FromStr};

use opentelemetry::trace::{self, SpanContext, SpanId, TraceFlags, TraceState};

/// The place of one operation in a trace, as `traceparent` carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace: u128,
    span: u64,
    sampled: bool,
}

/// The text is not a `traceparent`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a traceparent")]
pub struct NotATraceParent;

/// The id of a trace, 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(u128);

impl TraceParent {
    /// A new trace, sampled with this probability.
    pub(crate) fn start(ratio: f64) -> Self {
        Self {
            trace: rand::random_range(1..=u128::MAX),
            span: new_span(),
            sampled: rand::random_bool(ratio),
        }
    }
    /// An operation below this one, in the same trace.
    #[must_use]
    pub fn child(self) -> Self {
        Self {
            span: new_span(),
            ..self
        }
    }

    /// Whether the trace is recorded; only then is it worth a header.
    pub fn sampled(self) -> bool {
        self.sampled
    }

    /// The trace's id, for the log.
    pub fn trace_id(self) -> TraceId {
        TraceId(self.trace)
    }

    pub(crate) fn span_id(self) -> SpanId {
        SpanId::from(self.span)
    }
}

impl From<TraceParent> for SpanContext {
    fn from(parent: TraceParent) -> Self {
        let flags = if parent.sampled {
            TraceFlags::SAMPLED
        } else {
            TraceFlags::default()
        };
        let trace = trace::TraceId::from(parent.trace);
        Self::new(trace, parent.span_id(), flags, true, TraceState::NONE)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

fn new_span() -> u64 {
    rand::random_range(1..=u64::MAX)
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{:032x}-{:016x}-{:02x}",
            self.trace,
            self.span,
            u8::from(self.sampled)
        )
    }
}

impl FromStr for TraceParent {
    type Err = NotATraceParent;

    /// Reads version 00, and what it shares with later versions.
    fn from_str(text: &str) -> Result<Self, NotATraceParent> {
        let mut parts = text.trim().split('-');
        let mut hex = |digits: usize| {
            let part = parts.next().filter(|part| part.len() == digits)?;
            part.bytes().try_fold(0_u128, |number, digit| match digit {
                b'0'..=b'9' => Some(number << 4 | u128::from(digit - b'0')),
                b'a'..=b'f' => Some(number << 4 | u128::from(digit - b'a' + 10)),
                _ => None,
            })
        };
        let fields = (hex(2), hex(32), hex(16), hex(2));
        let (Some(version), Some(trace), Some(span), Some(flags)) = fields else {
            return Err(NotATraceParent);
        };
        let more = parts.next().is_some();
        if trace == 0 || span == 0 || version == 0xff || (version == 0 && more) {
            return Err(NotATraceParent);
        }
        let span = u64::try_from(span).map_err(|_| NotATraceParent)?;
        Ok(Self {
            trace,
            span,
            sampled: flags & 1 == 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_read_is_what_is_written() {
        let parent: TraceParent = GIVEN.parse().unwrap();
        assert!(parent.sampled());
        assert_eq!(parent.to_string(), GIVEN);
        assert_eq!(parent.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03-more";
        assert_eq!(later.parse::<TraceParent>().unwrap().to_string(), GIVEN);
    }

    #[test]
    fn what_the_standard_forbids_is_refused() {
        for wrong in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(wrong.parse::<TraceParent>(), Err(NotATraceParent), "{wrong}");
        }
    }
}
