//! Migrations of a PostgreSQL schema, one process at a time by an advisory lock.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::{LOG, Part, derived, steps_after};
use crate::{
    Fault, Grant, Granted, MigrateError, OpenError,
    postgres::{Use, options, patiently_connect},
};

/// A transaction that may take its time.
const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0";
const LOCK: &str = "SELECT pg_advisory_xact_lock(8388345983984919402)";
const VERSIONS: &str =
    "CREATE TABLE IF NOT EXISTS schema_versions (part text PRIMARY KEY, version bigint NOT NULL)";

pub(crate) async fn run(url: &str, parts: &[Part]) -> Result<(), MigrateError> {
    for part in parts {
        let mut connection = connect(url).await?;
        migrate(&mut connection, part).await?;
        connection.close().await?;
    }
    Ok(())
}

async fn connect(url: &str) -> Result<PgConnection, Fault> {
    patiently_connect(&options(url)?, Use::Derived).await
}

/// Names the tables of a part's schema without it, until the transaction ends.
async fn enter(connection: &mut PgConnection, part: &Part) -> Result<(), sqlx::Error> {
    // The names of schemas are constants of programs, not input.
    let path = format!("SET LOCAL search_path = \"{}\"", part.schema);
    connection.execute(AssertSqlSafe(path)).await?;
    Ok(())
}

async fn migrate(connection: &mut PgConnection, part: &Part) -> Result<(), MigrateError> {
    let mut tx = connection.begin_with(BEGIN).await?;
    sqlx::query(LOCK).execute(&mut *tx).await?;
    let schema = format!("CREATE SCHEMA IF NOT EXISTS \"{}\"", part.schema);
    tx.execute(AssertSqlSafe(schema)).await?;
    // Not before: under the lock, what a look for the schema found earlier would still be believed.
    enter(&mut tx, part).await?;
    sqlx::query(VERSIONS).execute(&mut *tx).await?;
    let version = version(&mut tx, part.name).await?;
    for (to, step) in steps_after(part.steps.postgres, version) {
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

/// Gives the roles that exist what they need, all at once, so that those who work meanwhile miss nothing.
pub(crate) async fn grant(url: &str, grants: &[Grant]) -> Result<Granted, MigrateError> {
    let mut connection = connect(url).await?;
    let mut tx = connection.begin_with(BEGIN).await?;
    sqlx::query(LOCK).execute(&mut *tx).await?;
    let schemas = grants.iter().filter_map(|grant| grant.schema);
    for part in schemas
        .flat_map(|(schema, steps)| derived(schema, steps))
        .chain([LOG])
    {
        enter(&mut tx, &part).await?;
        if part.is_older_than(version(&mut tx, part.name).await?) {
            return Ok(Granted::Newer { schema: part.schema });
        }
    }
    let roles: Vec<_> = grants.iter().map(|grant| grant.role).collect();
    let present =
        sqlx::query_scalar("SELECT rolname::text FROM pg_roles WHERE rolname = ANY($1)").bind(roles);
    let present: Vec<String> = present.fetch_all(&mut *tx).await?;
    let mut schemas: Vec<_> = grants.iter().filter_map(|grant| Some(grant.schema?.0)).collect();
    schemas.push(LOG.schema);
    for grant in grants {
        if present.iter().any(|role| role == grant.role) {
            let statements = AssertSqlSafe(grant.statements(&schemas));
            sqlx::raw_sql(statements).execute(&mut *tx).await?;
        }
    }
    tx.commit().await?;
    connection.close().await?;
    Ok(Granted::All)
}

async fn version(connection: &mut PgConnection, part: &str) -> Result<i64, sqlx::Error> {
    let version = sqlx::query_scalar("SELECT version FROM schema_versions WHERE part = $1");
    Ok(version.bind(part).fetch_optional(connection).await?.unwrap_or(0))
}

/// Refuses a schema that is older than this program needs; a newer one is compatible.
pub(crate) async fn check(url: &str, part: Part) -> Result<(), OpenError> {
    let mut connection = connect(url).await?;
    let mut tx = connection.begin_with(BEGIN).await?;
    enter(&mut tx, &part).await?;
    let exists: bool = sqlx::query_scalar("SELECT to_regclass('schema_versions') IS NOT NULL")
        .fetch_one(&mut *tx)
        .await?;
    let found = if exists {
        version(&mut tx, part.name).await?
    } else {
        0
    };
    tx.rollback().await?;
    connection.close().await?;
    part.new_enough(found, part.steps.postgres.len())
}
