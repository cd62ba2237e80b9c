//! The event store as its users see it.

mod read;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use prometheus_client::registry::Registry;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Append, AppendError, Appended, Config, Cursor, DatabaseUrl, Fault, MigrateError, OpenError, Position,
    ReadError, RecordedEvent, Replication, Subscription,
    backend::Backend,
    clock::Clock,
    database::{self, Database},
    health::{Health, Schemas},
    metrics::{Answers, Metrics},
    migrate,
    pools::{Pools, Usage},
    replication::{Lag, LastSeen},
    tail::{self, Tail},
    writer::{Desk, Parts, Queue, Writer},
};

/// The most bytes of events that wait for the writer, for each urgency; appenders wait for room.
const QUEUE_BYTES: usize = 16 * 1024 * 1024;

/// A log of events in streams. Cheap to clone; one per process and database.
#[derive(Clone)]
pub struct EventStore(Arc<Inner>);

struct Inner {
    database: Database,
    backend: Arc<dyn Backend>,
    queue: Arc<Queue>,
    desk: Arc<Desk>,
    tail: Arc<Tail>,
    clock: Arc<Clock>,
    health: Arc<Health>,
    schemas: Arc<Schemas>,
    metrics: Metrics,
    pools: Arc<Pools>,
    standbys: Arc<LastSeen>,
    committed: watch::Sender<Position>,
    poll: Duration,
    tasks: TaskTracker,
    closing: CancellationToken,
}

impl EventStore {
    /// The database's name among OpenTelemetry's: `sqlite` or `postgresql`.
    pub fn system(&self) -> &'static str {
        self.0.database.system()
    }

    /// Brings the log's tables up to date. Several processes may do so at once.
    ///
    /// # Errors
    /// The database does not answer, or refuses.
    pub async fn migrate(url: &DatabaseUrl) -> Result<(), MigrateError> {
        migrate::log(url).await
    }

    /// Opens the log and starts its writer and its tail, which end when the last clone is dropped or with `close`. It
    /// lasts no longer than the runtime at hand, nor than any other multi-threaded runtime that ends while something appended
    /// there is being written.
    ///
    /// # Errors
    /// The tables are older than this program, the database is not safe (PostgreSQL) or another process uses the
    /// data folder (SQLite), or the database does not answer.
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        let (database, backend, last, now) = database::opened(|| async {
            let (database, backend) = Database::open(&config.url).await?;
            let last = tail::last(&*backend).await?;
            let now = backend.now().await?;
            Ok((database, backend, last, now))
        })
        .await?;
        let latest = last.as_ref().map_or(now, |last| last.created_at.max(now));
        let clock = Arc::new(Clock::new(latest));
        let head = last.map_or(Cursor::START, |last| last.cursor());
        Ok(Self::start(&config, database, backend, clock, head))
    }

    fn start(
        config: &Config,
        database: Database,
        backend: Arc<dyn Backend>,
        clock: Arc<Clock>,
        head: Cursor,
    ) -> Self {
        let closing = CancellationToken::new();
        let metrics = Metrics::new();
        let health = Arc::new(Health::of("log"));
        let schemas = Arc::new(Schemas::default());
        schemas.add(&health);
        let queue = Arc::new(Queue::new(QUEUE_BYTES));
        let tail = Tail::new(
            Arc::clone(&backend),
            head,
            config.tail_bytes,
            Arc::clone(&health),
            metrics.clone(),
            closing.clone(),
        );
        let tail = Arc::new(tail);
        let committed = watch::Sender::new(Position::START);
        let parts = Parts {
            backend: Arc::clone(&backend),
            queue: Arc::clone(&queue),
            tail: Arc::clone(&tail),
            clock: Arc::clone(&clock),
            health: Arc::clone(&health),
            metrics: metrics.clone(),
            committed: committed.clone(),
            closing: closing.clone(),
        };
        let tasks = TaskTracker::new();
        let writer = Writer::new(Arc::new(parts), database.is_ours_alone());
        let desk = Arc::new(Desk::new(writer, tasks.clone()));
        let follower = Arc::clone(&tail).follow(Arc::clone(&clock), config.poll);
        tasks.spawn(vital(closing.clone(), follower));
        tasks.close();
        let pools = Arc::new(Pools::default());
        if let Some(readers) = backend.readers() {
            pools.show("log", "readers", &readers);
        }
        let poll = config.poll;
        Self(Arc::new(Inner {
            database,
            backend,
            queue,
            desk,
            tail,
            clock,
            health,
            schemas,
            metrics,
            pools,
            standbys: Arc::default(),
            committed,
            poll,
            tasks,
            closing,
        }))
    }

    /// Appends events to a stream. Answers when they are on disk, or with the reason why they are not. May be repeated
    /// with the same event ids until there is an answer. A call that is given up may still write.
    ///
    /// # Errors
    /// See [`AppendError`]. All but [`AppendError::Closed`] say that nothing was written.
    pub async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let answer = self.0.queue.hand_in(append).await?;
        self.0.desk.call();
        answer.await.unwrap_or(Err(AppendError::Closed))
    }

    /// Follows the log from a cursor on.
    pub fn subscribe(&self, from: Cursor) -> Subscription {
        Subscription::new(Arc::clone(&self.0.tail), from, self.0.poll)
    }

    /// The time by the database's clock, carried on by this process' monotonic clock. Never falls.
    pub fn now(&self) -> OffsetDateTime {
        self.0.clock.now()
    }

    /// Up to where this process has committed, for telling other processes.
    pub fn committed(&self) -> watch::Receiver<Position> {
        self.0.committed.subscribe()
    }

    /// The event at a cursor, if it is one of the newest, which are in memory.
    pub fn recent(&self, cursor: Cursor) -> Option<Arc<RecordedEvent>> {
        self.0.tail.at(cursor)
    }

    /// Another process says that it has committed up to a position: reads it at once.
    pub fn nudge(&self, position: Position) {
        self.0.tail.nudge(position);
    }

    /// Where the log is followed in this process: waits until the tail has come to a position that another process has
    /// committed, and has it read at once, so that most events up to there are [`recent`](Self::recent). Does not end if the
    /// log never comes so far. Where nobody follows, it ends at once: a tail reads nothing for the sake of one event.
    pub async fn reached(&self, position: Position) {
        self.0.tail.reached(position).await;
    }

    /// How long the writer's oldest append has been waiting.
    pub fn oldest_waiting(&self) -> Option<Duration> {
        self.0.queue.oldest()
    }

    /// What keeps the log from being used, as far as the last answers of the database tell: it does not answer
    /// ([`Fault::passes`]), or it refuses to be read or to write. The store logs when that begins and ends.
    pub fn trouble(&self) -> Option<Fault> {
        self.0.health.trouble()
    }

    /// The same of every schema that the process uses: the log's, and those of its [`Derived`](crate::Derived) tables.
    pub fn troubles(&self) -> BTreeMap<&'static str, Fault> {
        self.0.schemas.troubles()
    }

    /// Counts how often it was noticed that the log had been replaced by another one (a restore): whatever was derived
    /// from it is to be dropped.
    pub fn replaced(&self) -> watch::Receiver<u64> {
        self.0.tail.replacements()
    }

    /// How the database's standbys follow it, asked now; its metrics show what was answered last.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn replication(&self) -> Result<Replication, ReadError> {
        let answer = self.0.backend.replication().await;
        self.0.standbys.note(answer.as_ref().ok());
        Ok(answer?)
    }

    /// Registers what the store counts, and what it knows of its database.
    pub fn register(&self, registry: &mut Registry) {
        self.0.metrics.register(&self.0.queue, registry);
        let registry = registry.sub_registry_with_prefix("tiffin_database");
        registry.register_collector(Box::new(Answers(Arc::clone(&self.0.schemas))));
        registry.register_collector(Box::new(Usage(Arc::clone(&self.0.pools))));
        registry.register_collector(Box::new(Lag(Arc::clone(&self.0.standbys))));
    }

    /// Takes in no more appends, writes what waits, and ends the subscriptions. While the database does not answer,
    /// what waits is answered with [`AppendError::Closed`].
    pub async fn close(&self) {
        self.0.queue.close();
        self.0.closing.cancel();
        // Somebody may have handed in an append, and not have called the writer yet.
        self.0.desk.call();
        self.0.tasks.wait().await;
        self.0.backend.close().await;
    }

    /// Ends when the store is being closed: by `close`, with its last clone, or because its writer or its tail has
    /// ended by a fault of its own. A process that did not ask for it cannot work any more.
    pub fn closed(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.0.closing.clone().cancelled_owned()
    }

    pub(crate) fn database(&self) -> &Database {
        &self.0.database
    }

    pub(crate) fn pools(&self) -> &Pools {
        &self.0.pools
    }

    pub(crate) fn schemas(&self) -> &Schemas {
        &self.0.schemas
    }

    pub(crate) fn clock(&self) -> Arc<Clock> {
        Arc::clone(&self.0.clock)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close();
        self.closing.cancel();
    }
}

/// Runs a task without which the store is no use: however it ends, the store closes.
async fn vital(closing: CancellationToken, task: impl Future<Output = ()>) {
    let _closing = closing.drop_guard();
    task.await;
}
