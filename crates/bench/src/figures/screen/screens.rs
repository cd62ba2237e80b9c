//! Those who look.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use hdrhistogram::Histogram;
use tiffin_testkit::eventually;
use tiffin_tests::stack::API_KEY;
use tokio::{
    sync::{
        Mutex as AsyncMutex,
        mpsc::{UnboundedReceiver, unbounded_channel},
    },
    time::{Instant, timeout},
};
use uuid::Uuid;

use super::CHANGES;
use crate::{
    load::socket::{Seen, Subscriber},
    run::{count, latencies, note},
};

/// How many clients there are; each watches one order after the other.
const SCREENS: usize = 1_000;
/// How many connect at the same time.
const AT_ONCE: usize = 64;
/// How long the last update may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// When each update became one.
pub(super) type Born = Arc<Mutex<HashMap<(Uuid, u32), Birth>>>;

/// When an update became one: was committed, or published.
#[derive(Clone, Copy, Debug)]
pub(super) struct Birth {
    /// It was one by then, as far as the process knows that made it.
    pub(super) known: Instant,
    /// It was none before.
    pub(super) earliest: Instant,
}

impl Birth {
    /// Which of the two an update counts from that was seen at this time. One that was seen before its birth was known
    /// counts from the earliest, and so takes too long rather than no time.
    fn seen(self, at: Instant) -> Instant {
        if at < self.known {
            self.earliest
        } else {
            self.known
        }
    }
}

/// Clients, and what they have seen.
pub(super) struct Screens {
    clients: Vec<Arc<AsyncMutex<Subscriber>>>,
    seen: UnboundedReceiver<Result<Seen>>,
    next: usize,
    /// How many updates there were, and how many of them were seen before their birth was known.
    seen_all: u64,
    seen_early: u64,
}

impl Screens {
    /// Connects all of them.
    pub(super) async fn connect(address: SocketAddr) -> Result<Self> {
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
            seen_all: 0,
            seen_early: 0,
        })
    }

    /// How many of a hundred updates were seen before their birth was known.
    pub(super) fn early(&self) -> f64 {
        100.0 * count(self.seen_early) / count(self.seen_all)
    }

    /// The one whose turn it is.
    pub(super) fn next(&mut self) -> Arc<AsyncMutex<Subscriber>> {
        self.next = (self.next + 1) % SCREENS;
        Arc::clone(&self.clients[self.next])
    }

    /// Waits until every update of so many orders was seen; how long after its birth each was.
    pub(super) async fn all(&mut self, orders: u32, born: &Born) -> Result<(u64, Histogram<u64>)> {
        let updates = u64::from(orders * CHANGES);
        let mut came = Vec::new();
        for _ in 0..updates {
            let seen = timeout(PATIENCE, self.seen.recv()).await;
            let seen = seen.context("an update never came")?;
            came.push(seen.context("the screens are gone")??);
        }
        let births = || born.lock().unwrap_or_else(PoisonError::into_inner);
        eventually!(births().len() as u64, |births| *births >= updates);
        let (mut births, mut latency) = (std::mem::take(&mut *births()), latencies());
        let (mut last, mut early) = (HashMap::new(), 0);
        for Seen { order, version, at } in came {
            let before = last.insert(order, version).unwrap_or(1);
            ensure!(
                version == before + 1,
                "version {version} of {order} came after {before}"
            );
            let birth = births.remove(&(order, version));
            let birth = birth.with_context(|| format!("version {version} of {order} came from nowhere"))?;
            early += u64::from(at < birth.known);
            note(&mut latency, at.saturating_duration_since(birth.seen(at)));
        }
        self.seen_all += updates;
        self.seen_early += early;
        Ok((updates, latency))
    }
}
