//! Streams and consumers as code: the one place where their configuration stands.

use std::{collections::HashMap, time::Duration};

use async_nats::jetstream::{
    consumer::{AckPolicy, DeliverPolicy, pull},
    stream::{Config, DiscardPolicy, RetentionPolicy, StorageType},
};

/// Metadata: the version of the configuration; a lower one never overwrites a higher.
pub(crate) const VERSION: &str = "tiffin.config-version";
/// A legal message stays below half of it.
const MAX_MESSAGE_BYTES: i32 = 64 * 1024;
/// The smallest that the server takes: the relay's chain of sequences is what prevents duplicates.
const DUPLICATE_WINDOW: Duration = Duration::from_millis(100);
const ACK_WAIT: Duration = Duration::from_secs(30);

/// A stream of events with one writer.
///
/// Kept in files, by age, number and bytes, the oldest discarded first; nothing can be deleted or purged from it.
#[derive(Clone, Debug)]
pub struct StreamSpec {
    /// Its name, upper case by convention.
    pub name: &'static str,
    /// What it is, for `nats stream info`.
    pub description: &'static str,
    /// The subjects it captures.
    pub subjects: &'static [&'static str],
    /// How long a message is kept at most.
    pub max_age: Duration,
    /// How many messages are kept at most.
    pub max_messages: u32,
    /// How many bytes are kept at most.
    pub max_bytes: u64,
    /// On how many servers it is kept: 1, or 3 in a cluster.
    pub replicas: usize,
    /// The version of this configuration, to be raised with every change.
    pub version: u32,
}

impl StreamSpec {
    pub(crate) fn config(&self) -> Config {
        Config {
            name: self.name.to_owned(),
            description: Some(self.description.to_owned()),
            subjects: self.subjects.iter().map(|&subject| subject.to_owned()).collect(),
            retention: RetentionPolicy::Limits,
            storage: StorageType::File,
            discard: DiscardPolicy::Old,
            max_age: self.max_age,
            max_messages: self.max_messages.into(),
            max_bytes: i64::try_from(self.max_bytes).unwrap_or(i64::MAX),
            max_message_size: MAX_MESSAGE_BYTES,
            num_replicas: self.replicas,
            duplicate_window: DUPLICATE_WINDOW,
            deny_delete: true,
            deny_purge: true,
            allow_direct: true,
            allow_batch_publish: true,
            metadata: self.metadata(),
            ..Config::default()
        }
    }

    /// The version, and the thresholds that `nats server check stream` applies when it is given none.
    pub(crate) fn metadata(&self) -> HashMap<String, String> {
        let mut metadata = metadata(self.version);
        if self.replicas > 1 {
            metadata.insert(
                "io.nats.monitor.peer-expect".to_owned(),
                self.replicas.to_string(),
            );
            metadata.insert("io.nats.monitor.peer-lag-critical".to_owned(), "1000".to_owned());
            metadata.insert("io.nats.monitor.peer-seen-critical".to_owned(), "10s".to_owned());
        }
        metadata
    }
}

/// A durable pull consumer: explicit acknowledgement within 30 s, delivered until acknowledged, without limit.
#[derive(Clone, Debug)]
pub struct ConsumerSpec {
    /// The stream that it reads.
    pub stream: &'static str,
    /// Its durable name, `<service>-<purpose>` by convention.
    pub durable: &'static str,
    /// What it is for, for `nats consumer info`.
    pub description: &'static str,
    /// The subjects it is interested in; empty for all.
    pub filter: &'static str,
    /// How many deliveries may be unacknowledged at a time, over all replicas of the service.
    pub max_ack_pending: u32,
    /// How many messages a pull asks for.
    pub batch: usize,
    /// How many replicas keep its state; 0: as many as keep the stream.
    pub replicas: usize,
    /// The version of this configuration, to be raised with every change.
    pub version: u32,
}

impl ConsumerSpec {
    /// A consumer of all of `stream` with the usual numbers: 256 unacknowledged, batches of 32.
    pub fn new(stream: &'static str, durable: &'static str, description: &'static str) -> ConsumerSpec {
        ConsumerSpec {
            stream,
            durable,
            description,
            filter: "",
            max_ack_pending: 256,
            batch: 32,
            replicas: 0,
            version: 1,
        }
    }

    pub(crate) fn config(&self) -> pull::Config {
        pull::Config {
            durable_name: Some(self.durable.to_owned()),
            description: Some(self.description.to_owned()),
            filter_subject: self.filter.to_owned(),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_deliver: -1,
            max_ack_pending: self.max_ack_pending.into(),
            num_replicas: self.replicas,
            metadata: self.metadata(),
            ..pull::Config::default()
        }
    }

    /// As for a stream, for `nats server check consumer`.
    fn metadata(&self) -> HashMap<String, String> {
        let mut metadata = metadata(self.version);
        let pending = self.max_ack_pending.to_string();
        metadata.insert("io.nats.monitor.outstanding-ack-critical".to_owned(), pending);
        metadata.insert(
            "io.nats.monitor.unprocessed-critical".to_owned(),
            "10000".to_owned(),
        );
        metadata
    }
}

fn metadata(version: u32) -> HashMap<String, String> {
    HashMap::from([
        (VERSION.to_owned(), version.to_string()),
        ("io.nats.monitor.enabled".to_owned(), "true".to_owned()),
    ])
}

/// The version that a configuration on the server carries; what was made by hand is older than any of ours.
pub(crate) fn version_of(metadata: &HashMap<String, String>) -> u32 {
    metadata
        .get(VERSION)
        .and_then(|version| version.parse().ok())
        .unwrap_or(0)
}
