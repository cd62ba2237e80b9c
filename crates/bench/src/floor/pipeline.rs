//! An order's events without an order: rows by plain sqlx in batches, and each published by a bare client when its
//! batch is on disk.

use std::time::Duration;

use anyhow::{Context, Result};
use tiffin_testkit::NatsServer;
use tokio::{sync::mpsc, time::Instant};

use super::{
    publish::Window,
    rows::{BATCH, Rows},
};
use crate::{
    run::{Clock, Run, Subject, latencies},
    usage::Watched,
};

/// How many batches may wait to be published.
const WAITING: usize = 16;

/// Rows and messages of so many an order.
pub(crate) struct Pipeline {
    rows: Rows,
    server: NatsServer,
    watched: Watched,
    events: u64,
}

impl Pipeline {
    /// Orders of `events` events, at the cost of `watched`.
    pub(crate) fn new(rows: Rows, server: NatsServer, watched: Watched, events: u64) -> Self {
        Self {
            rows,
            server,
            watched,
            events,
        }
    }
}

impl Subject for Pipeline {
    async fn run(&mut self, time: Duration) -> Result<Run> {
        self.server.wipe().await;
        let mut window = Window::open(&self.server.url()).await?;
        let watched = self.watched.clone().and(self.server.id());
        let clock = Clock::start(&watched)?;
        let (send, mut receive) = mpsc::channel::<()>(WAITING);
        let publishing = tokio::spawn(async move {
            while receive.recv().await.is_some() {
                for _ in 0..BATCH {
                    window.publish().await?;
                }
            }
            window.drain().await
        });
        let (until, mut rows) = (Instant::now() + time, 0);
        while Instant::now() < until {
            self.rows.insert().await?;
            rows += BATCH;
            send.send(()).await.context("publishing has ended")?;
        }
        drop(send);
        publishing.await??;
        clock.stop(rows / self.events, latencies())
    }
}
