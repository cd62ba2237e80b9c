//! A log with events, a stream for them, and what is in it.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use async_nats::jetstream::{self, consumer, stream};
use bytes::Bytes;
use futures::StreamExt;
use tiffin_bus::{Bus, Config, EVENT_ID, Message, POSITION, Relay, RelayConfig, State, StreamSpec};
use tiffin_eventstore::{
    Append, DatabaseUrl, Derived, EventStore, Expected, Migrations, NewEvent, Position, RecordedEvent,
    StreamName, Urgency,
};
use tiffin_testkit::{NatsServer, eventually, scratch_folder};
use tiffin_trace::Span;
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

/// The stream of all tests.
pub(crate) const EVENTS: StreamSpec = StreamSpec {
    name: "EVENTS",
    description: "Events of a test",
    subjects: &["event.>"],
    max_age: Duration::from_hours(1),
    max_messages: 100_000,
    max_bytes: 1 << 30,
    replicas: 1,
    version: 1,
};

const NO_TABLES: Migrations = Migrations {
    sqlite: &[],
    postgres: &[],
};

/// Three events of four have a message.
pub(crate) fn map(event: &RecordedEvent) -> Option<Message> {
    (&*event.kind == "seen").then(|| Message {
        subject: format!("event.{}", event.stream.as_str()),
        headers: vec![("ce-type", "event.seen".to_owned())],
        payload: event.data.clone(),
        span: Span::default(),
    })
}

/// A server, a log, and the tasks of one process.
pub(crate) struct World {
    pub(crate) server: NatsServer,
    pub(crate) store: EventStore,
    pub(crate) derived: Derived,
    pub(crate) tracker: TaskTracker,
    pub(crate) token: CancellationToken,
}

impl World {
    pub(crate) async fn start() -> anyhow::Result<World> {
        let url = DatabaseUrl::Sqlite(scratch_folder("log"));
        World::on(NatsServer::start().await, url).await
    }

    /// On the first of three servers that are a cluster, and these.
    pub(crate) async fn on_a_cluster() -> anyhow::Result<(World, [NatsServer; 3])> {
        let servers = NatsServer::cluster().await;
        let url = DatabaseUrl::Sqlite(scratch_folder("log"));
        Ok((World::on(servers[0].clone(), url).await?, servers))
    }

    pub(crate) async fn on(server: NatsServer, url: DatabaseUrl) -> anyhow::Result<World> {
        EventStore::migrate(&url).await?;
        Derived::migrate(&url, "bus", NO_TABLES).await?;
        let store = EventStore::open(tiffin_eventstore::Config::new(url)).await?;
        let derived = Derived::open(&store, "bus", NO_TABLES).await?;
        Ok(World {
            server,
            store,
            derived,
            tracker: TaskTracker::new(),
            token: CancellationToken::new(),
        })
    }

    /// A bus of its own, as another process would have.
    pub(crate) async fn bus(&self, name: &str) -> anyhow::Result<Bus> {
        let config = Config {
            url: self.server.url(),
            name: name.to_owned(),
            ca: None,
        };
        Ok(Bus::connect(config, &self.tracker, self.token.clone()).await?)
    }

    pub(crate) async fn connected(&self, name: &str) -> anyhow::Result<Bus> {
        let bus = self.bus(name).await?;
        bus.state().wait_for(State::is_connected).await?;
        Ok(bus)
    }

    /// Appends `count` events to streams of their own.
    pub(crate) async fn append(&self, count: usize) -> anyhow::Result<Vec<Arc<RecordedEvent>>> {
        append(&self.store, count).await
    }

    /// A relay with a lease of its own, as if it were alone.
    pub(crate) async fn relay(&self, lease: &'static str) -> anyhow::Result<RunningRelay> {
        self.relay_with("events", lease, EVENTS).await
    }

    /// A relay with a checkpoint of a given name.
    pub(crate) async fn relay_with(
        &self,
        name: &'static str,
        lease: &'static str,
        stream: StreamSpec,
    ) -> anyhow::Result<RunningRelay> {
        Ok(self.relay_on(&self.bus("relay").await?, name, lease, stream))
    }

    /// A relay on a given bus.
    pub(crate) fn relay_on(
        &self,
        bus: &Bus,
        name: &'static str,
        lease: &'static str,
        stream: StreamSpec,
    ) -> RunningRelay {
        let token = self.token.child_token();
        let holder = Uuid::now_v7().to_string();
        let config = RelayConfig {
            name,
            stream,
            store: self.store.clone(),
            derived: self.derived.clone(),
            lease: self.derived.lease(lease, holder, &self.tracker, token.clone()),
        };
        let relay = Relay::new(bus, config, map);
        RunningRelay {
            task: tokio::spawn(relay.run(token.clone())),
            token,
        }
    }

    /// The stream's present configuration.
    pub(crate) async fn stream_config(&self) -> anyhow::Result<stream::Config> {
        let stream = jetstream(&self.server.url())
            .await?
            .get_stream(EVENTS.name)
            .await?;
        Ok(stream.cached_info().config.clone())
    }

    /// Changes the stream's configuration as somebody does by hand.
    pub(crate) async fn edit_stream(&self, change: impl FnOnce(&mut stream::Config)) -> anyhow::Result<()> {
        let mut config = self.stream_config().await?;
        change(&mut config);
        jetstream(&self.server.url()).await?.update_stream(config).await?;
        Ok(())
    }

    /// Waits until the stream ends with the log's last event that has a message.
    pub(crate) async fn relayed(&self) -> anyhow::Result<Vec<Stored>> {
        let expected = self.expected().await?;
        let stored = eventually!(
            within Duration::from_secs(30),
            stored(&self.server.url()).await.unwrap_or_default(),
            |stored| stored.last().map(|message| message.event) == expected.last().copied()
        );
        Ok(stored)
    }

    /// Waits as [`World::relayed`], then checks that each event with a message is there once and in order.
    pub(crate) async fn relayed_exactly(&self) -> anyhow::Result<Vec<Stored>> {
        let stored = self.relayed().await?;
        let events: Vec<_> = stored.iter().map(|message| message.event).collect();
        assert_eq!(events, self.expected().await?, "each event once and in order");
        Ok(stored)
    }

    /// Waits until the relay's checkpoint is the log's head: every acknowledgement has come and it is idle.
    pub(crate) async fn checkpointed(&self) -> anyhow::Result<()> {
        let head = self.store.head().await?;
        eventually!(
            self.derived
                .checkpoint("events")
                .await
                .ok()
                .map(|found| found.cursor),
            |found| *found == Some(head)
        );
        Ok(())
    }

    /// The events that have a message, in order.
    pub(crate) async fn expected(&self) -> anyhow::Result<Vec<(u64, Uuid)>> {
        Ok(self
            .log()
            .await?
            .iter()
            .filter(|event| map(event).is_some())
            .map(|event| identity(event))
            .collect())
    }

    pub(crate) async fn log(&self) -> anyhow::Result<Vec<Arc<RecordedEvent>>> {
        let mut log: Vec<Arc<RecordedEvent>> = Vec::new();
        loop {
            let after = log.last().map_or(Position(0), |event| event.position);
            let page = self
                .store
                .read_all(after, tiffin_eventstore::Direction::Forwards, 1000)
                .await?;
            if page.is_empty() {
                return Ok(log);
            }
            log.extend(page);
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.token.cancel();
    }
}

pub(crate) async fn append(store: &EventStore, count: usize) -> anyhow::Result<Vec<Arc<RecordedEvent>>> {
    let mut events = Vec::with_capacity(count);
    for number in 0..count {
        let id = Uuid::now_v7();
        let kind = if number % 4 == 3 { "unseen" } else { "seen" };
        let appended = store
            .append(Append {
                stream: StreamName::from(id.simple().to_string()),
                expected: Expected::NoStream,
                events: vec![NewEvent {
                    id,
                    kind: kind.into(),
                    data: Bytes::from(id.to_string()),
                    metadata: Bytes::new(),
                }],
                urgency: Urgency::Start,
            })
            .await?;
        events.extend(appended.events);
    }
    Ok(events)
}

pub(crate) fn identity(event: &RecordedEvent) -> (u64, Uuid) {
    (event.position.0, event.id)
}

/// A relay's task; dropping it is what kill -9 is to a process.
pub(crate) struct RunningRelay {
    task: JoinHandle<()>,
    token: CancellationToken,
}

impl RunningRelay {
    /// Stops it as SIGTERM does.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.token.cancel();
        (&mut self.task).await.context("the relay stops")
    }
}

impl Drop for RunningRelay {
    fn drop(&mut self) {
        self.task.abort();
        self.token.cancel();
    }
}

/// A message in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) sequence: u64,
    pub(crate) event: (u64, Uuid),
}

/// All messages of the stream that carry an event.
pub(crate) async fn stored(url: &str) -> anyhow::Result<Vec<Stored>> {
    stored_in(url, EVENTS.name, "").await
}

/// What a consumer of these subjects, or of all, that starts from nothing gets.
pub(crate) async fn stored_in(url: &str, stream: &str, subjects: &str) -> anyhow::Result<Vec<Stored>> {
    let stream = jetstream(url).await?.get_stream(stream).await?;
    let config = consumer::pull::Config {
        ack_policy: consumer::AckPolicy::None,
        filter_subject: subjects.to_owned(),
        headers_only: true,
        ..consumer::pull::Config::default()
    };
    let consumer = stream.create_consumer(config).await?;
    let waiting = consumer.cached_info().num_pending;
    let mut messages = consumer.messages().await?;
    let mut stored = Vec::new();
    for _ in 0..waiting {
        let message = tokio::time::timeout(Duration::from_secs(5), messages.next())
            .await?
            .context("an end")??;
        let sequence = message.info().map_err(anyhow::Error::from_boxed)?.stream_sequence;
        let Some(headers) = &message.headers else { continue };
        let (Some(position), Some(id)) = (headers.get(POSITION), headers.get(EVENT_ID)) else {
            continue;
        };
        stored.push(Stored {
            sequence,
            event: (position.as_str().parse()?, id.as_str().parse()?),
        });
    }
    Ok(stored)
}

pub(crate) async fn jetstream(url: &str) -> anyhow::Result<jetstream::Context> {
    let mut jetstream = jetstream::new(async_nats::connect(url).await?);
    jetstream.set_timeout(Duration::from_secs(5));
    Ok(jetstream)
}
