//! Migrations of a SQLite file, one process at a time by SQLite's own lock.

use std::path::Path;

use sqlx::{Connection, SqliteConnection};

use super::{Part, steps_after};
use crate::{Fault, MigrateError, OpenError, fault::Backoff, sqlite::migrating};

const VERSIONS: &str = "CREATE TABLE IF NOT EXISTS schema_versions (part TEXT PRIMARY KEY, version INTEGER NOT NULL) \
     STRICT, WITHOUT ROWID";

pub(crate) async fn run(folder: &Path, parts: &[Part]) -> Result<(), MigrateError> {
    std::fs::create_dir_all(folder).map_err(|source| MigrateError::Folder {
        folder: folder.to_owned(),
        source,
    })?;
    for part in parts {
        let mut connection = connect(&folder.join(format!("{}.db", part.schema))).await?;
        migrate(&mut connection, part).await?;
        connection.close().await?;
    }
    Ok(())
}

/// Another process that switches a new file to WAL makes this one busy without the usual waiting.
async fn connect(file: &Path) -> Result<SqliteConnection, Fault> {
    let mut backoff = Backoff::new();
    for _ in 0..10 {
        match crate::sqlite::connect(&migrating(file)).await {
            Err(fault) if fault.passes() => backoff.pause().await,
            done => return done,
        }
    }
    crate::sqlite::connect(&migrating(file)).await
}

async fn migrate(connection: &mut SqliteConnection, part: &Part) -> Result<(), MigrateError> {
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::query(VERSIONS).execute(&mut *tx).await?;
    let version = version(&mut tx, part.name).await?;
    for (to, step) in steps_after(part.steps.sqlite, version) {
        let failed = |source: sqlx::Error| part.failed(to, source);
        sqlx::raw_sql(step).execute(&mut *tx).await.map_err(failed)?;
        sqlx::query("INSERT INTO schema_versions VALUES ($1, $2) ON CONFLICT (part) DO UPDATE SET version = excluded.version")
            .bind(part.name)
            .bind(to)
            .execute(&mut *tx)
            .await?;
    }
    Ok(tx.commit().await?)
}

async fn version(connection: &mut SqliteConnection, part: &str) -> Result<i64, sqlx::Error> {
    let version = sqlx::query_scalar("SELECT version FROM schema_versions WHERE part = $1");
    Ok(version.bind(part).fetch_optional(connection).await?.unwrap_or(0))
}

/// Refuses a file whose part is older than this program needs; a newer one is compatible.
pub(crate) async fn check(file: &Path, part: Part) -> Result<(), OpenError> {
    let needed = part.steps.sqlite.len();
    if !file.exists() {
        return part.new_enough(0, needed);
    }
    let mut connection = connect(file).await?;
    let exists = "SELECT count(*) FROM sqlite_schema WHERE name = 'schema_versions'";
    let exists: i64 = sqlx::query_scalar(exists).fetch_one(&mut connection).await?;
    let found = if exists == 0 {
        0
    } else {
        version(&mut connection, part.name).await?
    };
    connection.close().await?;
    part.new_enough(found, needed)
}
