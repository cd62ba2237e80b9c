//! Transactions over derived tables.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Executor, Sqlite, Transaction};
use tokio::time::timeout;

use super::Derived;
use crate::{DerivedError, Fault, fault::Backoff, health::Health, pools::Pool, postgres::Lent};

/// How long a transaction may take to begin. Whoever asks `api` for a list learns of it before the request's time is over
/// (5 s).
const BEGIN: Duration = Duration::from_secs(4);

/// How long it is begun anew within that: a server may be restarting, and connections that were there before are dead then.
const BEGIN_PATIENCE: Duration = Duration::from_secs(3);

/// How long what is done in one transaction may take: beginning, and statements that the server then gives up (5 s each).
/// Others take milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// A transaction, in which tables are named without their schema. Dropped without a commit it is rolled back.
pub enum Tx {
    /// On a connection to the file; there is one that writes.
    Sqlite(Transaction<'static, Sqlite>),
    /// With `synchronous_commit` off if it writes.
    Postgres(Lent),
}

/// Runs an expression with the transaction of either database: `either!(&mut tx, tx => …)`.
#[macro_export]
macro_rules! either {
    ($tx:expr, $it:ident => $body:expr) => {
        match $tx {
            $crate::Tx::Sqlite($it) => $body,
            $crate::Tx::Postgres($it) => $body,
        }
    };
}

/// How transactions begin: with all that they need, since nothing else is sure to be set on their connection.
struct Begin {
    sqlite: &'static str,
    postgres: &'static str,
}

const WRITE: Begin = Begin {
    sqlite: "BEGIN IMMEDIATE",
    postgres: "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = off",
};
/// What is read is planned for the tables as they are. A plan that was made while they were small, and is kept until the
/// server analyses them again, may read all that has come since.
const READ: Begin = Begin {
    sqlite: "BEGIN",
    postgres: "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; SET LOCAL plan_cache_mode = force_custom_plan",
};

impl Derived {
    /// Bounds what is read in one transaction, and notes what it comes to: a server that fell silent would be waited for
    /// until the kernel gives it up, which takes a quarter of an hour. A file always answers. What is handed in is moved to
    /// the heap: it is large, and would be in every future that waits for it.
    ///
    /// # Errors
    /// Those of `transaction`, or that the database did not answer in time.
    pub fn reading<'a, T: 'a>(
        &'a self,
        transaction: impl Future<Output = Result<T, DerivedError>> + Send + 'a,
    ) -> impl Future<Output = Result<T, DerivedError>> + Send + 'a {
        self.noted(transaction, Health::answered, Health::unread)
    }

    /// The same for what is written in one transaction. It counts as written if `transaction` succeeds, so it has to
    /// [commit](Tx::commit).
    ///
    /// # Errors
    /// Those of `transaction`, or that the database did not answer in time: whether it was done is unknown.
    pub fn writing<'a, T: 'a>(
        &'a self,
        transaction: impl Future<Output = Result<T, DerivedError>> + Send + 'a,
    ) -> impl Future<Output = Result<T, DerivedError>> + Send + 'a {
        self.noted(transaction, Health::wrote, Health::failed)
    }

    fn noted<'a, T: 'a>(
        &'a self,
        transaction: impl Future<Output = Result<T, DerivedError>> + Send + 'a,
        done: fn(&Health),
        failed: fn(&Health, &Fault),
    ) -> impl Future<Output = Result<T, DerivedError>> + Send + 'a {
        let transaction = Box::pin(transaction);
        async move {
            let outcome = match self.writer {
                Pool::Sqlite(_) => transaction.await,
                Pool::Postgres(_) => timeout(PATIENCE, transaction)
                    .await
                    .unwrap_or_else(|_late| Err(Fault::timed_out().into())),
            };
            match &outcome {
                Ok(_) => done(&self.health),
                Err(DerivedError::Unavailable(fault)) => failed(&self.health, fault),
                Err(DerivedError::Fenced(_)) => self.health.answered(),
            }
            outcome
        }
    }

    /// Begins a transaction that writes. There is one at a time in a process: keep it short, and let it be
    /// [noted](Self::writing).
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn begin(&self) -> Result<Tx, DerivedError> {
        self.patiently(&self.writer, &WRITE).await
    }

    /// Begins a transaction that only reads, and waits for nobody who writes. Let it be [noted](Self::reading), too.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn read(&self) -> Result<Tx, DerivedError> {
        self.patiently(&self.readers, &READ).await
    }

    async fn patiently(&self, pool: &Pool, begin: &Begin) -> Result<Tx, DerivedError> {
        let mut backoff = Backoff::new();
        let start = Instant::now();
        loop {
            let left = BEGIN.saturating_sub(start.elapsed());
            let attempt = timeout(left, self.try_begin(pool, begin)).await;
            match attempt.unwrap_or_else(|_late| Err(Fault::timed_out())) {
                Ok(tx) => return Ok(tx),
                Err(fault) if fault.passes() && start.elapsed() < BEGIN_PATIENCE => backoff.pause().await,
                Err(fault) => return Err(fault.into()),
            }
        }
    }

    async fn try_begin(&self, pool: &Pool, begin: &Begin) -> Result<Tx, Fault> {
        match pool {
            Pool::Sqlite(pool) => Ok(Tx::Sqlite(pool.begin_with(begin.sqlite).await?)),
            Pool::Postgres(pool) => {
                // The names of schemas are constants of programs, not input.
                let begin = format!("{}; SET LOCAL search_path = \"{}\"", begin.postgres, self.schema);
                let mut connection = pool.lend().await?;
                connection.execute(AssertSqlSafe(begin)).await?;
                Ok(Tx::Postgres(connection))
            }
        }
    }
}

impl Tx {
    /// Makes what was done visible to others.
    ///
    /// # Errors
    /// The database does not answer: whether it was done is unknown, and the checkpoint tells.
    pub async fn commit(self) -> Result<(), DerivedError> {
        match self {
            Self::Sqlite(tx) => Ok(tx.commit().await?),
            Self::Postgres(connection) => end(connection, "COMMIT").await,
        }
    }

    /// Undoes what was done.
    ///
    /// # Errors
    /// The database does not answer, and undoes it by itself.
    pub async fn rollback(self) -> Result<(), DerivedError> {
        match self {
            Self::Sqlite(tx) => Ok(tx.rollback().await?),
            Self::Postgres(connection) => end(connection, "ROLLBACK").await,
        }
    }
}

async fn end(mut connection: Lent, statement: &'static str) -> Result<(), DerivedError> {
    let ended = connection.execute(statement).await;
    Ok(connection.settle(ended.map(drop).map_err(Fault::from))?)
}
