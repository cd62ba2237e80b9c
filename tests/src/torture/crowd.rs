//! Customers who come one after another, and stay until their orders are finished.

use std::time::Duration;

use anyhow::Result;
use tokio::{
    task::{JoinHandle, JoinSet},
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{board::Board, customer, history::Placement};
use crate::client::Client;

/// How often it is looked whether everyone has left.
const LOOK: Duration = Duration::from_millis(20);

/// All customers of a run.
#[derive(Debug)]
pub struct Crowd {
    board: Board,
    closed: CancellationToken,
    door: JoinHandle<JoinSet<()>>,
}

impl Crowd {
    /// Lets a customer in at every `pace`, from now on. If there are several replicas, every second customer prefers
    /// the second.
    pub fn new(pace: Duration, client: Client) -> Self {
        let board = Board::new();
        let closed = CancellationToken::new();
        let door = tokio::spawn(let_in(pace, client, board.clone(), closed.clone()));
        Self { board, closed, door }
    }

    /// The time since the first customer.
    pub fn now(&self) -> Duration {
        self.board.now()
    }

    /// How many orders are acknowledged and not yet seen to be finished.
    pub fn open(&self) -> usize {
        self.count(Placement::is_open)
    }

    /// How many placements are as is asked for.
    pub fn count(&self, asked: impl Fn(&Placement) -> bool) -> usize {
        self.board.count(asked)
    }

    /// Lets nobody in any more, waits until everyone has left or until the deadline, and tells what everyone did and
    /// saw.
    pub async fn leave(self, deadline: Instant) -> Result<Vec<Placement>> {
        self.closed.cancel();
        let mut inside = self.door.await?;
        while !self.board.is_done() && Instant::now() < deadline {
            sleep(LOOK).await;
        }
        inside.shutdown().await;
        Ok(self.board.placements())
    }
}

async fn let_in(pace: Duration, client: Client, board: Board, closed: CancellationToken) -> JoinSet<()> {
    let mut inside = JoinSet::new();
    let mut ticks = interval(pace);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for number in 0.. {
        if closed.run_until_cancelled(ticks.tick()).await.is_none() {
            break;
        }
        let entry = board.enter(format!("dish {number}"));
        let client = if number % 2 == 0 {
            client.clone()
        } else {
            client.turned()
        };
        inside.spawn(customer::live(number, client, entry));
    }
    inside
}
