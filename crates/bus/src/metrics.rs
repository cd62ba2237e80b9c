//! What the bus counts.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use crate::relay;

/// The component that a number is about: a connection, a relay, a consumer or a stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Of {
    name: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Rewind {
    name: &'static str,
    reason: &'static str,
}

type Seconds = Gauge<f64, AtomicU64>;

/// All numbers of the bus; components share it.
#[derive(Clone, Default)]
pub(crate) struct Metrics {
    connected: Family<Of, Gauge>,
    lag_events: Family<Of, Gauge>,
    lag_seconds: Family<Of, Seconds>,
    published: Family<Of, Counter>,
    rewinds: Family<Rewind, Counter>,
    ahead: Family<Of, Gauge>,
    deliveries: Family<Of, Counter>,
    redeliveries: Family<Of, Counter>,
    consumer_lag: Family<Of, Gauge>,
    vouched: Family<Of, Counter>,
    logged: Family<Of, Counter>,
    attachments: Family<Of, Counter>,
}

impl Metrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "tiffin_nats_connected",
            "Whether NATS can be used",
            self.connected.clone(),
        );
        self.register_relays(registry);
        self.register_readers(registry);
    }

    fn register_relays(&self, registry: &mut Registry) {
        let help = "Events not yet published, with a message or not";
        registry.register("tiffin_relay_lag_events", help, self.lag_events.clone());
        let help = "Age of the oldest event not yet published";
        registry.register_with_unit("tiffin_relay_lag", help, Unit::Seconds, self.lag_seconds.clone());
        let help = "Messages acknowledged by the stream";
        registry.register("tiffin_relay_published", help, self.published.clone());
        let help = "How often the window was dropped and the stream looked at";
        registry.register("tiffin_relay_rewinds", help, self.rewinds.clone());
        let help = "Messages that the stream was found to hold and the log does not have";
        registry.register("tiffin_relay_broker_ahead_messages", help, self.ahead.clone());
    }

    fn register_readers(&self, registry: &mut Registry) {
        registry.register(
            "tiffin_consumer_deliveries",
            "Messages received",
            self.deliveries.clone(),
        );
        let help = "Messages received again";
        registry.register("tiffin_consumer_redeliveries", help, self.redeliveries.clone());
        let help = "Messages in the stream that were not yet delivered";
        registry.register("tiffin_consumer_lag_messages", help, self.consumer_lag.clone());
        let help = "Messages that vouched for the log up to their position";
        registry.register("tiffin_feed_vouched", help, self.vouched.clone());
        let help = "Events that the log brought before the stream";
        registry.register("tiffin_feed_logged", help, self.logged.clone());
        let help = "Consumers that the feed created on its stream";
        registry.register("tiffin_feed_attachments", help, self.attachments.clone());
    }

    pub(crate) fn connection(&self, name: &'static str, connected: bool) {
        self.connected.get_or_create(&Of { name }).set(connected.into());
    }

    pub(crate) fn relay(&self, name: &'static str) -> RelayMetrics {
        let of = Of { name };
        // A rate needs the zero that came before the first.
        for reason in relay::REASONS {
            drop(self.rewinds.get_or_create(&Rewind { name, reason }));
        }
        RelayMetrics {
            name,
            lag_events: self.lag_events.get_or_create_owned(&of),
            lag_seconds: self.lag_seconds.get_or_create_owned(&of),
            published: self.published.get_or_create_owned(&of),
            ahead: self.ahead.get_or_create_owned(&of),
            rewinds: self.rewinds.clone(),
        }
    }

    pub(crate) fn consumer(&self, name: &'static str) -> ConsumerMetrics {
        let of = Of { name };
        ConsumerMetrics {
            deliveries: self.deliveries.get_or_create_owned(&of),
            redeliveries: self.redeliveries.get_or_create_owned(&of),
            lag: self.consumer_lag.get_or_create_owned(&of),
        }
    }

    pub(crate) fn feed(&self, name: &'static str) -> FeedMetrics {
        let of = Of { name };
        FeedMetrics {
            vouched: self.vouched.get_or_create_owned(&of),
            logged: self.logged.get_or_create_owned(&of),
            attachments: self.attachments.get_or_create_owned(&of),
        }
    }
}

pub(crate) struct RelayMetrics {
    name: &'static str,
    pub(crate) lag_events: Gauge,
    pub(crate) lag_seconds: Seconds,
    pub(crate) published: Counter,
    pub(crate) ahead: Gauge,
    rewinds: Family<Rewind, Counter>,
}

impl RelayMetrics {
    pub(crate) fn rewound(&self, reason: &'static str) {
        self.rewinds
            .get_or_create(&Rewind {
                name: self.name,
                reason,
            })
            .inc();
    }
}

pub(crate) struct ConsumerMetrics {
    pub(crate) deliveries: Counter,
    pub(crate) redeliveries: Counter,
    pub(crate) lag: Gauge,
}

#[derive(Clone)]
pub(crate) struct FeedMetrics {
    pub(crate) vouched: Counter,
    pub(crate) logged: Counter,
    pub(crate) attachments: Counter,
}
