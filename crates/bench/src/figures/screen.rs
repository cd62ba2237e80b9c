//! From the commit of a change to the screen of whoever watches, at 500 orders a second.

use std::{
    collections::HashMap,
    env,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use async_nats::jetstream;
use futures::{StreamExt, TryStreamExt, stream};
use hdrhistogram::Histogram;
use tiffin_bus::{Bus, State};
use tiffin_eventstore::EventStore;
use tiffin_order::OrderId;
use tiffin_proto::Envelope;
use tiffin_runtime::Lifecycle;
use tiffin_testkit::{NatsServer, Postgres, Process, command, eventually, free_port, scratch_folder};
use tiffin_tests::stack::{API_KEY, Setting, Stack};
use tokio::{
    net::TcpStream,
    sync::{
        Mutex as AsyncMutex,
        mpsc::{UnboundedReceiver, unbounded_channel},
    },
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::{
    create::address,
    sagas::{placed_order, services},
};
use crate::{
    floor::forward,
    load::socket::{Seen, Subscriber},
    method::{Plan, compare},
    report::{Figure, Goal},
    run::{Clock, Run, Subject, latencies, note},
    usage::Watched,
};

pub(super) const NAME: &str = "screen";

/// How long a run is.
const RUN: Duration = Duration::from_secs(10);
/// Orders a second.
const RATE: u32 = 500;
/// Changes of an order after it was placed, and so many updates.
const CHANGES: u32 = 4;
/// An order is watched before the first of them.
const WAITS: [&str; 4] = ["300ms", "300ms", "300ms", "300ms"];
/// How many clients there are; each watches one order after the other.
const SCREENS: usize = 1_000;
/// How many connect at the same time.
const AT_ONCE: usize = 64;
/// So many orders are watched before the floor publishes the first message, so many ahead of each, and for so long.
const AHEAD: usize = 250;
const SOON: Duration = Duration::from_millis(500);
/// How long the last update may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn measure(plan: Plan) -> Result<Figure> {
    let mut floor = Floor::start().await?;
    let mut system = System::start().await?;
    let comparison = compare(plan, RUN, &mut floor, &mut system).await?;
    let mut figure = Figure::new(NAME);
    let what = "commit to screen, beside publish to screen";
    figure.quantile(what, &comparison, 50, Goal::AtMost(3.0));
    figure.quantile(what, &comparison, 99, Goal::AtMost(4.0));
    Ok(figure)
}

/// How many orders a run has.
fn number_of_orders(time: Duration) -> u32 {
    let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    RATE.saturating_mul(seconds) + RATE * time.subsec_millis() / 1_000
}

/// When each update became one: was committed, or published.
type Born = Arc<Mutex<HashMap<(Uuid, u32), Instant>>>;

/// Clients, and what they have seen.
struct Screens {
    clients: Vec<Arc<AsyncMutex<Subscriber>>>,
    seen: UnboundedReceiver<Seen>,
    next: usize,
}

impl Screens {
    async fn connect(address: SocketAddr) -> Result<Self> {
        let (sender, seen) = unbounded_channel();
        let connecting =
            stream::iter(0..SCREENS).map(|_| Subscriber::noting(address, API_KEY, sender.clone()));
        let shared = connecting
            .buffer_unordered(AT_ONCE)
            .map_ok(|screen| Arc::new(AsyncMutex::new(screen)));
        let clients = shared.try_collect().await?;
        Ok(Self {
            clients,
            seen,
            next: 0,
        })
    }

    /// The one whose turn it is.
    fn next(&mut self) -> Arc<AsyncMutex<Subscriber>> {
        self.next = (self.next + 1) % SCREENS;
        Arc::clone(&self.clients[self.next])
    }

    /// Waits until every update of so many orders was seen; how long after its birth each was.
    async fn all(&mut self, orders: u32, born: &Born) -> Result<(u64, Histogram<u64>)> {
        let updates = u64::from(orders * CHANGES);
        let mut came = Vec::new();
        for _ in 0..updates {
            let seen = timeout(PATIENCE, self.seen.recv()).await;
            let seen = seen.context("an update never came")?;
            came.push(seen.context("the screens are gone")?);
        }
        let births = || born.lock().unwrap_or_else(PoisonError::into_inner);
        eventually!(births().len() as u64, |births| *births >= updates);
        let (mut births, mut latency) = (std::mem::take(&mut *births()), latencies());
        for Seen { order, version, at } in came {
            let birth = births.remove(&(order, version));
            let birth =
                birth.with_context(|| format!("version {version} of {order} came twice or from nowhere"))?;
            note(&mut latency, at.saturating_duration_since(birth));
        }
        Ok((updates, latency))
    }
}

/// A bare client publishes; a bare consumer sends each message to a bare socket.
struct Floor {
    jetstream: jetstream::Context,
    watched: Watched,
    screens: Screens,
    _server: NatsServer,
    _process: Process,
}

impl Floor {
    async fn start() -> Result<Self> {
        let server = NatsServer::start().await;
        let port = free_port();
        let mut forwarding = command(env::current_exe()?);
        forwarding.args([forward::ARGUMENT, &port.to_string(), &server.url()]);
        let process = Process::start("floor", forwarding, &scratch_folder("floor").join("log"));
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        eventually!(TcpStream::connect(address).await.is_ok(), |up| *up);
        Ok(Self {
            jetstream: jetstream::new(async_nats::connect(server.url()).await?),
            watched: Watched::this().and(server.id()).and(Some(process.id())),
            screens: Screens::connect(address).await?,
            _server: server,
            _process: process,
        })
    }

    async fn watch(&mut self, order: &Uuid) -> Result<()> {
        self.screens
            .next()
            .lock()
            .await
            .watch(&order.to_string(), Some(1))
            .await
    }

    /// Publishes an update and waits for the broker's acknowledgement, but not here.
    fn publish(&self, order: Uuid, version: u32, born: &Born, sending: &mut JoinSet<Result<()>>) {
        let (jetstream, born) = (self.jetstream.clone(), Arc::clone(born));
        sending.spawn(async move {
            let frame = format!(
                r#"{{"id":"{order}","type":"next","payload":{{"data":{{"onOrderUpdated":{{"id":"{order}","status":"PREPARING","version":{version},"updatedAt":"2026-01-01T12:00:00.000Z"}}}}}}}}"#
            );
            let subject = format!("{}{order}", forward::SUBJECT);
            born.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert((order, version), Instant::now());
            jetstream.publish(subject, frame.into()).await?.await?;
            Ok(())
        });
    }
}

impl Subject for Floor {
    async fn run(&mut self, time: Duration) -> Result<Run> {
        let (born, watched) = (Born::default(), self.watched.clone());
        let clock = Clock::start(&watched);
        let orders: Vec<Uuid> = (0..number_of_orders(time)).map(|_| Uuid::now_v7()).collect();
        // A bare server has nothing for those who come too late.
        let (watched_first, watched_later) = orders.split_at(orders.len().min(AHEAD));
        for order in watched_first {
            self.watch(order).await?;
        }
        let mut watched_later = watched_later.iter();
        let (start, mut sending) = (Instant::now() + SOON, JoinSet::new());
        for (number, order) in (0..).zip(&orders) {
            if let Some(later) = watched_later.next() {
                self.watch(later).await?;
            }
            for change in 0..CHANGES {
                let update: u32 = number * CHANGES + change;
                sleep_until(start + Duration::from_secs(1) * update / (RATE * CHANGES)).await;
                self.publish(*order, change + 2, &born, &mut sending);
            }
        }
        while let Some(sent) = sending.join_next().await {
            sent??;
        }
        let (updates, latency) = self.screens.all(number_of_orders(time), &born).await?;
        Ok(clock.stop(updates, latency))
    }
}

/// `api` and `orders` in this process, so that it knows when something was committed, and a notifier in one of its own.
struct System {
    store: EventStore,
    watched: Watched,
    screens: Screens,
    born: Born,
    lifecycle: Lifecycle,
    following: JoinHandle<Result<()>>,
    _stack: Stack,
}

impl Drop for System {
    fn drop(&mut self) {
        self.following.abort();
        self.lifecycle.soft.cancel();
        self.lifecycle.hard.cancel();
    }
}

impl System {
    async fn start() -> Result<Self> {
        let postgres = Postgres::start().await;
        let setting = Setting {
            postgres: Some(postgres.clone()),
            ..Setting::default()
        };
        let stack = Stack::start(&setting).await?;
        for service in stack.api.iter().chain(&stack.orders) {
            service.process.kill();
        }
        let store = EventStore::open(tiffin_eventstore::Config::new(stack.database.url.parse()?)).await?;
        let lifecycle = Lifecycle::new(Duration::from_secs(5));
        let config = tiffin_bus::Config {
            url: stack.nats.url(),
            name: "bench".to_owned(),
        };
        let bus = Bus::connect(config, &TaskTracker::new(), lifecycle.hard.clone()).await?;
        bus.state().wait_for(State::is_connected).await?;
        services(&store, &bus, &lifecycle, WAITS).await?;
        let born = Born::default();
        let notifier = &stack.notifier[0];
        let watched = Watched::this()
            .and(postgres.id())
            .and(stack.nats.id())
            .and(Some(notifier.process.id()));
        Ok(Self {
            following: tokio::spawn(follow(store.clone(), Arc::clone(&born))),
            watched,
            screens: Screens::connect(address(notifier)?).await?,
            store,
            born,
            lifecycle,
            _stack: stack,
        })
    }
}

/// Notes when each change was committed.
async fn follow(store: EventStore, born: Born) -> Result<()> {
    let mut subscription = store.subscribe(store.head().await?);
    loop {
        let events = subscription.next().await?;
        let now = Instant::now();
        let mut born = born.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            let version = Envelope::decode(&event.metadata)?.version;
            if let (Some(order), Some(version)) = (OrderId::from_stream(event.stream.as_str()), version)
                && version.get() > 1
            {
                born.insert((order.uuid(), version.get()), now);
            }
        }
    }
}

impl Subject for System {
    async fn run(&mut self, time: Duration) -> Result<Run> {
        let watched = self.watched.clone();
        let clock = Clock::start(&watched);
        let (start, orders, mut placing) = (Instant::now(), number_of_orders(time), JoinSet::new());
        for number in 0..orders {
            sleep_until(start + Duration::from_secs(1) * number / RATE).await;
            let (store, screen) = (self.store.clone(), self.screens.next());
            placing.spawn(async move {
                let append = placed_order()?;
                let order = append.stream.as_str().strip_prefix("order-");
                let order = order.context("an order")?.to_owned();
                store.append(append).await?;
                screen.lock().await.watch(&order, Some(1)).await
            });
        }
        while let Some(placed) = placing.join_next().await {
            placed??;
        }
        let (updates, latency) = self.screens.all(orders, &self.born).await?;
        ensure!(!self.following.is_finished(), "the log can no longer be followed");
        Ok(clock.stop(updates, latency))
    }
}
