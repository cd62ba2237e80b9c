//! Faults of the database, whether they pass by themselves, and trying again.

use std::{
    fmt, io,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{ReadError, health::Health};

/// How long a read is repeated while the database does not answer.
const READ_PATIENCE: Duration = Duration::from_secs(3);

/// A fault of the database or of the way to it; it says in one line what the server said, and has no source.
#[derive(Debug, Clone, thiserror::Error)]
pub struct Fault(Arc<sqlx::Error>);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            // Without the line of the server's own source in which it was raised.
            sqlx::Error::Database(error) => f.write_str(error.message())?,
            other => write!(f, "{other}")?,
        }
        if self.is_of_a_pooler() {
            f.write_str(
                "; a pooler between has to keep prepared statements: PgBouncer 1.21 or later with \
                 max_prepared_statements, or in session mode",
            )?;
        }
        Ok(())
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self(Arc::new(error))
    }
}

impl Fault {
    /// Whether trying again can help: the connection or the server went away, was busy, or took too long. What was
    /// asked for may have been done all the same. Any other fault is the database's refusal, and nothing was done.
    pub fn passes(&self) -> bool {
        let sqlx::Error::Database(error) = &*self.0 else {
            return matches!(
                &*self.0,
                sqlx::Error::Io(_)
                    | sqlx::Error::Tls(_)
                    | sqlx::Error::Protocol(_)
                    | sqlx::Error::PoolTimedOut
                    | sqlx::Error::WorkerCrashed
            );
        };
        let code = error.code().unwrap_or_default();
        if error
            .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()
            .is_some()
        {
            postgres_passes(&code)
        } else {
            sqlite_passes(&code)
        }
    }

    /// Whether it is what the database answered, be it that it only reads at the moment, as a standby does until it is
    /// promoted, or that somebody else holds a lock for too long. Any other fault is one of the way there.
    pub(crate) fn is_answer(&self) -> bool {
        !self.passes() || matches!(self.code().as_deref(), Some("25006" | "55P03" | "57014"))
    }

    /// What whoever runs the program may do about it, if that is known.
    pub fn hint(&self) -> Option<&'static str> {
        let code = self.code();
        match code.as_deref() {
            Some("28P01" | "28000") => Some("Check the user and the password in DATABASE_URL."),
            Some("3D000") => Some("Create the database, or name another by DATABASE_URL."),
            Some("42501") => Some("Name a user in DATABASE_URL who may create tables."),
            _ if matches!(&*self.0, sqlx::Error::Tls(_)) => {
                Some("Check sslmode in DATABASE_URL, and what the server offers.")
            }
            _ if self.passes() => Some("Start it, or name another by DATABASE_URL."),
            _ => None,
        }
    }

    /// Whether statements that were prepared on one of a pooler's connections were looked for on another.
    fn is_of_a_pooler(&self) -> bool {
        matches!(self.code().as_deref(), Some("42P05" | "26000"))
    }

    /// The SQLSTATE, or SQLite's extended result code.
    pub(crate) fn code(&self) -> Option<String> {
        Some(self.0.as_database_error()?.code()?.into_owned())
    }

    pub(crate) fn timed_out() -> Self {
        sqlx::Error::Io(io::ErrorKind::TimedOut.into()).into()
    }
}

/// Connection lost, server stopping or starting or read-only (a standby not promoted yet), too many connections,
/// deadlock or serialisation, and waiting too long for a lock or for the statement.
fn postgres_passes(code: &str) -> bool {
    code.starts_with("08")
        || code.starts_with("57")
        || matches!(code, "25006" | "25P03" | "40001" | "40P01" | "53300" | "55P03")
}

/// Busy, locked, or an I/O error, after any of which the statement was rolled back or its fate is unknown.
fn sqlite_passes(code: &str) -> bool {
    code.parse::<u32>()
        .is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 10))
}

/// The pauses between attempts: 20 ms, doubled up to 1 s.
pub(crate) struct Backoff(Duration);

impl Backoff {
    pub(crate) fn new() -> Self {
        Self(Duration::from_millis(20))
    }

    pub(crate) async fn pause(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(Duration::from_secs(1));
    }
}

/// Repeats a read for a while: after a restart of the server each pooled connection fails once. What it comes to is
/// noted, unless whoever asked has gone by then. (Not an async closure: the future of one is not known to be `Send`, so
/// that nobody could read in a task of their own.)
pub(crate) async fn patiently<T, F>(health: &Health, mut read: impl FnMut() -> F) -> Result<T, ReadError>
where
    F: Future<Output = Result<T, ReadError>>,
{
    let start = Instant::now();
    let mut backoff = Backoff::new();
    loop {
        match read().await {
            Err(ReadError::Unavailable(fault)) if fault.passes() && start.elapsed() < READ_PATIENCE => {
                backoff.pause().await;
            }
            Err(ReadError::Unavailable(fault)) => {
                health.unread(&fault);
                return Err(fault.into());
            }
            done => {
                health.answered();
                return done;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_connection_passes_and_a_full_disk_does_not() {
        assert!(Fault::from(sqlx::Error::Io(io::ErrorKind::ConnectionReset.into())).passes());
        assert!(Fault::timed_out().passes());
        assert!(!Fault::from(sqlx::Error::RowNotFound).passes());
        assert!(postgres_passes("57P01") && postgres_passes("08006") && postgres_passes("55P03"));
        assert!(!postgres_passes("53100") && !postgres_passes("42501"));
        assert!(
            sqlite_passes("5") && sqlite_passes("266"),
            "busy, and an I/O error while reading"
        );
        assert!(!sqlite_passes("13"), "full");
    }

    #[tokio::test]
    async fn what_a_read_comes_to_is_noted() {
        let health = Health::of("log");
        let refused = || async { Err::<(), _>(ReadError::from(Fault::from(sqlx::Error::RowNotFound))) };
        assert!(patiently(&health, refused).await.is_err());
        assert_eq!(health.is_well(), (false, true));
        assert!(patiently(&health, || async { Ok(()) }).await.is_ok());
        assert_eq!(health.is_well(), (true, true));
    }
}
