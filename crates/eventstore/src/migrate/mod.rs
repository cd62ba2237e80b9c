//! Schemas and their versions. A schema only ever moves forwards, one step after the other.

pub(crate) mod postgres;
pub(crate) mod sqlite;

use crate::{DatabaseUrl, MigrateError, OpenError};

/// Numbered steps to a schema, the first leading to version 1, in each database's SQL. A step that has been released
/// never changes.
#[derive(Debug, Clone, Copy)]
pub struct Migrations {
    /// Steps in SQLite's SQL.
    pub sqlite: &'static [&'static str],
    /// Steps in PostgreSQL's SQL.
    pub postgres: &'static [&'static str],
}

/// A part of a schema that has a version of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub(crate) schema: &'static str,
    pub(crate) name: &'static str,
    pub(crate) steps: Migrations,
}

/// The log.
pub(crate) const LOG: Part = Part {
    schema: "log",
    name: "log",
    steps: Migrations {
        sqlite: &[include_str!("../../migrations/sqlite/0001_log.sql")],
        postgres: &[
            include_str!("../../migrations/postgres/0001_log.sql"),
            include_str!("../../migrations/postgres/0002_replication.sql"),
            include_str!("../../migrations/postgres/0003_start.sql"),
            include_str!("../../migrations/postgres/0004_append.sql"),
        ],
    },
};

/// What every derived schema has before its own tables.
const DERIVED: Migrations = Migrations {
    sqlite: &[include_str!("../../migrations/sqlite/0001_derived.sql")],
    postgres: &[include_str!("../../migrations/postgres/0001_derived.sql")],
};

/// The parts of a derived schema.
pub(crate) fn derived(schema: &'static str, steps: Migrations) -> [Part; 2] {
    [
        Part {
            schema,
            name: "derived",
            steps: DERIVED,
        },
        Part {
            schema,
            name: "tables",
            steps,
        },
    ]
}

pub(crate) async fn log(url: &DatabaseUrl) -> Result<(), MigrateError> {
    run(url, &[LOG]).await
}

/// Brings the parts of one schema up to date.
pub(crate) async fn run(url: &DatabaseUrl, parts: &[Part]) -> Result<(), MigrateError> {
    match url {
        DatabaseUrl::Sqlite(folder) => sqlite::run(folder, parts).await,
        DatabaseUrl::Postgres(url) => postgres::run(url, parts).await,
    }
}

/// The steps that lead on from a version, each with the version it leads to.
fn steps_after(steps: &'static [&'static str], version: i64) -> impl Iterator<Item = (i64, &'static str)> {
    (1..)
        .zip(steps.iter().copied())
        .filter(move |(to, _)| *to > version)
}

impl Part {
    fn failed(&self, version: i64, error: sqlx::Error) -> MigrateError {
        let version = u32::try_from(version).unwrap_or(u32::MAX);
        MigrateError::Step {
            schema: self.schema,
            version,
            fault: error.into(),
        }
    }

    /// Whether a version in PostgreSQL is newer than this program.
    fn is_older_than(&self, found: i64) -> bool {
        usize::try_from(found).is_ok_and(|found| found > self.steps.postgres.len())
    }

    /// A schema newer than this program is compatible with it; an older one is not.
    fn new_enough(&self, found: i64, needed: usize) -> Result<(), OpenError> {
        let found = u32::try_from(found).unwrap_or_default();
        let needed = u32::try_from(needed).unwrap_or(u32::MAX);
        if found >= needed {
            Ok(())
        } else {
            Err(OpenError::Schema {
                schema: self.schema,
                found,
                needed,
            })
        }
    }
}
