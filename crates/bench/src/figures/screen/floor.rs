//! What there is to compare with: a bare stream and a bare socket.

use std::{sync::PoisonError, time::Duration};

use anyhow::Result;
use async_nats::jetstream;
use tiffin_testkit::{NatsServer, Process};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};
use uuid::Uuid;

use super::{
    CHANGES, RATE, number_of_orders,
    screens::{Birth, Born, Screens},
};
use crate::{
    floor::{self, forward},
    run::{Clock, Run, Subject},
    usage::Watched,
};

/// So many orders are watched before the first message is published, so many ahead of each, and for so long.
const AHEAD: usize = 250;
const SOON: Duration = Duration::from_millis(500);

/// A bare client publishes; a bare consumer sends each message to a bare socket.
pub(super) struct Floor {
    jetstream: jetstream::Context,
    watched: Watched,
    screens: Screens,
    _server: NatsServer,
    _process: Process,
}

impl Floor {
    pub(super) async fn start() -> Result<Self> {
        let server = NatsServer::start().await;
        let (process, address) = floor::server(forward::ARGUMENT, &[&server.url()]).await?;
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

    /// Publishes an update, after those before it, and waits for the broker's acknowledgement, but not here.
    async fn publish(
        &self,
        order: Uuid,
        version: u32,
        born: &Born,
        sending: &mut JoinSet<Result<()>>,
    ) -> Result<()> {
        let frame = forward::frame(&order, version.into());
        let subject = format!("{}{order}", forward::SUBJECT);
        let now = Instant::now();
        let birth = Birth {
            known: now,
            earliest: now,
        };
        born.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((order, version), birth);
        let acknowledgement = self.jetstream.publish(subject, frame.into()).await?;
        sending.spawn(async move {
            acknowledgement.await?;
            Ok(())
        });
        Ok(())
    }
}

impl Subject for Floor {
    async fn run(&mut self, time: Duration) -> Result<Run> {
        let (born, watched) = (Born::default(), self.watched.clone());
        let clock = Clock::start(&watched)?;
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
                self.publish(*order, change + 2, &born, &mut sending).await?;
            }
        }
        while let Some(sent) = sending.join_next().await {
            sent??;
        }
        let (updates, latency) = self.screens.all(number_of_orders(time), &born).await?;
        clock.stop(updates, latency)
    }
}
