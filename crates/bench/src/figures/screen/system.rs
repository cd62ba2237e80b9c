//! Tiffin, which says when it committed what.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tiffin_bus::{Bus, State};
use tiffin_eventstore::EventStore;
use tiffin_order::OrderId;
use tiffin_proto::Envelope;
use tiffin_runtime::Lifecycle;
use tiffin_testkit::Postgres;
use tiffin_tests::stack::{Setting, Stack};
use time::OffsetDateTime;
use tokio::{
    runtime::Handle,
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    super::{
        create::address,
        sagas::{placed_order, services},
    },
    RATE, number_of_orders,
    screens::{Birth, Born, Screens},
};
use crate::{
    run::{Clock, Run, Subject},
    usage::Watched,
};

/// An order is watched before the first of them.
const WAITS: [&str; 4] = ["300ms", "300ms", "300ms", "300ms"];

/// `api` and `orders` in this process, so that it knows when something was committed, and a notifier in one of its own.
pub(super) struct System {
    store: EventStore,
    watched: Watched,
    pub(super) screens: Screens,
    born: Born,
    lifecycle: Lifecycle,
    following: JoinHandle<Result<()>>,
    _stack: Stack,
}

impl Drop for System {
    fn drop(&mut self) {
        self.lifecycle.soft.cancel();
        self.lifecycle.hard.cancel();
    }
}

impl System {
    pub(super) async fn start() -> Result<Self> {
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
            ca: None,
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
            following: follow_apart(store.clone(), Arc::clone(&born), lifecycle.hard.clone()),
            watched,
            screens: Screens::connect(address(notifier)?).await?,
            store,
            born,
            lifecycle,
            _stack: stack,
        })
    }
}

/// Follows on a thread of its own, which the work here delays as little as may be.
fn follow_apart(store: EventStore, born: Born, stop: CancellationToken) -> JoinHandle<Result<()>> {
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        let followed = runtime.block_on(stop.run_until_cancelled(follow(store, born)));
        followed.unwrap_or(Ok(()))
    })
}

/// Notes when each change was committed.
async fn follow(store: EventStore, born: Born) -> Result<()> {
    let mut subscription = store.subscribe(store.head().await?);
    loop {
        let events = subscription.next().await?;
        let (now, clock) = (Instant::now(), machine());
        let mut born = born.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            let version = Envelope::decode(&event.metadata)?.version;
            if let (Some(order), Some(version)) = (OrderId::from_stream(event.stream.as_str()), version)
                && version.get() > 1
            {
                // It is recorded before it is committed, by the clock of this machine.
                let age = Duration::try_from(clock - event.created_at).unwrap_or_default();
                let birth = Birth {
                    known: now,
                    earliest: now.checked_sub(age).unwrap_or(now),
                };
                born.insert((order.uuid(), version.get()), birth);
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the database's clock is this machine's")]
fn machine() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

impl Subject for System {
    async fn run(&mut self, time: Duration) -> Result<Run> {
        let watched = self.watched.clone();
        let clock = Clock::start(&watched)?;
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
        clock.stop(updates, latency)
    }
}
