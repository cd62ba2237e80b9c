//! The data folder, its lock, and connections with the settings that each use needs.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    ConnectOptions, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{Fault, OpenError};

/// The folder of the log and the derived files, held by one process for as long as this value lives.
pub(crate) struct DataFolder {
    path: PathBuf,
    /// The operating system gives the lock back with the file, however the process ends.
    _lock: File,
}

impl DataFolder {
    pub(crate) fn take(path: &Path) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::Folder {
            folder: path.to_owned(),
            source,
        };
        std::fs::create_dir_all(path).map_err(unusable)?;
        let lock = File::create(path.join("lock")).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    pub(crate) fn file(&self, schema: &str) -> PathBuf {
        self.path.join(format!("{schema}.db"))
    }
}

/// What is to survive when the machine loses its power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Every commit: the log.
    Full,
    /// All but the newest commits, in order: what can be derived again.
    Derived,
}

/// A connection that writes. The log's is never checkpointed by SQLite itself, but by the writer between groups.
pub(crate) fn writing(file: &Path, durability: Durability) -> SqliteConnectOptions {
    let options = base(file).journal_mode(SqliteJournalMode::Wal);
    match durability {
        Durability::Full => options
            .synchronous(SqliteSynchronous::Full)
            .pragma("wal_autocheckpoint", "0"),
        Durability::Derived => options.synchronous(SqliteSynchronous::Normal),
    }
}

pub(crate) fn migrating(file: &Path) -> SqliteConnectOptions {
    writing(file, Durability::Full).create_if_missing(true)
}

pub(crate) async fn readers(file: &Path) -> Result<SqlitePool, Fault> {
    let pool = SqlitePoolOptions::new()
        .max_connections(2)
        .acquire_timeout(Duration::from_secs(5))
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None);
    Ok(pool.connect_with(base(file).read_only(true)).await?)
}

fn base(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .busy_timeout(Duration::from_secs(5))
        .pragma("trusted_schema", "OFF")
        .pragma("cell_size_check", "ON")
        .pragma("fullfsync", "ON")
        .pragma("checkpoint_fullfsync", "ON")
        .pragma("journal_size_limit", "67108864")
        .pragma("cache_size", "-8192")
        // A page of events: the thread that reads need not wait for the one that takes.
        .row_buffer_size(512)
        .disable_statement_logging()
}

/// Opens one connection.
pub(crate) async fn connect(options: &SqliteConnectOptions) -> Result<SqliteConnection, Fault> {
    Ok(options.connect().await?)
}
