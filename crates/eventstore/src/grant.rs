//! What each role of a PostgreSQL server may do with the log and with the tables derived from it.

use crate::{DatabaseUrl, EventStore, MigrateError, Migrations, migrate};

/// What one program needs, as a role that owns nothing. A version of it that needs more has a schema that is newer.
#[derive(Debug, Clone, Copy)]
pub struct Grant {
    /// The role, as a program's constant; it may be absent.
    pub role: &'static str,
    /// What it may do with the log.
    pub log: LogAccess,
    /// The derived schema whose rows it may change, and the steps to it.
    pub schema: Option<(&'static str, Migrations)>,
}

/// What a role may do with the log; all may read it, and none may write into its tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogAccess {
    /// Read it, and how its standbys follow.
    Read,
    /// Start streams as well.
    Start,
    /// Continue any stream as well.
    Append,
}

impl LogAccess {
    /// The functions of the log that it takes.
    fn functions(self) -> &'static [&'static str] {
        match self {
            Self::Read => &["replication_v1"],
            Self::Start => &["replication_v1", "look_v1", "start_v1"],
            Self::Append => &["replication_v1", "look_v1", "start_v1", "append_v1"],
        }
    }
}

/// What came of [`EventStore::grant`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granted {
    /// Each role that exists may do what its grant says, and nothing else.
    All,
    /// Everything was left as it is.
    Newer {
        /// The schema that is newer than this program, which therefore does not know what is needed.
        schema: &'static str,
    },
}

impl EventStore {
    /// Gives each of the roles that exist what it needs and takes everything else from it, once all schemas are up to
    /// date; for whoever owns them. Where one is newer than this program, its users may run already, and keep what they
    /// have. In SQLite there are no roles.
    ///
    /// # Errors
    /// The database does not answer, or refuses.
    pub async fn grant(url: &DatabaseUrl, grants: &[Grant]) -> Result<Granted, MigrateError> {
        match url {
            DatabaseUrl::Sqlite(_) => Ok(Granted::All),
            DatabaseUrl::Postgres(url) => migrate::postgres::grant(url, grants).await,
        }
    }
}

impl Grant {
    /// The statements; `schemas` are all that may hold something of this role's. Names are constants of programs, not
    /// input.
    pub(crate) fn statements(&self, schemas: &[&str]) -> String {
        let role = self.role;
        let revoke = schemas.iter().map(|schema| {
            format!(
                "REVOKE ALL ON SCHEMA \"{schema}\" FROM \"{role}\";
                 REVOKE ALL ON ALL TABLES IN SCHEMA \"{schema}\" FROM \"{role}\";
                 REVOKE ALL ON ALL ROUTINES IN SCHEMA \"{schema}\" FROM \"{role}\";\n"
            )
        });
        let read = format!(
            "GRANT USAGE ON SCHEMA log TO \"{role}\";
             GRANT SELECT ON log.events, log.recorded_v1, log.schema_versions TO \"{role}\";\n"
        );
        let call = self.log.functions().iter();
        let call = call.map(|function| format!("GRANT EXECUTE ON FUNCTION log.{function} TO \"{role}\";\n"));
        let derive = self.schema.iter().map(|(schema, _steps)| {
            format!(
                "GRANT USAGE ON SCHEMA \"{schema}\" TO \"{role}\";
                 GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA \"{schema}\" TO \"{role}\";
                 REVOKE INSERT, UPDATE, DELETE ON \"{schema}\".schema_versions FROM \"{role}\";\n"
            )
        });
        revoke.chain([read]).chain(call).chain(derive).collect()
    }
}
