//! When the log is looked at again: at once, unless messages come thick and fast.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Messages come thick and fast from one in this time on.
const THICK: Duration = Duration::from_millis(1);

/// How messages come.
pub(super) struct Pace {
    gather: Duration,
    /// When there were events last, and how many of them had a message.
    looked: Instant,
    messages: u32,
    /// The last time before that at which some had one.
    before: Option<Instant>,
}

impl Pace {
    /// Of a relay that lets events gather for so long while their messages come thick and fast.
    pub(super) fn new(gather: Duration) -> Self {
        Self {
            gather,
            looked: Instant::now(),
            messages: 0,
            before: None,
        }
    }

    /// There are new events.
    pub(super) fn looked(&mut self) {
        if self.messages > 0 {
            self.before = Some(self.looked);
        }
        self.looked = Instant::now();
        self.messages = 0;
    }

    /// So many more of them had a message.
    pub(super) fn published(&mut self, messages: u64) {
        let messages = u32::try_from(messages).unwrap_or(u32::MAX);
        self.messages = self.messages.saturating_add(messages);
    }

    /// Lets events gather.
    pub(super) async fn rest(&self) {
        let took = self.before.map(|before| self.looked - before);
        if took.is_some_and(|took| took < THICK * self.messages) {
            sleep_until(self.looked + self.gather).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATHER: Duration = Duration::from_millis(2);

    async fn rested(pace: &Pace) -> Duration {
        let begun = Instant::now();
        pace.rest().await;
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_now_and_then_is_published_at_once() {
        let mut pace = Pace::new(GATHER);
        for _ in 0..3 {
            pace.looked();
            pace.published(1);
            assert_eq!(rested(&pace).await, Duration::ZERO);
            tokio::time::advance(THICK).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_thick_and_fast_gathers_for_as_long_as_it_does() {
        let mut pace = Pace::new(GATHER);
        for messages in [1, 1] {
            pace.looked();
            pace.published(messages);
        }
        assert!(rested(&pace).await >= GATHER);
        pace.looked();
        pace.published(2);
        pace.published(2);
        assert!(rested(&pace).await >= GATHER, "4 messages in 2 ms");
        pace.looked();
        pace.published(0);
        assert_eq!(rested(&pace).await, Duration::ZERO, "no message has come since");
        pace.looked();
        pace.published(1);
        assert_eq!(rested(&pace).await, Duration::ZERO, "one message in 2 ms");
    }
}
