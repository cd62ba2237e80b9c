//! A few connections, lent to one use at a time.
//!
//! sqlx's own pool asks each connection that comes back whether it lives, and lends nothing in its place until the kernel
//! gives a silent server up, which takes a quarter of an hour. Here nothing is asked of a connection that was used to its
//! end. One that is let go before is closed, or, as most that only read are let go so, made fit for the next use within bounds.

use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{Connection, Executor, PgConnection, postgres::PgConnectOptions};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;

use super::{Use, connect::connect};
use crate::{Fault, pools::Counts};

/// How long whoever wants a connection waits while all are in use.
const WAIT: Duration = Duration::from_secs(2);

/// How long a connection may take to become fit for use again, or to end. Making another takes milliseconds.
const UNDO: Duration = Duration::from_secs(1);

/// How long a connection serves: one day a pooler or a server that was left behind has to be rid of the last.
const LIFE: Duration = Duration::from_mins(30);

/// Connects when there is need. Whether a connection still lives is not asked before its use: what is repeated by itself
/// after a fault can do without that round trip.
pub(crate) struct Connections {
    options: PgConnectOptions,
    usage: Use,
    work: Work,
    /// Where connections are made. Each belongs to the runtime in which it was, and whoever uses it may be in one that has
    /// much else to do, or that ends before the others.
    home: Handle,
    /// One for each connection that may be open, held while it is lent.
    permits: Arc<Semaphore>,
    idle: Mutex<Idle>,
}

/// What the connections of a pool do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// One after the other, by one connection.
    Writing,
    /// By two connections.
    Reading,
}

impl Work {
    fn connections(self) -> u32 {
        match self {
            Self::Writing => 1,
            Self::Reading => 2,
        }
    }
}

struct Idle {
    /// The last one is lent first.
    made: Vec<Made>,
    /// Those made earlier are not lent again.
    since: Instant,
}

struct Made {
    connection: PgConnection,
    at: Instant,
}

/// A connection to PostgreSQL, perhaps in the middle of a transaction. When it is dropped, that is rolled back.
pub struct Lent {
    /// There until its use has ended. The permit goes back after the connection.
    made: Option<(Made, OwnedSemaphorePermit)>,
    from: Arc<Connections>,
}

impl Connections {
    /// Makes its connections in this runtime.
    pub(crate) fn new(options: PgConnectOptions, usage: Use, work: Work) -> Self {
        let (made, since) = (Vec::new(), Instant::now());
        Self {
            options,
            usage,
            work,
            home: Handle::current(),
            permits: Arc::new(Semaphore::new(work.connections() as usize)),
            idle: Mutex::new(Idle { made, since }),
        }
    }

    /// Takes in a connection that was made already.
    pub(crate) fn with(self, connection: PgConnection) -> Self {
        self.take_back(Made::now(connection));
        self
    }

    /// Lends a connection.
    ///
    /// # Errors
    /// All are in use, or the server does not answer; and after [`close`](Self::close).
    pub(crate) async fn lend(self: &Arc<Self>) -> Result<Lent, Fault> {
        let permit = timeout(WAIT, Arc::clone(&self.permits).acquire_owned()).await;
        let permit = permit.map_err(|_late| sqlx::Error::PoolTimedOut)?;
        let permit = permit.map_err(|_closed| sqlx::Error::PoolClosed)?;
        let fit = self.fit();
        let made = match fit {
            Some(made) => made,
            None => self.make().await?,
        };
        Ok(Lent {
            made: Some((made, permit)),
            from: Arc::clone(self),
        })
    }

    fn fit(&self) -> Option<Made> {
        let mut idle = self.idle();
        idle.made.retain(|made| made.at.elapsed() < LIFE);
        idle.made.pop()
    }

    async fn make(&self) -> Result<Made, Fault> {
        let (options, usage) = (self.options.clone(), self.usage);
        let connecting = async move { connect(&options, usage).await };
        let connected = AbortOnDropHandle::new(self.home.spawn(connecting)).await;
        let connection = connected.map_err(|_ended| sqlx::Error::WorkerCrashed)??;
        Ok(Made::now(connection))
    }

    fn take_back(&self, made: Made) {
        let mut idle = self.idle();
        if made.at >= idle.since {
            idle.made.push(made);
        }
    }

    /// Lends no connection again that was made before: where one met a fault of the server, the others lead to the same.
    fn renew(&self) {
        let mut idle = self.idle();
        idle.since = Instant::now();
        idle.made.clear();
    }

    pub(crate) fn counts(&self) -> Counts {
        let free = u32::try_from(self.permits.available_permits()).unwrap_or(u32::MAX);
        let most = self.work.connections();
        let used = most.saturating_sub(free);
        let idle = u32::try_from(self.idle().made.len()).unwrap_or(u32::MAX);
        Counts {
            used,
            // One that comes back is among them before its permit does.
            idle: idle.min(most - used),
            most,
        }
    }

    /// Waits until no connection is in use, and ends all: the server notices one that is merely dropped.
    pub(crate) async fn close(&self) {
        let _all = self.permits.acquire_many(self.work.connections()).await;
        self.permits.close();
        let made = std::mem::take(&mut self.idle().made);
        for Made { connection, .. } in made {
            let _ = timeout(UNDO, connection.close()).await;
        }
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Made {
    fn now(connection: PgConnection) -> Self {
        let at = Instant::now();
        Self { connection, at }
    }
}

impl Lent {
    /// Ends the use by its answer: after one the connection serves the next, in no transaction; after a fault it is closed,
    /// and its server, if the fault is not the question's, is looked for anew.
    pub(crate) fn settle<T>(mut self, answer: Result<T, Fault>) -> Result<T, Fault> {
        if let Some((made, _permit)) = self.made.take() {
            match &answer {
                Ok(_) => self.from.take_back(made),
                Err(fault) if fault.passes() => self.from.renew(),
                Err(_) => {}
            }
        }
        answer
    }
}

impl Deref for Lent {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        let (made, _) = self.made.as_ref().expect("its use has not ended");
        &made.connection
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut PgConnection {
        let (made, _) = self.made.as_mut().expect("its use has not ended");
        &mut made.connection
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some((mut made, permit)) = self.made.take() else {
            return;
        };
        if self.from.work == Work::Writing {
            // Most likely a statement was refused, and only a new connection leads to a server that may take it.
            return;
        }
        let from = Arc::clone(&self.from);
        self.from.home.spawn(async move {
            let undone = timeout(UNDO, undo(&mut made.connection, from.usage)).await;
            if matches!(undone, Ok(Ok(()))) {
                from.take_back(made);
            } else {
                from.renew();
            }
            drop(permit);
        });
    }
}

/// Takes the answers that nobody waited for, and leaves the transaction. The log's statements are in none of their own.
async fn undo(connection: &mut PgConnection, usage: Use) -> Result<(), sqlx::Error> {
    match usage {
        Use::Log => connection.ping().await,
        Use::Derived => connection.execute("ROLLBACK").await.map(drop),
    }
}
