//! Wakes the orders that nobody has woken in time.

use std::{collections::HashMap, time::Duration};

use tiffin_eventstore::{DerivedError, Position};
use tiffin_order::OrderId;
use tokio::time::{Instant, MissedTickBehavior};

use super::Wakeups;
use crate::tables::Overdue;

/// After so long it is clear that no memory has a timer for it.
const LATE: Duration = Duration::from_secs(1);
/// How often they are looked for.
const LOOK: Duration = Duration::from_millis(250);
/// How many are read at a time.
const PAGE: u32 = 256;
/// The index takes a moment to show that an order was woken; one that it still shows then is woken again.
const AGAIN: Duration = Duration::from_secs(5);

/// Who was woken just now, by the event on which they were.
#[derive(Default)]
struct Woken(HashMap<OrderId, (Position, Instant)>);

impl Wakeups {
    /// Wakes overdue orders for ever.
    pub(super) async fn fire(&self) {
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut woken = Woken::default();
        loop {
            ticks.tick().await;
            woken.forget(Instant::now());
            if let Err(error) = self.fire_overdue(&mut woken).await {
                self.rest("overdue orders could not be looked for", &error).await;
            }
        }
    }

    async fn fire_overdue(&self, woken: &mut Woken) -> Result<(), DerivedError> {
        let before = self.ago(LATE);
        let mut last = None;
        loop {
            let page = self.tables.overdue(before, last, PAGE).await?;
            let due: Vec<_> = page.iter().filter(|row| woken.is_new(row)).collect();
            let orders: Vec<_> = due.iter().map(|row| row.order).collect();
            self.runner.saga().preload(&orders).await;
            for row in due {
                self.metrics.overdue.inc();
                self.runner.wake(row.order).await;
                woken.remember(row, Instant::now());
            }
            last = page.last().copied();
            if last.is_none() || page.len() < PAGE as usize {
                return Ok(());
            }
        }
    }
}

impl Woken {
    fn is_new(&self, row: &Overdue) -> bool {
        self.0
            .get(&row.order)
            .is_none_or(|(position, _)| *position < row.position)
    }

    fn remember(&mut self, row: &Overdue, now: Instant) {
        self.0.insert(row.order, (row.position, now));
    }

    fn forget(&mut self, now: Instant) {
        self.0.retain(|_, (_, at)| now - *at < AGAIN);
    }
}
