//! Delays between attempts: exponential with full jitter, so that replicas do not come back in step.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(4);

/// The delay before attempt `attempt` (from 1): random, up to 50 ms for the first and up to 4 s for late ones.
pub(crate) fn delay(attempt: usize) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1))
        .unwrap_or(u32::MAX)
        .min(16);
    let ceiling = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    ceiling.mul_f64(rand::random_range(0.0..1.0))
}

/// Counts failures in a row and waits longer after each.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: usize,
}

impl Backoff {
    /// Waits before the next attempt.
    pub(crate) async fn wait(&mut self) {
        self.failures += 1;
        tokio::time::sleep(delay(self.failures)).await;
    }

    /// The last attempt got somewhere: start from the shortest delay again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_four_seconds_and_no_further() {
        for attempt in 1..200 {
            assert!(delay(attempt) < LONGEST);
        }
        assert!((0..200).all(|_| delay(1) < FIRST));
        assert!((0..200).any(|_| delay(50) > LONGEST / 2));
    }
}
