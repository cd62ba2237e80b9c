//! What the parts that Tiffin is built from reach when they do an order's work, and nothing else.

use std::{future::ready, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use async_nats::jetstream::{self, consumer::pull};
use futures::{StreamExt, TryStreamExt, stream};
use tiffin_testkit::{NatsServer, Process, eventually, scratch_folder};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    Engine,
    create::{CLIENTS, Floor},
    push::{self, SOCKETS},
    sagas::{CHANGES, placed_order},
};
use crate::{
    floor::{
        bare, forward,
        publish::{STREAM, Window, said},
        rows::Rows,
        server,
    },
    load::http::{Client, Documents, place},
    method::{Plan, compare},
    report::Figure,
    run::{Clock, Run, Subject, latencies, note},
    usage::Watched,
};

pub(super) const NAME: &str = "bare";

const MANY: Duration = Duration::from_secs(10);
const ALONE: Duration = Duration::from_secs(4);

pub(super) async fn measure(plan: Plan) -> Result<Figure> {
    let mut figure = Figure::new(NAME);
    for (name, engine) in Engine::both().await {
        for (documents, which) in [
            (Documents::Repeated, "one document"),
            (Documents::New, "new documents"),
        ] {
            let mut floor = Floor::start(documents).await?;
            let mut parts = Parts::start(&engine, documents, CLIENTS).await?;
            let comparison = compare(plan, MANY, &mut floor, &mut parts).await?;
            figure.compared(&format!("{name}: orders, {which}"), &comparison, None, None);
        }
        let mut floor = engine.rows().await?;
        floor.batches_of(1);
        floor.rows_like(&placed_order()?.events[0]);
        let mut parts = Parts::start(&engine, Documents::Repeated, 1).await?;
        let comparison = compare(plan, ALONE, &mut floor, &mut parts).await?;
        figure.latency(
            &format!("{name}: one order at a time, beside one row"),
            &comparison,
            None,
        );
        let mut chain = Chain::start(&engine).await?;
        let comparison = compare(plan, ALONE, &mut floor, &mut chain).await?;
        figure.latency(
            &format!("{name}: one saga at a time, beside one row"),
            &comparison,
            None,
        );
    }
    let mut floor = push::Floor::start().await?;
    let mut pushes = Pushes::start().await?;
    let comparison = compare(plan, ALONE, &mut floor, &mut pushes).await?;
    figure.compared("pushes from the stream", &comparison, None, None);
    Ok(figure)
}

/// The server of bare parts.
struct Parts {
    client: Client,
    clients: usize,
    process: Process,
    nats: NatsServer,
    watched: Watched,
    placed: u64,
}

impl Parts {
    async fn start(engine: &Engine, documents: Documents, clients: usize) -> Result<Self> {
        let nats = NatsServer::start().await;
        let database = match engine.postgres() {
            None => format!("sqlite:{}", scratch_folder("bare").display()),
            Some(server) => server.database().await.url.clone(),
        };
        let (process, address) = server(bare::ARGUMENT, &[&nats.url(), &database]).await?;
        let server = engine.postgres().and_then(|server| server.id());
        let watched = Watched::none().and(server).and(nats.id()).and(Some(process.id()));
        Ok(Self {
            client: Client {
                address,
                key: String::new(),
                documents,
            },
            clients,
            process,
            nats,
            watched,
            placed: 0,
        })
    }

    /// How many orders were pulled, have their second row, and are acknowledged.
    async fn acknowledged(&self) -> Result<u64> {
        let jetstream = jetstream::new(async_nats::connect(self.nats.url()).await?);
        let stream = jetstream.get_stream(STREAM).await?;
        let consumer = stream.get_consumer::<pull::Config>(bare::CONSUMER).await;
        let consumer = consumer.map_err(anyhow::Error::from_boxed)?;
        Ok(consumer.cached_info().ack_floor.stream_sequence)
    }
}

impl Subject for Parts {
    /// Ends when all that was placed has its second row.
    async fn run(&mut self, time: Duration) -> Result<Run> {
        ensure!(
            self.process.ended().is_none(),
            "the server of bare parts has ended: {}",
            self.process.output()
        );
        let clock = Clock::start(&self.watched)?;
        let placed = place(&self.client, self.clients, Instant::now() + time).await?;
        self.placed += placed.orders;
        eventually!(within Duration::from_mins(1), self.acknowledged().await.unwrap_or_default(),
            |acknowledged| *acknowledged >= self.placed);
        clock.stop(placed.orders, placed.latency)
    }
}

/// An order's five rows one after the other, the first of them by way of the broker.
struct Chain {
    rows: Rows,
    window: Window,
    messages: pull::Stream,
    _nats: NatsServer,
}

impl Chain {
    async fn start(engine: &Engine) -> Result<Self> {
        let nats = NatsServer::start().await;
        let mut rows = engine.rows().await?;
        rows.batches_of(1);
        let window = Window::open(&nats.url()).await?;
        Ok(Self {
            rows,
            window,
            messages: bare::consumer(&nats.url()).await?,
            _nats: nats,
        })
    }
}

impl Subject for Chain {
    async fn run(&mut self, time: Duration) -> Result<Run> {
        let watched = Watched::this();
        let clock = Clock::start(&watched)?;
        let (until, mut orders, mut latency) = (Instant::now() + time, 0, latencies());
        while Instant::now() < until {
            let begun = Instant::now();
            self.rows.insert().await?;
            self.window.publish().await?;
            let message = self.messages.next().await.context("a message")??;
            for _ in 0..CHANGES {
                self.rows.insert().await?;
            }
            note(&mut latency, begun.elapsed());
            message.ack().await.map_err(anyhow::Error::from_boxed)?;
            orders += 1;
        }
        clock.stop(orders, latency)
    }
}

/// So many orders change one after the other, before the first of them changes again.
const TOGETHER: usize = 1_000;

/// A bare consumer whose messages go to bare sockets, each of which watches an order of its own.
struct Pushes {
    address: SocketAddr,
    process: Process,
    jetstream: jetstream::Context,
    watched: Watched,
    _nats: NatsServer,
}

impl Pushes {
    async fn start() -> Result<Self> {
        let nats = NatsServer::start().await;
        let (process, address) = server(forward::ARGUMENT, &[&nats.url()]).await?;
        Ok(Self {
            address,
            jetstream: jetstream::new(async_nats::connect(nats.url()).await?),
            watched: Watched::none().and(Some(process.id())).and(nats.id()),
            process,
            _nats: nats,
        })
    }

    /// Publishes an update and waits for the broker's acknowledgement.
    async fn publish(&self, order: &Uuid, version: u64) -> Result<()> {
        let frame = forward::frame(order, version);
        let subject = format!("{}{order}", forward::SUBJECT);
        let sent = self
            .jetstream
            .publish_with_headers(subject, said(version), frame.into());
        sent.await?.await?;
        Ok(())
    }
}

impl Subject for Pushes {
    async fn run(&mut self, _time: Duration) -> Result<Run> {
        let received = Arc::default();
        let mut subscribers = push::connect(self.address, &received).await?;
        let orders: Vec<Uuid> = subscribers.iter().map(|_| Uuid::now_v7()).collect();
        for (subscriber, order) in subscribers.iter_mut().zip(&orders) {
            subscriber.watch(&order.to_string(), None).await?;
        }
        received.wait_for(SOCKETS as u64).await?;
        self.process.pause();
        for together in orders.chunks(TOGETHER) {
            for version in 3..3 + CHANGES {
                let publishing = stream::iter(together).map(|order| self.publish(order, version));
                let publishing = publishing.buffer_unordered(64);
                publishing.try_for_each(|()| ready(Ok(()))).await?;
            }
        }
        let pushes = SOCKETS as u64 * CHANGES;
        let clock = Clock::start(&self.watched)?;
        self.process.resume();
        received.wait_for(SOCKETS as u64 + pushes).await?;
        clock.stop(pushes, latencies())
    }
}
