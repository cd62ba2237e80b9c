//! Transactions over derived tables.

use sqlx::{Postgres, Sqlite, Transaction};

use super::{Derived, Pool};
use crate::{DerivedError, Fault, fault::Backoff};

/// How often a transaction is begun anew where the connection was dead already.
const ATTEMPTS: u32 = 4;

/// A transaction that writes. Dropped without a commit it is rolled back.
pub enum Tx {
    /// On the file's one writing connection.
    Sqlite(Transaction<'static, Sqlite>),
    /// With `synchronous_commit` off.
    Postgres(Transaction<'static, Postgres>),
}

impl Derived {
    /// Begins a transaction. There is one at a time in a process: keep it short.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn begin(&self) -> Result<Tx, DerivedError> {
        let mut backoff = Backoff::new();
        for _ in 1..ATTEMPTS {
            match self.try_begin().await {
                Err(fault) if fault.passes() => backoff.pause().await,
                done => return Ok(done?),
            }
        }
        Ok(self.try_begin().await?)
    }

    async fn try_begin(&self) -> Result<Tx, Fault> {
        match &self.writer {
            Pool::Sqlite(pool) => Ok(Tx::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?)),
            Pool::Postgres(pool) => Ok(Tx::Postgres(
                pool.begin_with("BEGIN; SET LOCAL synchronous_commit = off")
                    .await?,
            )),
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
            Self::Postgres(tx) => Ok(tx.commit().await?),
        }
    }

    /// Undoes what was done.
    ///
    /// # Errors
    /// The database does not answer, and undoes it by itself.
    pub async fn rollback(self) -> Result<(), DerivedError> {
        match self {
            Self::Sqlite(tx) => Ok(tx.rollback().await?),
            Self::Postgres(tx) => Ok(tx.rollback().await?),
        }
    }
}
