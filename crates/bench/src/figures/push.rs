//! Updates that waited in bus and log to ten thousand sockets, each of which watches an order of its own.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use async_nats::jetstream;
use futures::{StreamExt, TryStreamExt, stream};
use tiffin_eventstore::EventStore;
use tiffin_testkit::{Postgres, Process, eventually};
use tiffin_tests::stack::{API_KEY, Setting, Stack, waits};

use super::{create::address, sagas::placed_order};
use crate::{
    floor::{server, socket},
    load::socket::{Received, Subscriber},
    method::{Plan, compare, median},
    metrics::values,
    report::{Figure, Goal},
    run::{Clock, Run, Subject, count, latencies},
    usage::Watched,
};

pub(super) const NAME: &str = "push";

/// How many sockets there are.
pub(super) const SOCKETS: usize = 10_000;
/// How many are opened, and orders placed, at the same time.
const AT_ONCE: usize = 64;

pub(super) async fn measure(plan: Plan) -> Result<Figure> {
    let mut floor = Floor::start().await?;
    let mut system = System::start().await?;
    let comparison = compare(plan, Duration::ZERO, &mut floor, &mut system).await?;
    let mut figure = Figure::new(NAME);
    figure.compared("pushes", &comparison, Some(Goal::AtLeast(0.6)), None);
    // The first was the warming up.
    let from_log = system.from_log.iter().skip(1).copied().collect();
    figure.alone(
        "events that the notifier read from the log itself",
        median(from_log),
        None,
    );
    let from_bus = system.from_bus.iter().skip(1).copied().collect();
    figure.alone("messages that its bus brought", median(from_bus), None);
    let (cost, by_bus) = system.in_the_flow().await?;
    figure.alone("CPU-µs of the notifier for a push as it happens", cost, None);
    figure.alone("of 100 of these, brought by the bus", by_bus, None);
    let idle = system.bytes_of_a_subscriber / 1024.0;
    figure.alone("KiB for an idle subscriber", idle, Some(Goal::AtMost(10.0)));
    Ok(figure)
}

/// Sockets of a bare server.
pub(super) struct Floor {
    address: SocketAddr,
    process: Process,
}

impl Floor {
    pub(super) async fn start() -> Result<Self> {
        let (process, address) = server(socket::ARGUMENT, &[]).await?;
        Ok(Self { address, process })
    }
}

impl Subject for Floor {
    async fn run(&mut self, _time: Duration) -> Result<Run> {
        let received = Arc::default();
        // Only for this run: many systems allow a process no more open files than Tiffin's clients need beside these.
        let _subscribers = connect(self.address, &received).await?;
        let watched = Watched::none().and(Some(self.process.id()));
        let pushes = SOCKETS as u64 * socket::FRAMES;
        let clock = Clock::start(&watched)?;
        let push = reqwest::Client::new().post(format!("http://{}/push", self.address));
        push.send().await?.error_for_status()?;
        received.wait_for(pushes).await?;
        clock.stop(pushes, latencies())
    }
}

/// Subscribers of a notifier; orders go through their workflow while it stands still, so that their updates wait for
/// it in bus and log.
struct System {
    store: EventStore,
    stack: Stack,
    jetstream: jetstream::Context,
    bytes_of_a_subscriber: f64,
    published: u64,
    postgres: Postgres,
    /// How many events the notifier read from the log in each run, and how many messages brought it further.
    from_log: Vec<f64>,
    from_bus: Vec<f64>,
}

impl System {
    async fn start() -> Result<Self> {
        let postgres = Postgres::start().await;
        let setting = Setting {
            waits: waits(["0s"; 4]),
            postgres: Some(postgres.clone()),
            ..Setting::default()
        };
        let stack = Stack::start(&setting).await?;
        let store = EventStore::open(tiffin_eventstore::Config::new(stack.database.url.parse()?)).await?;
        Ok(Self {
            store,
            jetstream: jetstream::new(async_nats::connect(stack.nats.url()).await?),
            stack,
            bytes_of_a_subscriber: 0.0,
            published: 0,
            postgres,
            from_log: Vec::new(),
            from_bus: Vec::new(),
        })
    }

    /// Sockets that each watch a new order, and have seen it.
    async fn watch_new_orders(&self, received: &Arc<Received>) -> Result<Vec<Subscriber>> {
        let orders = place(&self.store).await?;
        let mut subscribers = connect(address(&self.stack.notifier[0])?, received).await?;
        for (subscriber, order) in subscribers.iter_mut().zip(&orders) {
            subscriber.watch(order, None).await?;
        }
        received.wait_for(SOCKETS as u64).await?;
        Ok(subscribers)
    }

    /// How many events the notifier had from the log so far, and how many messages of the bus that vouched for it.
    async fn brought(&self) -> Result<(f64, f64)> {
        let notifier = [&self.stack.notifier[0]];
        let logged = values(&notifier, "tiffin_feed_logged_total").await?;
        let vouched = values(&notifier, "tiffin_feed_vouched_total").await?;
        Ok((logged.iter().sum(), vouched.iter().sum()))
    }

    /// What the notifier's pushes cost while orders change as fast as they can, in microseconds of its CPU time, and how
    /// many of a hundred the bus brought. The rate is that of the orders.
    async fn in_the_flow(&mut self) -> Result<(f64, f64)> {
        let orders = &self.stack.orders[0].process;
        let notifier = Watched::none().and(Some(self.stack.notifier[0].process.id()));
        orders.pause();
        let received = Arc::default();
        let _subscribers = self.watch_new_orders(&received).await?;
        let (_, vouched) = self.brought().await?;
        let pushes = SOCKETS as u64 * socket::FRAMES;
        let clock = Clock::start(&notifier)?;
        orders.resume();
        received.wait_for(SOCKETS as u64 + pushes).await?;
        let run = clock.stop(pushes, latencies())?;
        let by_bus = self.brought().await?.1 - vouched;
        Ok((run.cpu_per_operation(), 100.0 * by_bus / count(pushes)))
    }

    /// Waits until all changes of all orders are in the stream.
    async fn carried_out(&mut self) {
        self.published += SOCKETS as u64 * socket::FRAMES;
        let published = async || {
            let stream = self.jetstream.get_stream("ORDER_UPDATED").await;
            stream.map_or(0, |stream| stream.cached_info().state.last_sequence)
        };
        eventually!(within Duration::from_mins(2), published().await, |published| *published >= self.published);
    }
}

impl Subject for System {
    async fn run(&mut self, _time: Duration) -> Result<Run> {
        let notifier = Watched::none().and(Some(self.stack.notifier[0].process.id()));
        self.stack.orders[0].process.pause();
        let before = notifier.usage()?.resident;
        let received = Arc::default();
        let subscribers = self.watch_new_orders(&received).await?;
        if self.bytes_of_a_subscriber == 0.0 {
            let more = notifier.usage()?.resident.saturating_sub(before);
            self.bytes_of_a_subscriber = count(more) / count(SOCKETS as u64);
        }
        let (logged, vouched) = self.brought().await?;
        self.stack.notifier[0].process.pause();
        self.stack.orders[0].process.resume();
        self.carried_out().await;
        self.stack.orders[0].process.pause();

        let pushes = SOCKETS as u64 * socket::FRAMES;
        let watched = notifier.and(self.stack.nats.id()).and(self.postgres.id());
        let clock = Clock::start(&watched)?;
        self.stack.notifier[0].process.resume();
        received.wait_for(SOCKETS as u64 + pushes).await?;
        let run = clock.stop(pushes, latencies())?;
        let (logged_now, vouched_now) = self.brought().await?;
        self.from_log.push(logged_now - logged);
        self.from_bus.push(vouched_now - vouched);
        self.stack.orders[0].process.resume();
        drop(subscribers);
        Ok(run)
    }
}

/// Places an order for each socket.
pub(super) async fn place(store: &EventStore) -> Result<Vec<String>> {
    let places = stream::iter(0..SOCKETS).map(|_| async {
        let append = placed_order()?;
        let order = append.stream.as_str().strip_prefix("order-");
        let order = order.context("an order")?.to_owned();
        store.append(append).await?;
        anyhow::Ok(order)
    });
    places.buffer_unordered(AT_ONCE).try_collect().await
}

pub(super) async fn connect(address: SocketAddr, received: &Arc<Received>) -> Result<Vec<Subscriber>> {
    let connecting =
        stream::iter(0..SOCKETS).map(|_| Subscriber::counting(address, API_KEY, Arc::clone(received)));
    connecting.buffer_unordered(AT_ONCE).try_collect().await
}
