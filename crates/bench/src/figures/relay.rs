//! The relay: a log carried into a stream that is empty.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use async_nats::jetstream;
use bytes::Bytes;
use futures::future::try_join_all;
use tiffin_bus::{Bus, Message, Relay, RelayConfig, State, StreamSpec};
use tiffin_eventstore::{
    Append, DatabaseUrl, Derived, EventStore, Expected, Migrations, NewEvent, RecordedEvent, StreamName,
    Urgency,
};
use tiffin_testkit::{NatsServer, scratch_folder};
use tiffin_trace::Span;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::{DATA, KIND, METADATA};
use crate::{
    floor::publish::{HEADERS, Publisher},
    method::{Plan, compare},
    report::{Figure, Goal},
    run::{Clock, Run, Subject, latencies},
    usage::Watched,
};

pub(super) const NAME: &str = "relay";

/// How many events are carried at a time.
const EVENTS: usize = 200_000;
/// As many go into one append.
const BATCH: usize = 500;
/// How often is looked whether the last has arrived.
const LOOK: Duration = Duration::from_millis(5);

const STREAM: StreamSpec = StreamSpec {
    name: "EVENTS",
    description: "Events of a benchmark",
    subjects: &["event.>"],
    max_age: Duration::from_hours(1),
    max_messages: 1_000_000,
    max_bytes: 1 << 32,
    replicas: 1,
    version: 1,
};

const NO_TABLES: Migrations = Migrations {
    sqlite: &[],
    postgres: &[],
};

pub(super) async fn measure(plan: Plan) -> Result<Figure> {
    let server = NatsServer::start().await;
    let mut floor = Publisher::new(server.clone(), EVENTS as u64);
    let mut refill = Refill::new(server).await?;
    let comparison = compare(plan, Duration::ZERO, &mut floor, &mut refill).await?;
    let mut figure = Figure::new(NAME);
    figure.compared("messages", &comparison, Some(Goal::AtLeast(0.6)), None);
    Ok(figure)
}

/// A relay that finds its stream gone.
struct Refill {
    server: NatsServer,
    store: EventStore,
    derived: Derived,
}

impl Refill {
    async fn new(server: NatsServer) -> Result<Self> {
        let url = DatabaseUrl::Sqlite(scratch_folder("log"));
        EventStore::migrate(&url).await?;
        Derived::migrate(&url, "bench", NO_TABLES).await?;
        let store = EventStore::open(tiffin_eventstore::Config::new(url)).await?;
        try_join_all((0..EVENTS / BATCH).map(|_| store.append(append()))).await?;
        let derived = Derived::open(&store, "bench", NO_TABLES).await?;
        Ok(Self {
            server,
            store,
            derived,
        })
    }
}

impl Subject for Refill {
    /// Fills the stream, however long that takes.
    async fn run(&mut self, _time: Duration) -> Result<Run> {
        self.server.wipe().await;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let config = tiffin_bus::Config {
            url: self.server.url(),
            name: "bench".to_owned(),
            ca: None,
        };
        let bus = Bus::connect(config, &tasks, stop.clone()).await?;
        bus.state().wait_for(State::is_connected).await?;
        let jetstream = jetstream::new(async_nats::connect(self.server.url()).await?);
        let lease = self
            .derived
            .lease("relay", Uuid::now_v7().to_string(), &tasks, stop.clone());
        lease.watch().wait_for(|held| *held).await?;

        let watched = Watched::this().and(self.server.id());
        let clock = Clock::start(&watched)?;
        let relay = RelayConfig {
            name: "events",
            stream: STREAM,
            store: self.store.clone(),
            derived: self.derived.clone(),
            lease,
        };
        tasks.spawn(Relay::new(&bus, relay, |event| Some(message(event))).run(stop.clone()));
        filled(&jetstream).await;
        let run = clock.stop(EVENTS as u64, latencies())?;
        stop.cancel();
        tasks.close();
        tasks.wait().await;
        Ok(run)
    }
}

/// Waits until the stream holds all events.
async fn filled(jetstream: &jetstream::Context) {
    loop {
        let found = jetstream.get_stream(STREAM.name).await;
        if found.is_ok_and(|stream| stream.cached_info().state.messages >= EVENTS as u64) {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn message(event: &RecordedEvent) -> Message {
    Message {
        subject: format!("event.{}", event.id),
        headers: HEADERS.map(|(name, value)| (name, value.to_owned())).to_vec(),
        payload: event.data.clone(),
        span: Span::default(),
    }
}

fn append() -> Append {
    let event = || NewEvent {
        id: Uuid::now_v7(),
        kind: Arc::from(KIND),
        data: Bytes::from_static(DATA),
        metadata: Bytes::from_static(METADATA),
    };
    Append {
        stream: StreamName::from(format!("order-{}", Uuid::now_v7())),
        expected: Expected::NoStream,
        events: (0..BATCH).map(|_| event()).collect(),
        urgency: Urgency::Start,
    }
}
