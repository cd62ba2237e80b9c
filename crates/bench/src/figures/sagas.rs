//! Whole sagas: from the placed order to the delivered one, each step on disk before the next is decided, and
//! everything published.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use async_nats::jetstream;
use hdrhistogram::Histogram;
use prometheus_client::registry::Registry;
use tiffin_bus::{Bus, State};
use tiffin_eventstore::{Append, EventStore, Expected, NewEvent, Urgency};
use tiffin_order::{Fact, NewFact, Order, OrderId, Owner, Products, Status, Workflow};
use tiffin_proto::{Context, Envelope};
use tiffin_runtime::{Keys, Lifecycle};
use tiffin_testkit::{NatsServer, eventually};
use tiffin_tests::stack::workflow;
use tiffin_trace::Tracer;
use tokio::{sync::Semaphore, task::JoinHandle, time::Instant};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::{Engine, OWNER};
use crate::{
    floor::pipeline::Pipeline,
    method::{Plan, compare},
    report::{Figure, Goal},
    run::{Clock, Run, Subject, latencies, note},
    usage::Watched,
};

pub(super) const MANY: &str = "sagas";
pub(super) const ALONE: &str = "saga-alone";

/// How long a run is.
const RUN: Duration = Duration::from_secs(6);
/// How many orders are under way at any time.
const IN_FLIGHT: usize = 512;
/// What an order of four waits leaves when all of them are zero: it is placed, and four changes follow.
const EVENTS: u64 = 5;
pub(super) const CHANGES: u64 = 4;

const WAITS: [&str; 4] = ["0s", "0s", "0s", "0s"];

pub(super) async fn many(plan: Plan) -> Result<Figure> {
    let mut figure = Figure::new(MANY);
    for (name, engine) in Engine::both().await {
        let rows = engine.rows().await?;
        let mut floor = Pipeline::new(rows, NatsServer::start().await, engine.watched(), EVENTS);
        let mut sagas = Sagas::start(&engine, IN_FLIGHT).await?;
        let comparison = compare(plan, RUN, &mut floor, &mut sagas).await?;
        let what = format!("{name}: orders");
        figure.compared(
            &what,
            &comparison,
            Some(Goal::AtLeast(0.3)),
            Some(Goal::AtMost(2.5)),
        );
        sagas.stop().await;
    }
    Ok(figure)
}

pub(super) async fn alone(plan: Plan) -> Result<Figure> {
    let mut figure = Figure::new(ALONE);
    for (name, engine) in Engine::both().await {
        let mut floor = engine.rows().await?;
        floor.batches_of(1);
        let mut sagas = Sagas::start(&engine, 1).await?;
        let comparison = compare(plan, RUN, &mut floor, &mut sagas).await?;
        let what = format!("{name}: one order at a time, beside one row");
        figure.latency(&what, &comparison, Goal::AtMost(8.0));
        sagas.stop().await;
    }
    Ok(figure)
}

/// What is needed of Tiffin, in this process: placed orders are relayed by `api`, the rest is done by `orders`.
struct Sagas {
    store: EventStore,
    lifecycle: Lifecycle,
    jetstream: jetstream::Context,
    watched: Watched,
    _server: NatsServer,
    /// Room for one more order.
    room: Arc<Semaphore>,
    in_flight: usize,
    delivered: u64,
    following: JoinHandle<Result<()>>,
}

impl Sagas {
    async fn start(engine: &Engine, in_flight: usize) -> Result<Self> {
        let url = engine.log_url().await?;
        EventStore::migrate(&url).await?;
        tiffin_api::migrate(&url).await?;
        tiffin_orders::migrate(&url).await?;
        let watched = engine.watched().and_log(&url);
        let store = EventStore::open(tiffin_eventstore::Config::new(url)).await?;
        let server = NatsServer::start().await;
        let lifecycle = Lifecycle::new(Duration::from_secs(5));
        let config = tiffin_bus::Config {
            url: server.url(),
            name: "bench".to_owned(),
            ca: None,
        };
        // The bus is the last to go, and nobody waits for it.
        let bus = Bus::connect(config, &TaskTracker::new(), lifecycle.hard.clone()).await?;
        bus.state().wait_for(State::is_connected).await?;
        services(&store, &bus, &lifecycle, WAITS).await?;
        let jetstream = jetstream::new(async_nats::connect(server.url()).await?);
        let room = Arc::new(Semaphore::new(in_flight));
        Ok(Self {
            following: tokio::spawn(make_room(store.clone(), Arc::clone(&room))),
            watched: watched.and(server.id()),
            store,
            lifecycle,
            jetstream,
            _server: server,
            room,
            in_flight,
            delivered: 0,
        })
    }

    async fn stop(self) {
        self.following.abort();
        self.lifecycle.soft.cancel();
        self.lifecycle.tracker.close();
        self.lifecycle.tracker.wait().await;
        self.lifecycle.hard.cancel();
        self.store.close().await;
    }

    /// Whether every change of every order delivered stands in the stream.
    async fn published(&self) -> bool {
        let stream = self.jetstream.get_stream("ORDER_UPDATED").await;
        stream.is_ok_and(|stream| stream.cached_info().state.last_sequence >= self.delivered * CHANGES)
    }
}

/// `api` and `orders` in this process, with these waits.
pub(super) async fn services(
    store: &EventStore,
    bus: &Bus,
    lifecycle: &Lifecycle,
    waits: [&str; 4],
) -> Result<()> {
    let mut registry = Registry::default();
    let orders = tiffin_orders::Dependencies {
        store: store.clone(),
        bus: bus.clone(),
        tracer: Tracer::silent(0.0),
    };
    let config = tiffin_orders::Config {
        workflow: Workflow::parse(&workflow(&waits))?,
        ..tiffin_orders::Config::default()
    };
    tiffin_orders::start(orders, config, lifecycle, &mut registry).await?;
    let api = tiffin_api::Dependencies {
        store: store.clone(),
        bus: bus.clone(),
        keys: Keys::load(None, [])?,
        tracer: Tracer::silent(0.0),
    };
    // Its relay is what is needed; nobody asks over HTTP.
    let _router = tiffin_api::start(api, tiffin_api::Config::default(), lifecycle, &mut registry).await?;
    Ok(())
}

/// Follows the log and makes room for another order with each that is delivered.
async fn make_room(store: EventStore, room: Arc<Semaphore>) -> Result<()> {
    let mut subscription = store.subscribe(store.head().await?);
    loop {
        for event in subscription.next().await? {
            let envelope = Envelope::decode(&event.metadata)?;
            if envelope.status == Some(Status::Delivered) {
                room.add_permits(1);
            }
        }
    }
}

impl Subject for Sagas {
    async fn run(&mut self, time: Duration) -> Result<Run> {
        let watched = self.watched.clone();
        let clock = Clock::start(&watched)?;
        let (store, room) = (self.store.clone(), Arc::clone(&self.room));
        let (placed, latency) = if self.in_flight == 1 {
            // By a task, as whoever appends in a service: this thread would have to be woken for each answer.
            tokio::spawn(one_by_one(store, room, time)).await??
        } else {
            (many_at_once(store, room, time).await?, latencies())
        };
        let all = u32::try_from(self.in_flight).context("a number of orders")?;
        let waiting = tokio::time::timeout(Duration::from_mins(1), self.room.acquire_many(all));
        drop(waiting.await.context("an order was not delivered")??);
        self.delivered += placed;
        eventually!(within Duration::from_mins(1), self.published().await, |done| *done);
        ensure!(placed > 0, "no order was delivered");
        clock.stop(placed, latency)
    }
}

/// Places an order as soon as the last one is delivered; how many, and how long each took.
async fn one_by_one(
    store: EventStore,
    room: Arc<Semaphore>,
    time: Duration,
) -> Result<(u64, Histogram<u64>)> {
    let (until, mut placed, mut latency) = (Instant::now() + time, 0, latencies());
    while Instant::now() < until {
        room.acquire().await?.forget();
        let begun = Instant::now();
        store.append(placed_order()?).await?;
        drop(room.acquire().await?);
        note(&mut latency, begun.elapsed());
        placed += 1;
    }
    Ok((placed, latency))
}

/// Places an order whenever there is room for one; how many.
async fn many_at_once(store: EventStore, room: Arc<Semaphore>, time: Duration) -> Result<u64> {
    let (until, mut placed) = (Instant::now() + time, 0);
    while Instant::now() < until {
        room.acquire().await?.forget();
        let (store, append) = (store.clone(), placed_order()?);
        // What goes wrong shows as an order that never arrives.
        tokio::spawn(async move { store.append(append).await });
        placed += 1;
    }
    Ok(placed)
}

/// What `api` appends for a new order.
pub(crate) fn placed_order() -> Result<Append> {
    let id = OrderId::new(Uuid::now_v7());
    let fact = Fact::Created {
        owner: Owner::parse(OWNER)?,
        products: Products::parse([("Dal", 2), ("Roti", 4)])?,
    };
    let event = tiffin_proto::encode(id, &Order::Absent, &NewFact::from(fact), &Context::default());
    Ok(Append {
        stream: id.stream().into(),
        expected: Expected::NoStream,
        events: vec![NewEvent {
            id: Uuid::now_v7(),
            kind: event.kind.into(),
            data: event.data,
            metadata: event.metadata,
        }],
        urgency: Urgency::Start,
    })
}
