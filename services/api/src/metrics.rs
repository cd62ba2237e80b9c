//! What `api` measures of its own.

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{counter::Counter, family::Family, gauge::ConstGauge},
    registry::{Registry, Unit},
};
use tiffin_graphql::{Created, Error, ErrorCode, OrderView};

use crate::admission::Admission;

/// Counters of orders placed, cancelled and refused.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    created: Counter,
    replayed: Counter,
    cancelled: Counter,
    refused: Family<Refused, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    mutation: &'static str,
    code: &'static str,
}

impl Metrics {
    pub(crate) fn register(&self, registry: &mut Registry, admission: &Admission) {
        let registry = registry.sub_registry_with_prefix("tiffin_api");
        registry.register("orders_created", "Orders placed", self.created.clone());
        registry.register(
            "orders_replayed",
            "Answers repeated for an idempotency key",
            self.replayed.clone(),
        );
        registry.register(
            "orders_cancelled",
            "Cancellations answered with success",
            self.cancelled.clone(),
        );
        // A rate needs the zero that came before the first.
        for mutation in ["createOrder", "cancelOrder"] {
            for code in ErrorCode::ALL.map(ErrorCode::as_str) {
                drop(self.refused.get_or_create(&Refused { mutation, code }));
            }
        }
        registry.register("refused", "Mutations refused, by code", self.refused.clone());
        registry.register_collector(Box::new(Pressure(admission.clone())));
    }

    pub(crate) fn placed(&self, result: &Result<Created, Error>) {
        match result {
            Ok(created) if created.replayed => self.replayed.inc(),
            Ok(_) => self.created.inc(),
            Err(error) => self.refuse("createOrder", error),
        };
    }

    pub(crate) fn cancelled(&self, result: &Result<OrderView, Error>) {
        match result {
            Ok(_) => self.cancelled.inc(),
            Err(error) => self.refuse("cancelOrder", error),
        };
    }

    fn refuse(&self, mutation: &'static str, error: &Error) -> u64 {
        self.refused
            .get_or_create(&Refused {
                mutation,
                code: error.code().as_str(),
            })
            .inc()
    }
}

/// What admission goes by, looked at when somebody asks.
#[derive(Debug)]
struct Pressure(Admission);

impl Collector for Pressure {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let backlog = self.0.backlog();
        let (in_progress, limit) = self.0.in_progress();
        for (name, help, count) in [
            (
                "orders_waiting",
                "Orders placed and not yet taken up.",
                backlog.count,
            ),
            (
                "orders_in_progress",
                "Orders admitted and not yet answered.",
                in_progress,
            ),
            (
                "orders_in_progress_limit",
                "As many may be in progress; above that new ones are refused.",
                limit,
            ),
            (
                "refusals_held",
                "Refusals held back because as many orders wait or are in progress as may.",
                self.0.held(),
            ),
        ] {
            let count = ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX));
            count.encode(encoder.encode_descriptor(name, help, None, count.metric_type())?)?;
        }
        let oldest = ConstGauge::new(backlog.oldest.unwrap_or_default().as_secs_f64());
        let help = "For how long the oldest order has been waiting that none placed a minute later overtook.";
        let unit = Some(&Unit::Seconds);
        oldest.encode(encoder.encode_descriptor("orders_waiting_oldest", help, unit, oldest.metric_type())?)
    }
}
