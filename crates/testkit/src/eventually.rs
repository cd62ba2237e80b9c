//! Waiting for a condition instead of for a time.

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks again and again until `good` likes what it sees, and returns that; fails the test after `patience` with the
/// last value seen. `eventually!` is the short way to call it.
pub async fn poll_until<T: Debug>(
    what: &str,
    patience: Duration,
    mut look: impl AsyncFnMut() -> T,
    good: impl Fn(&T) -> bool,
) -> T {
    let started = Instant::now();
    loop {
        let value = look().await;
        if good(&value) {
            return value;
        }
        assert!(
            started.elapsed() < patience,
            "not within {patience:?}: {what}\n  last value: {value:#?}"
        );
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until an expression, which may await, has a value that fulfils the condition, and returns the value.
/// `eventually!(store.head().await, |head| *head == 7)` waits 10 s at most;
/// `eventually!(within Duration::from_secs(2), …, …)` waits as long as is said.
#[macro_export]
macro_rules! eventually {
    (within $patience:expr, $look:expr, $good:expr $(,)?) => {
        $crate::poll_until(
            concat!(stringify!($look), " fulfils ", stringify!($good)),
            $patience,
            async || $look,
            $good,
        )
        .await
    };
    ($look:expr, $good:expr $(,)?) => {
        $crate::eventually!(within::std::time::Duration::from_secs(10), $look, $good)
    };
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, time::Duration};

    #[tokio::test]
    async fn it_returns_the_first_value_that_fulfils_the_condition() {
        let count = Cell::new(0);
        let look = || count.replace(count.get() + 1);
        assert_eq!(eventually!(look(), |seen| *seen == 3), 3);
    }

    #[tokio::test]
    #[should_panic(expected = "last value: 7")]
    async fn it_fails_with_the_last_value() {
        eventually!(within Duration::from_millis(50), 7, |seen| *seen == 8);
    }
}
