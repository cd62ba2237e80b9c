//! Which database it is, and how to reach it: for the log and for what is derived from it.

use std::sync::Arc;

use crate::{
    DatabaseUrl, OpenError,
    backend::Backend,
    migrate,
    postgres::Postgres,
    sqlite::{DataFolder, Sqlite},
};

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

    /// Whether no other process can write to it.
    pub(crate) fn is_ours_alone(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }
}
