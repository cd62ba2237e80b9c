//! Whether another order may come in: one that would wait too long is refused.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tiffin_eventstore::{Cursor, Direction, EventStore, Position, ReadError, SubscribeError};
use tiffin_graphql::{Error, ErrorCode};
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    slots::{Slot, Slots},
    waiting::{Backlog, Waiting},
};

/// How long events may gather before they are counted.
const GATHER: Duration = Duration::from_millis(20);
/// How long to wait before the log is looked at again after it could not be followed.
const RETRY: Duration = Duration::from_secs(1);

/// While this is exceeded, new orders are refused.
#[derive(Clone, Copy, Debug)]
pub struct AdmissionLimits {
    /// How long the oldest append may have been waiting for its commit.
    pub write_age: Duration,
    /// The same while fewer than [`committed_at_once`](Self::committed_at_once) orders are in progress and the database
    /// answers. One more then waits for the disk, or for a processor, rather than for others, and a pause of either is
    /// sooner over than a client comes again.
    pub write_pause: Duration,
    /// So many orders of ordinary size are one commit.
    pub committed_at_once: usize,
    /// How long orders may wait for their turn while orders are being taken up: the oldest has waited for longer, and more
    /// wait than were taken up within this time, so that another one would.
    pub waiting_age: Duration,
    /// How many orders may wait in any case.
    pub waiting: usize,
    /// How many orders may be in progress, not yet answered, in any case.
    pub in_progress: usize,
    /// As many as are answered within this time may be in progress where that is more.
    pub answered_within: Duration,
    /// For how long it is held back that too many wait or are in progress. A refusal costs a third of what an order does, so
    /// that clients which come back at once would take the processors from the orders in progress.
    pub hold_for: Duration,
    /// How many are held back at a time; those above are told at once.
    pub held_at_most: usize,
}

impl Default for AdmissionLimits {
    fn default() -> Self {
        Self {
            write_age: Duration::from_millis(250),
            write_pause: Duration::from_secs(1),
            committed_at_once: 256,
            waiting_age: Duration::from_secs(5),
            waiting: 100_000,
            in_progress: 1_024,
            answered_within: Duration::from_millis(125),
            hold_for: Duration::from_millis(2_500),
            held_at_most: 4_096,
        }
    }
}

impl AdmissionLimits {
    /// The same, but a refusal is held back for half of what a request may take at the most: the transport would answer in
    /// its place otherwise, and could not say that nothing was stored.
    pub(crate) fn within(self, request: Duration) -> Self {
        Self {
            hold_for: self.hold_for.min(request / 2),
            ..self
        }
    }

    /// What refuses a new order, if anything.
    fn refusal(&self, commits: Commits, backlog: Backlog) -> Option<Refusal> {
        let exceeds = |age: Option<Duration>, limit| age.is_some_and(|age| age > limit);
        let taking_up = backlog.taken_up > 0;
        let waits_too_long = backlog.queue > backlog.taken_up && exceeds(backlog.oldest, self.waiting_age);
        let write_age = if commits.well && commits.in_progress < self.committed_at_once {
            self.write_pause
        } else {
            self.write_age
        };
        if exceeds(commits.oldest, write_age) {
            Some(Refusal::Commits { well: commits.well })
        } else if backlog.count >= self.waiting || taking_up && waits_too_long {
            Some(Refusal::Waiting)
        } else {
            None
        }
    }
}

/// What is known of commits when a new order comes.
#[derive(Clone, Copy, Debug)]
struct Commits {
    /// How long the oldest append has been waiting.
    oldest: Option<Duration>,
    /// How many orders are in progress.
    in_progress: usize,
    /// The database answers.
    well: bool,
}

/// Why a new order is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Commits take too long; `well`: the database answers.
    Commits { well: bool },
    /// Too many orders are not taken up yet.
    Waiting,
    /// Too many orders are in progress.
    InProgress,
}

impl Refusal {
    fn code(self) -> ErrorCode {
        match self {
            Self::Commits { well: false } => ErrorCode::Unavailable,
            Self::Commits { well: true } | Self::Waiting | Self::InProgress => ErrorCode::Overloaded,
        }
    }

    /// When to ask again.
    fn retry_after(self) -> Duration {
        match self {
            Self::Commits { .. } | Self::InProgress => Duration::from_secs(1),
            Self::Waiting => Duration::from_secs(5),
        }
    }

    /// Whether processors may be what there is too little of.
    fn is_held_back(self) -> bool {
        matches!(self, Self::Waiting | Self::InProgress)
    }
}

/// Knows the backlog, by following the log.
#[derive(Clone)]
pub(crate) struct Admission {
    store: EventStore,
    limits: AdmissionLimits,
    waiting: Arc<Mutex<Waiting>>,
    slots: Arc<Slots>,
    holds: Arc<Semaphore>,
    stop: CancellationToken,
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Admission {
    /// Nobody is held back any longer from `stop` on.
    pub(crate) fn new(store: EventStore, limits: AdmissionLimits, stop: CancellationToken) -> Self {
        Self {
            store,
            limits,
            waiting: Arc::default(),
            slots: Arc::new(Slots::new(limits.in_progress, limits.answered_within)),
            holds: Arc::new(Semaphore::new(limits.held_at_most)),
            stop,
        }
    }

    /// Lets a new order in; it is in progress for as long as its slot is kept.
    pub(crate) fn admit(&self) -> Result<Slot<'_>, Refusal> {
        let commits = Commits {
            oldest: self.store.oldest_waiting(),
            in_progress: self.slots.taken().0,
            well: self.store.trouble().is_none(),
        };
        match self.limits.refusal(commits, self.backlog()) {
            None => self.slots.take().ok_or(Refusal::InProgress),
            Some(refusal) => Err(refusal),
        }
    }

    /// What a client is told of a refusal: [`ErrorCode::Overloaded`], a while after `asked` unless it is commits that take
    /// long, or [`ErrorCode::Unavailable`].
    pub(crate) async fn refuse(&self, refusal: Refusal, asked: Instant) -> Error {
        if refusal.is_held_back()
            && let Ok(_held) = self.holds.try_acquire()
        {
            let holding = tokio::time::sleep_until(asked + self.limits.hold_for);
            self.stop.run_until_cancelled(holding).await;
        }
        Error::from(refusal.code())
            .hint("Nothing was stored. Send the same request again after retryAfterMs.")
            .retry_after(refusal.retry_after())
    }

    /// How many orders are in progress, and how many may be.
    pub(crate) fn in_progress(&self) -> (usize, usize) {
        self.slots.taken()
    }

    /// How many refusals are held back.
    pub(crate) fn held(&self) -> usize {
        self.limits
            .held_at_most
            .saturating_sub(self.holds.available_permits())
    }

    /// The orders that are waiting now.
    pub(crate) fn backlog(&self) -> Backlog {
        let now = self.store.now();
        self.waiting().backlog(now, self.limits.waiting_age)
    }

    /// Follows the log until the service stops. It begins as far back as there can be orders that count: with nobody taking
    /// orders up, the log grows by little else than the orders that wait.
    pub(crate) async fn follow(self) {
        let following = async {
            loop {
                match self.start().await {
                    Ok(cursor) => self.follow_from(cursor).await,
                    Err(error) => {
                        tracing::debug!(%error, "cannot tell yet how many orders wait");
                        tokio::time::sleep(RETRY).await;
                    }
                }
            }
        };
        self.stop.run_until_cancelled(following).await;
    }

    /// Returns when the log was replaced, or the store closed.
    async fn follow_from(&self, cursor: Cursor) {
        *self.waiting() = Waiting::default();
        let mut events = self.store.subscribe(cursor).gathering(GATHER);
        loop {
            match events.next().await {
                Ok(batch) => {
                    let mut waiting = self.waiting();
                    for event in &batch {
                        waiting.observe(event);
                    }
                }
                Err(error @ (SubscribeError::LogReplaced | SubscribeError::Closed)) => {
                    tracing::warn!(%error, "count again how many orders wait");
                    return tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn start(&self) -> Result<Cursor, ReadError> {
        let back = u64::try_from(self.limits.waiting).unwrap_or(u64::MAX);
        let head = self.store.head().await?.position.0;
        if head <= back {
            return Ok(Cursor::START);
        }
        let first = self
            .store
            .read_all(Position(head - back - 1), Direction::Forwards, 1)
            .await?;
        Ok(first.first().map_or(Cursor::START, |event| event.cursor()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: AdmissionLimits = AdmissionLimits {
        write_age: Duration::from_millis(250),
        write_pause: Duration::from_secs(1),
        committed_at_once: 10,
        waiting_age: Duration::from_secs(5),
        waiting: 100,
        in_progress: 1,
        answered_within: Duration::ZERO,
        hold_for: Duration::ZERO,
        held_at_most: 0,
    };

    /// No append waits.
    const IDLE: Commits = waiting(None, 0);

    const fn waiting(oldest: Option<Duration>, in_progress: usize) -> Commits {
        Commits {
            oldest,
            in_progress,
            well: true,
        }
    }

    fn backlog(queue: usize, oldest: u64, taken_up: usize) -> Backlog {
        Backlog {
            count: queue,
            queue,
            oldest: Some(Duration::from_secs(oldest)),
            taken_up,
        }
    }

    #[test]
    fn a_short_queue_refuses_nobody() {
        assert_eq!(LIMITS.refusal(IDLE, Backlog::default()), None);
        assert_eq!(
            LIMITS.refusal(waiting(Some(LIMITS.write_age), 10), backlog(20, 5, 1)),
            None
        );
    }

    #[test]
    fn a_slow_disk_refuses_new_orders_and_a_database_that_is_away_says_so() {
        let stalled = waiting(Some(LIMITS.write_age + Duration::from_millis(1)), 10);
        let code = |well| {
            let refusal = LIMITS.refusal(Commits { well, ..stalled }, Backlog::default());
            refusal.map(Refusal::code)
        };
        assert_eq!(code(true), Some(ErrorCode::Overloaded));
        assert_eq!(code(false), Some(ErrorCode::Unavailable));
    }

    #[test]
    fn a_disk_that_pauses_refuses_nobody_who_would_be_in_the_next_commit() {
        let refused = |millis, in_progress| {
            let commits = waiting(Some(Duration::from_millis(millis)), in_progress);
            LIMITS.refusal(commits, Backlog::default()).is_some()
        };
        assert!(!refused(1_000, 9));
        assert!(refused(1_001, 9));
        assert!(!refused(250, 10));
        assert!(refused(251, 10));
    }

    #[test]
    fn a_database_that_is_away_does_not_pause() {
        let away = Commits {
            well: false,
            ..waiting(Some(Duration::from_millis(251)), 0)
        };
        let refusal = LIMITS.refusal(away, Backlog::default());
        assert_eq!(refusal, Some(Refusal::Commits { well: false }));
    }

    #[test]
    fn old_orders_refuse_new_ones_only_while_orders_are_being_taken_up() {
        assert_eq!(LIMITS.refusal(IDLE, backlog(20, 6, 1)), Some(Refusal::Waiting));
        assert_eq!(LIMITS.refusal(IDLE, backlog(20, 600, 0)), None);
    }

    #[test]
    fn old_orders_refuse_nobody_who_would_not_wait_for_long_behind_them() {
        assert_eq!(LIMITS.refusal(IDLE, backlog(21, 13, 20)), Some(Refusal::Waiting));
        assert_eq!(LIMITS.refusal(IDLE, backlog(20, 13, 20)), None);
    }

    #[test]
    fn a_full_queue_refuses_new_orders_though_nobody_takes_them_up() {
        assert_eq!(LIMITS.refusal(IDLE, backlog(100, 600, 0)), Some(Refusal::Waiting));
    }
}
