//! Ten thousand sockets that come back at once after the notifier was killed.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use async_nats::jetstream;
use futures::future::try_join_all;
use hdrhistogram::Histogram;
use tiffin_eventstore::EventStore;
use tiffin_testkit::{Postgres, eventually};
use tiffin_tests::stack::{API_KEY, Setting, Stack, waits};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use super::{
    create::address,
    push::{SOCKETS, connect, place},
};
use crate::{
    load::socket::{Connection, Received, versions},
    method::{Plan, median},
    report::{Figure, Goal},
    run::{count, latencies, note},
    usage::Watched,
};

pub(super) const NAME: &str = "reconnect";

/// Two changes come while the notifier is away, and no more.
const WAITS: [&str; 4] = ["0s", "0s", "3600s", "3600s"];
const MISSED: u64 = 2;
/// The version that every order has then.
const LAST: u32 = 3;
/// When a client tries again that was not let in.
const AGAIN: Duration = Duration::from_millis(100);

pub(super) async fn measure(plan: Plan) -> Result<Figure> {
    let setting = Setting {
        waits: waits(WAITS),
        postgres: Some(Postgres::start().await),
        ..Setting::default()
    };
    let mut stack = Stack::start(&setting).await?;
    let store = EventStore::open(tiffin_eventstore::Config::new(stack.database.url.parse()?)).await?;
    let jetstream = jetstream::new(async_nats::connect(stack.nats.url()).await?);
    let (mut last, mut half, mut peak, mut published) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for _ in 0..plan.pairs {
        published += SOCKETS as u64 * MISSED;
        let orders = kill(&mut stack, &store).await?;
        eventually!(within Duration::from_mins(2), last_sequence(&jetstream).await, |sequence| *sequence >= published);
        let took = come_back(&mut stack, orders).await?;
        let seconds = |part| count(took.value_at_quantile(part)) / 1e9;
        eprintln!(
            "  {:.2} s until half have their state, {:.2} s until all have",
            seconds(0.5),
            seconds(1.0)
        );
        last.push(seconds(1.0));
        half.push(seconds(0.5));
        let notifier = Watched::none().and(Some(stack.notifier[0].process.id()));
        peak.push(count(notifier.usage()?.peak) / 1024.0 / 1024.0);
    }
    let mut figure = Figure::new(NAME);
    figure.alone(
        "s from the start until all have their state",
        median(last),
        Some(Goal::AtMost(5.0)),
    );
    figure.alone("s until half have it", median(half), None);
    figure.alone("MiB at the notifier's peak", median(peak), None);
    Ok(figure)
}

/// Places an order for each socket, which sees it, kills the notifier, and lets the orders go on.
async fn kill(stack: &mut Stack, store: &EventStore) -> Result<Vec<String>> {
    stack.orders[0].process.pause();
    let received: Arc<Received> = Arc::default();
    let mut subscribers = connect(address(&stack.notifier[0])?, &received).await?;
    let orders = place(store).await?;
    for (subscriber, order) in subscribers.iter_mut().zip(&orders) {
        subscriber.watch(order, None).await?;
    }
    received.wait_for(SOCKETS as u64).await?;
    stack.notifier[0].process.kill();
    stack.orders[0].process.resume();
    Ok(orders)
}

/// Starts the notifier again; how long after that each client has its order's state.
async fn come_back(stack: &mut Stack, orders: Vec<String>) -> Result<Histogram<u64>> {
    let notifier = stack.notifier.pop().context("a notifier")?;
    let start = Instant::now();
    let notifier = notifier.again();
    let address = address(&notifier)?;
    stack.notifier.push(notifier);
    while TcpStream::connect(address).await.is_err() {
        sleep(Duration::from_millis(5)).await;
    }
    let clients = orders.into_iter().enumerate().map(|(number, order)| {
        // Every second one knows what it saw.
        let after = number.is_multiple_of(2).then_some(1);
        tokio::spawn(async move {
            let (seen, connection) = state(address, &order, after).await;
            let took = start.elapsed();
            let expected: &[u32] = if after.is_some() { &[2, LAST] } else { &[LAST] };
            ensure!(seen == expected, "after {after:?} came the versions {seen:?}");
            anyhow::Ok((took, connection))
        })
    });
    let (mut took, mut open) = (latencies(), Vec::with_capacity(SOCKETS));
    let all = timeout(Duration::from_mins(1), try_join_all(clients)).await;
    for client in all.context("some were never let in")?? {
        let (elapsed, connection) = client?;
        note(&mut took, elapsed);
        open.push(connection);
    }
    Ok(took)
}

/// What a client is sent that tries until it is let in.
async fn state(address: SocketAddr, order: &str, after: Option<u32>) -> (Vec<u32>, Connection) {
    loop {
        match versions(address, API_KEY, order, after, LAST).await {
            Ok(found) => return found,
            Err(_not_yet) => sleep(AGAIN).await,
        }
    }
}

async fn last_sequence(jetstream: &jetstream::Context) -> u64 {
    let stream = jetstream.get_stream("ORDER_UPDATED").await;
    stream.map_or(0, |stream| stream.cached_info().state.last_sequence)
}
