//! The one writer of a process: it gathers what waits and commits it together, each with its own verdict.

mod commit;
mod desk;
mod gather;
mod group;
mod heads;
mod queue;
mod verdict;

use std::{sync::Arc, time::Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    AppendError, Appended, Cursor, Fault, Position, RecordedEvent, Revision,
    backend::{Backend, Committed},
    clock::Clock,
    fault::Backoff,
    health::Health,
    metrics::{Metrics, Outcome},
    tail::Tail,
};
pub(crate) use desk::Desk;
use gather::Last;
use heads::Heads;
pub(crate) use queue::Queue;
use queue::Waiting;
use verdict::Verdict;

/// What a writer works with.
pub(crate) struct Parts {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) tail: Arc<Tail>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) health: Arc<Health>,
    pub(crate) metrics: Metrics,
    pub(crate) committed: watch::Sender<Position>,
    /// Cancelled when the store is being closed: from then on a fault of the database ends the waiting.
    pub(crate) closing: CancellationToken,
}

/// What followers are still to hear of a group.
#[derive(Debug, Clone, Copy)]
struct News {
    position: Position,
    generation: u64,
}

impl Parts {
    /// Tells followers, once those who were answered have had their turn: whoever is told may take their processor.
    async fn spread(&self, news: News) {
        tokio::task::yield_now().await;
        self.tail.tell();
        self.announce(news);
        self.backend.tidy().await;
    }

    fn announce(&self, news: News) {
        self.committed.send_if_modified(|known| {
            let later = news.position > *known && news.generation == self.tail.generation();
            if later {
                *known = news.position;
            }
            later
        });
    }
}

pub(crate) struct Writer {
    parts: Arc<Parts>,
    heads: Heads,
    /// The last event that this writer wrote; the tail may know a later one.
    written: Cursor,
    /// How often the log had been replaced when `heads` and `written` were learnt.
    generation: u64,
    last: Last,
}

/// However it ends: nobody writes what still waits, and the store is no use any more.
impl Drop for Writer {
    fn drop(&mut self) {
        self.parts.queue.abandon();
        self.parts.closing.cancel();
    }
}

/// An append that may be written, and where.
struct Ready {
    waiting: Waiting,
    target: Target,
}

/// Where an append's first event is to stand.
#[derive(Debug, Clone, Copy)]
struct Target {
    first: Revision,
    /// The stream's number; absent for a new stream, and where only the database needs to know it.
    stream_no: Option<Position>,
}

impl Writer {
    /// `sole`: nobody but this process writes to the database.
    pub(crate) fn new(parts: Arc<Parts>, sole: bool) -> Self {
        let generation = parts.tail.generation();
        Self {
            parts,
            heads: Heads::new(sole),
            written: Cursor::START,
            generation,
            last: Last::default(),
        }
    }

    /// Writes the next group: `kept` appends from before, and what has gathered since. Gives back what is to be in the
    /// one after it. Followers are still to be [told](Parts::spread).
    async fn write(&mut self, kept: Vec<Waiting>) -> Vec<Waiting> {
        let group = self.parts.queue.take(kept);
        let kept = self.settle(group).await;
        self.parts.queue.answered(&kept);
        kept
    }

    /// What followers are to be told.
    fn news(&self) -> News {
        News {
            position: self.written.position,
            generation: self.generation,
        }
    }

    /// Answers a group; what has lost against another process is given back, to be judged anew.
    async fn settle(&mut self, group: Vec<Waiting>) -> Vec<Waiting> {
        self.forget_what_was_replaced();
        let mut ready = Vec::with_capacity(group.len());
        let mut unsure = Vec::new();
        let careful = group.iter().any(|waiting| waiting.lost);
        for waiting in group {
            if let Some(target) = self.heads.target(&waiting, careful) {
                ready.push(Ready { waiting, target });
            } else if let Some(actual) = self.heads.conflict(&waiting) {
                self.conflict(waiting, Some(actual));
            } else {
                unsure.push(waiting);
            }
        }
        self.look_and_judge(unsure, &mut ready).await;
        if ready.is_empty() {
            return Vec::new();
        }
        let sent = Instant::now();
        match self.commit(&ready).await {
            Ok(Committed::Written {
                before,
                created_at,
                fates,
            }) => self.finish(ready, before, created_at, fates, sent.elapsed()),
            Ok(Committed::Replaced) => {
                self.parts.tail.log_replaced(self.generation).await;
                self.refuse(ready, &AppendError::LogReplaced)
            }
            Err(error) => self.refuse(ready, &error),
        }
    }

    fn forget_what_was_replaced(&mut self) {
        let generation = self.parts.tail.generation();
        if generation != self.generation {
            self.generation = generation;
            self.written = Cursor::START;
            self.heads.forget();
            // What is committed from now on may stand at positions that were announced before.
            self.parts.committed.send_replace(Position::START);
        }
    }

    /// Judges appends by one look at their streams; those that may be written are added to `ready`.
    async fn look_and_judge(&mut self, unsure: Vec<Waiting>, ready: &mut Vec<Ready>) {
        if unsure.is_empty() {
            return;
        }
        let looks: Vec<_> = unsure
            .iter()
            .map(|waiting| verdict::look(&waiting.append, waiting.place))
            .collect();
        // What was sent before and did not win may have been written all the same.
        let refusable = unsure.iter().all(|waiting| !waiting.lost);
        let looking = self.until_answered(Health::unread, refusable, || self.parts.backend.look(&looks));
        let seen = match looking.await {
            Ok(seen) => seen,
            Err(error) => {
                return unsure
                    .into_iter()
                    .for_each(|waiting| self.answer(waiting, Err(error.clone())));
            }
        };
        for (waiting, seen) in unsure.into_iter().zip(seen) {
            let last = seen.iter().max_by_key(|event| event.revision);
            if let Some(last) = last {
                self.heads.learn(last);
            }
            let stream_no = last.map(|event| event.stream_no);
            match verdict::judge(&waiting.append, waiting.place, &seen) {
                Verdict::Write { first } => ready.push(Ready {
                    waiting,
                    target: Target { first, stream_no },
                }),
                Verdict::Replayed(events) => self.replay(waiting, events),
                Verdict::IdReused(event_id) => {
                    let stream = waiting.append.stream.clone();
                    self.answer(waiting, Err(AppendError::IdReused { stream, event_id }));
                }
                Verdict::Conflict { actual } => self.conflict(waiting, actual),
            }
        }
    }

    fn conflict(&self, waiting: Waiting, actual: Option<Revision>) {
        let conflict = AppendError::Conflict {
            stream: waiting.append.stream.clone(),
            expected: waiting.append.expected,
            actual,
        };
        self.answer(waiting, Err(conflict));
    }

    /// Perhaps written by this process before its connection broke, so the tail and the bus may not know it yet.
    fn replay(&self, waiting: Waiting, events: Vec<Arc<RecordedEvent>>) {
        if let Some(last) = events.last() {
            self.parts.tail.nudge(last.position);
            self.parts.announce(News {
                position: last.position,
                generation: self.generation,
            });
        }
        self.answer(
            waiting,
            Ok(Appended {
                events,
                replayed: true,
            }),
        );
    }

    /// Repeats a question to the database until there is an answer, and reports each fault. A refusal counts as one only
    /// where it is `refusable`, and only of the first attempt: of a later one it does not tell what became of those before.
    async fn until_answered<T, F>(
        &self,
        report: fn(&Health, &Fault),
        mut refusable: bool,
        mut ask: impl FnMut() -> F,
    ) -> Result<T, AppendError>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let health = &self.parts.health;
        let mut backoff = Backoff::new();
        loop {
            let fault = match ask().await {
                Ok(answer) => {
                    health.answered();
                    return Ok(answer);
                }
                Err(fault) => fault,
            };
            report(health, &fault);
            if std::mem::take(&mut refusable) && !fault.passes() {
                return Err(AppendError::Unavailable(fault));
            }
            if self.parts.closing.is_cancelled() {
                // Whoever still waits would meet the same fault, one after the other.
                self.parts.queue.abandon();
                return Err(AppendError::Closed);
            }
            backoff.pause().await;
        }
    }

    fn refuse(&self, ready: Vec<Ready>, error: &AppendError) -> Vec<Waiting> {
        for ready in ready {
            self.answer(ready.waiting, Err(error.clone()));
        }
        Vec::new()
    }

    fn answer(&self, waiting: Waiting, answer: Result<Appended, AppendError>) {
        self.parts.metrics.appended(Outcome::of(&answer));
        waiting.answer(answer);
    }
}
