//! When the log is looked at again: at once, unless messages come thick and fast.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Messages come thick and fast from one in this time on.
const THICK: Duration = Duration::from_millis(1);

/// How messages come.
pub(super) struct Pace {
    gather: Duration,
    /// When there were events last.
    looked: Instant,
    /// The last time that some had a message.
    published: Option<Instant>,
    gathers_until: Option<Instant>,
}

impl Pace {
    /// Of a relay that lets events gather for so long while their messages come thick and fast.
    pub(super) fn new(gather: Duration) -> Self {
        Self {
            gather,
            looked: Instant::now(),
            published: None,
            gathers_until: None,
        }
    }

    /// There are new events.
    pub(super) fn looked(&mut self) {
        self.looked = Instant::now();
    }

    /// So many of them had a message.
    pub(super) fn published(&mut self, messages: u64) {
        if messages == 0 {
            return;
        }
        let messages = u32::try_from(messages).unwrap_or(u32::MAX);
        let since = self.published.replace(self.looked);
        let is_thick = since.is_some_and(|since| self.looked - since < THICK * messages);
        self.gathers_until = is_thick.then(|| self.looked + self.gather);
    }

    /// Lets events gather.
    pub(super) async fn rest(&self) {
        if let Some(until) = self.gathers_until {
            sleep_until(until).await;
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
        pace.published(4);
        assert!(rested(&pace).await >= GATHER, "4 messages in 2 ms");
        pace.looked();
        pace.published(0);
        assert_eq!(rested(&pace).await, Duration::ZERO, "no message has come since");
        pace.looked();
        pace.published(1);
        assert_eq!(rested(&pace).await, Duration::ZERO, "one message in 2 ms");
    }
}
