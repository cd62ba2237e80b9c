//! Which database it is, and how to reach it: for the log and for what is derived from it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    DatabaseUrl, OpenError,
    backend::Backend,
    fault::Backoff,
    migrate,
    postgres::Postgres,
    sqlite::{DataFolder, Sqlite},
};

/// How long the steps of an opening are begun anew.
const PATIENCE: Duration = Duration::from_secs(15);

/// An open database.
#[derive(Clone)]
pub(crate) enum Database {
    Sqlite(Arc<DataFolder>),
    Postgres(Arc<str>),
}

impl Database {
    /// Checks that the log can be used, and opens it.
    pub(crate) async fn open(url: &DatabaseUrl) -> Result<(Self, Arc<dyn Backend>), OpenError> {
        match url {
            DatabaseUrl::Sqlite(path) => {
                let folder = Arc::new(DataFolder::take(path)?);
                migrate::sqlite::check(&folder.file("log"), migrate::LOG).await?;
                let log = Sqlite::open(Arc::clone(&folder)).await?;
                Ok((Self::Sqlite(folder), Arc::new(log)))
            }
            DatabaseUrl::Postgres(url) => {
                let log = Postgres::open(url).await?;
                migrate::postgres::check(url, migrate::LOG).await?;
                Ok((Self::Postgres(url.as_str().into()), Arc::new(log)))
            }
        }
    }

    pub(crate) fn system(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgresql",
        }
    }

    /// Whether no other process can write to it.
    pub(crate) fn is_ours_alone(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }
}

/// Begins the opening of something anew while the server restarts in the midst of it.
pub(crate) async fn opened<T, F>(mut open: impl FnMut() -> F) -> Result<T, OpenError>
where
    F: Future<Output = Result<T, OpenError>>,
{
    let start = Instant::now();
    let mut backoff = Backoff::new();
    loop {
        match open().await {
            Err(OpenError::Database(fault)) if fault.passes() && start.elapsed() < PATIENCE => {
                tracing::warn!(error = %fault, "the database went away while it was being opened; trying again");
                backoff.pause().await;
            }
            done => return done,
        }
    }
}
