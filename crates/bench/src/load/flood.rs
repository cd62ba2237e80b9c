//! Orders placed at a rate of their own, whatever becomes of them.
//!
//! On one thread, so that the load never takes more than one core from what is measured.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use hdrhistogram::Histogram;
use tokio::{
    runtime::Builder,
    task::{JoinSet, LocalSet},
    time::{Instant, MissedTickBehavior, interval},
};

use super::http::{Answer, Client, Connection, Placed};
use crate::run::{latencies, note};

/// How many requests may be without an answer, each on a connection of its own.
const CONNECTIONS: usize = 4_096;
/// How many are opened at the same time.
const AT_ONCE: usize = 64;
/// How often is looked which requests are due.
const TICK: Duration = Duration::from_millis(1);

/// How requests were to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// How many a second.
    pub(crate) rate: f64,
    /// For how long.
    pub(crate) time: Duration,
}

/// What came of it.
pub(crate) struct Flooded {
    /// Those that were answered. Each took the time from the moment at which it was due.
    pub(crate) placed: Placed,
    /// How many orders were placed before, one on each connection.
    pub(crate) opened: u64,
    /// How long after it was due each was sent: the load's own share of that time.
    pub(crate) late: Histogram<u64>,
    /// From the first request to the last order that was accepted, and the load's time at the least.
    pub(crate) elapsed: Duration,
    /// How many were due while every connection waited for an answer, and were not sent.
    pub(crate) unsent: u64,
}

/// Places orders at this pace.
///
/// # Errors
/// A request was answered with neither an order nor a proper refusal.
pub(crate) async fn flood(client: Client, pace: Pace) -> Result<Flooded> {
    let thread = tokio::task::spawn_blocking(move || {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        LocalSet::new().block_on(&runtime, run(&client, pace))
    });
    thread.await?
}

async fn run(client: &Client, pace: Pace) -> Result<Flooded> {
    let request = client.request("P");
    let (opened, idle) = open(client.address, &request).await?;
    let flood = Rc::new(Flood {
        request,
        idle: RefCell::new(idle),
        placed: RefCell::new(Placed::nothing()),
        late: RefCell::new(latencies()),
        accepted: Cell::new(Instant::now()),
    });
    let (mut requests, mut unsent, mut due) = (JoinSet::new(), 0, 0_u32);
    let begins = |number| Duration::from_secs_f64(f64::from(number) / pace.rate);
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let start = Instant::now();
    // Each that is due is sent or counted as unsent, however late this thread is.
    while begins(due) < pace.time {
        ticks.tick().await;
        while let after = begins(due)
            && after < pace.time
            && let at = start + after
            && at <= Instant::now()
        {
            due += 1;
            // The last that became free goes first: it is the one that the caches know.
            let free = flood.idle.borrow_mut().pop();
            if let Some(connection) = free {
                requests.spawn_local(Rc::clone(&flood).send(connection, at));
            } else {
                unsent += 1;
            }
        }
        while let Some(done) = requests.try_join_next() {
            done??;
        }
    }
    while let Some(done) = requests.join_next().await {
        done??;
    }
    let flood = Rc::into_inner(flood).context("nobody sends any more")?;
    Ok(Flooded {
        placed: flood.placed.into_inner(),
        late: flood.late.into_inner(),
        elapsed: (flood.accepted.get() - start).max(pace.time),
        opened,
        unsent,
    })
}

/// Opens all connections; a server closes one on which nothing is asked. How many orders that placed.
async fn open(address: SocketAddr, request: &[u8]) -> Result<(u64, Vec<Connection>)> {
    let opening = stream::iter(0..CONNECTIONS).map(async |_| {
        let mut connection = Connection::open(address).await?;
        let placed = connection.ask(request).await? == Answer::Placed;
        anyhow::Ok((placed, connection))
    });
    let opened: Vec<_> = opening.buffer_unordered(AT_ONCE).try_collect().await?;
    let placed = opened.iter().filter(|(placed, _)| *placed).count();
    let idle = opened.into_iter().map(|(_, connection)| connection).collect();
    Ok((u64::try_from(placed)?, idle))
}

struct Flood {
    request: Vec<u8>,
    idle: RefCell<Vec<Connection>>,
    placed: RefCell<Placed>,
    late: RefCell<Histogram<u64>>,
    /// When the last order was accepted.
    accepted: Cell<Instant>,
}

impl Flood {
    async fn send(self: Rc<Self>, mut connection: Connection, due: Instant) -> Result<()> {
        note(&mut self.late.borrow_mut(), due.elapsed());
        let answer = connection.ask(&self.request).await?;
        self.idle.borrow_mut().push(connection);
        let mut placed = self.placed.borrow_mut();
        match answer {
            Answer::Placed => {
                note(&mut placed.latency, due.elapsed());
                self.accepted.set(Instant::now());
                placed.orders += 1;
            }
            Answer::Refused => placed.refused += 1,
        }
        Ok(())
    }
}
