//! What the transports count.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

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

/// Counters and gauges of all transports of a service.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    requests: Family<Outcome, Counter>,
    connections: Family<ByTransport, Gauge>,
    subscriptions: Family<ByTransport, Gauge>,
    closes: Family<Closed, Counter>,
}

impl Metrics {
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
