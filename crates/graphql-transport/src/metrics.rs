//! What the transports count.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use crate::error::Code;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    transport: &'static str,
    code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByTransport {
    transport: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Closed {
    code: u16,
}

/// The codes that say that something is wrong on our side.
const OURS: [Code; 4] = [Code::Overloaded, Code::Timeout, Code::Unavailable, Code::Internal];

/// Counters and gauges of all transports of a service.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    requests: Family<Outcome, Counter>,
    connections: Family<ByTransport, Gauge>,
    subscriptions: Family<ByTransport, Gauge>,
    closes: Family<Closed, Counter>,
    dropped: Family<ByTransport, Counter>,
    durations: Family<ByTransport, Histogram, fn() -> Histogram>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            requests: Family::default(),
            connections: Family::default(),
            subscriptions: Family::default(),
            closes: Family::default(),
            dropped: Family::default(),
            // 0.5 ms to 16 s.
            durations: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.000_5, 2.0, 16))),
        }
    }

    /// Shows a transport before anything has come over it: a rate needs the zero that came before the first.
    pub(crate) fn begin(&self, transport: &'static str) {
        for code in OURS.map(Code::as_str).into_iter().chain(["OK"]) {
            let code = code.to_owned();
            drop(self.requests.get_or_create(&Outcome { transport, code }));
        }
    }

    /// The same, for one whose connections stay open.
    pub(crate) fn begin_streams(&self, transport: &'static str) {
        self.begin(transport);
        let of = ByTransport { transport };
        drop(self.connections.get_or_create(&of));
        drop(self.subscriptions.get_or_create(&of));
        drop(self.dropped.get_or_create(&of));
    }

    /// Shows the codes with which sockets may be closed.
    pub(crate) fn begin_closes(&self, codes: impl IntoIterator<Item = u16>) {
        for code in codes {
            drop(self.closes.get_or_create(&Closed { code }));
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("graphql");
        registry.register(
            "requests",
            "Operations, by the code of their first error",
            self.requests.clone(),
        );
        registry.register(
            "connections",
            "Open WebSockets and SSE streams",
            self.connections.clone(),
        );
        registry.register(
            "subscriptions",
            "Running subscriptions",
            self.subscriptions.clone(),
        );
        registry.register(
            "closes",
            "WebSockets closed by the server, by close code",
            self.closes.clone(),
        );
        registry.register(
            "dropped",
            "Connections given up because their client took nothing for too long",
            self.dropped.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "From a request to its answer",
            Unit::Seconds,
            self.durations.clone(),
        );
    }

    /// Counts an operation that ended, or a subscription that began, with this code (`OK`: no error).
    pub(crate) fn request(&self, transport: &'static str, code: &str) {
        self.requests
            .get_or_create(&Outcome {
                transport,
                code: code.to_owned(),
            })
            .inc();
    }

    pub(crate) fn closed(&self, code: u16) {
        self.closes.get_or_create(&Closed { code }).inc();
    }

    /// The client took nothing for too long.
    pub(crate) fn dropped(&self, transport: &'static str) {
        self.dropped.get_or_create(&ByTransport { transport }).inc();
    }

    /// A request was answered, which took so long.
    pub(crate) fn answered(&self, transport: &'static str, took: Duration) {
        let of = ByTransport { transport };
        self.durations.get_or_create(&of).observe(took.as_secs_f64());
    }

    /// Counts a connection until it is dropped.
    pub(crate) fn connection(&self, transport: &'static str) -> Counted {
        Counted::of(&self.connections, transport)
    }

    /// Counts a subscription until it is dropped.
    pub(crate) fn subscription(&self, transport: &'static str) -> Counted {
        Counted::of(&self.subscriptions, transport)
    }
}

/// One more on a gauge, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Counted(Gauge);

impl Counted {
    fn of(family: &Family<ByTransport, Gauge>, transport: &'static str) -> Self {
        let gauge = family.get_or_create(&ByTransport { transport }).clone();
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
