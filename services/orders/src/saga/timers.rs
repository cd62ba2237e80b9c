//! Wake-ups in memory: exact, and forgotten with the process. The index in SQL knows them all.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tiffin_order::OrderId;
use tokio::{sync::Notify, time::Instant};

/// More are left to the index.
const MOST: usize = 200_000;

/// At most one timer for each order.
#[derive(Default)]
pub(crate) struct Timers {
    armed: Mutex<Armed>,
    sooner: Notify,
}

#[derive(Default)]
struct Armed {
    by_time: BTreeSet<(Instant, OrderId)>,
    by_order: HashMap<OrderId, Instant>,
}

impl Timers {
    /// Wakes the order at `at`, and at no other time.
    pub(crate) fn arm(&self, id: OrderId, at: Instant) {
        let mut armed = self.armed();
        if let Some(former) = armed.by_order.remove(&id) {
            armed.by_time.remove(&(former, id));
        }
        if armed.by_time.len() >= MOST {
            return;
        }
        armed.by_order.insert(id, at);
        armed.by_time.insert((at, id));
        if armed.by_time.first() == Some(&(at, id)) {
            self.sooner.notify_one();
        }
    }

    /// How many are armed.
    pub(crate) fn len(&self) -> usize {
        self.armed().by_time.len()
    }

    /// Waits for the next orders to be woken, and disarms them. Cancel-safe.
    pub(crate) async fn due(&self) -> Vec<OrderId> {
        loop {
            let (due, next) = self.take(Instant::now());
            if !due.is_empty() {
                return due;
            }
            let sooner = self.sooner.notified();
            match next {
                Some(next) => drop(tokio::time::timeout_at(next, sooner).await),
                None => sooner.await,
            }
        }
    }

    /// Those that are due, and when the next one will be.
    fn take(&self, now: Instant) -> (Vec<OrderId>, Option<Instant>) {
        let mut armed = self.armed();
        let mut due = Vec::new();
        while let Some((at, id)) = armed.by_time.first().copied() {
            if at > now {
                return (due, Some(at));
            }
            armed.by_time.pop_first();
            armed.by_order.remove(&id);
            due.push(id);
        }
        (due, None)
    }

    fn armed(&self) -> MutexGuard<'_, Armed> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;

    fn order(number: u128) -> OrderId {
        OrderId::new(Uuid::from_u128(number))
    }

    #[tokio::test(start_paused = true)]
    async fn orders_are_woken_when_their_time_has_come_and_only_then() {
        let timers = Timers::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        timers.arm(order(1), at(5));
        timers.arm(order(2), at(3));
        timers.arm(order(3), at(3));
        assert_eq!(timers.due().await, [order(2), order(3)]);
        assert_eq!(start.elapsed(), Duration::from_secs(3));
        assert_eq!(timers.due().await, [order(1)]);
        assert_eq!(start.elapsed(), Duration::from_secs(5));
        assert_eq!(timers.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_time_replaces_the_old_one() {
        let timers = Timers::default();
        let start = Instant::now();
        timers.arm(order(1), start + Duration::from_secs(1));
        timers.arm(order(1), start + Duration::from_secs(9));
        assert_eq!(timers.due().await, [order(1)]);
        assert_eq!(start.elapsed(), Duration::from_secs(9));
        assert_eq!(timers.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_sooner_one_is_not_slept_over() {
        let timers = std::sync::Arc::new(Timers::default());
        let start = Instant::now();
        timers.arm(order(1), start + Duration::from_mins(1));
        let other = std::sync::Arc::clone(&timers);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            other.arm(order(2), Instant::now() + Duration::from_secs(1));
        });
        assert_eq!(timers.due().await, [order(2)]);
        assert_eq!(start.elapsed(), Duration::from_secs(2));
    }
}
