//! W3C trace context: reading, continuing and starting traces.

use std::{fmt, str::FromStr};

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

/// Decides which new traces are sampled.
#[derive(Clone, Copy, Debug)]
pub struct Sampler {
    ratio: f64,
}

impl Sampler {
    /// Samples the given share of new traces, from 0 to 1.
    pub fn new(ratio: f64) -> Self {
        Self {
            ratio: ratio.clamp(0.0, 1.0),
        }
    }

    /// Continues the caller's trace, or starts one where the caller brought none that can be read.
    pub fn continue_or_start(self, header: Option<&str>) -> TraceParent {
        match header.and_then(|text| text.parse::<TraceParent>().ok()) {
            Some(parent) => parent.child(),
            None => TraceParent {
                trace: rand::random_range(1..=u128::MAX),
                span: new_span(),
                sampled: rand::random_bool(self.ratio),
            },
        }
    }
}

impl TraceParent {
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

    /// The trace's id, 32 hexadecimal digits, for the log.
    pub fn trace_id(self) -> String {
        format!("{:032x}", self.trace)
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
            let lower = part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            if lower {
                u128::from_str_radix(part, 16).ok()
            } else {
                None
            }
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
        assert_eq!(parent.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    }

    #[test]
    fn a_callers_trace_goes_on_under_a_new_span_with_its_sampling() {
        let child = Sampler::new(0.0).continue_or_start(Some(GIVEN));
        assert!(child.sampled());
        assert_eq!(child.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_ne!(child.to_string(), GIVEN);
    }

    #[test]
    fn a_new_trace_is_sampled_by_the_ratio() {
        assert!(Sampler::new(1.0).continue_or_start(None).sampled());
        assert!(!Sampler::new(0.0).continue_or_start(Some("rubbish")).sampled());
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
