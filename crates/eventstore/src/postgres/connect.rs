//! Connections with the settings that each use needs.
//!
//! They may lead to a pooler in transaction mode, as long as it keeps prepared statements (PgBouncer 1.21 or later with
//! `max_prepared_statements`; sqlx sends a statement and its execution apart, so going without names is no way out).
//! What a session is set to then reaches whichever connection serves at the moment: it bounds waiting and guides the
//! planner, and nothing is wrong without it. What must hold is set within its transaction, or checked by the function
//! that appends.

use std::{
    io,
    str::FromStr,
    time::{Duration, Instant},
};

use sqlx::{
    ConnectOptions, Connection, Executor, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;

use super::{TIMEOUT, in_time};
use crate::{Fault, OpenError, fault::Backoff};

/// How long a server that is not there may take to come up when a process starts.
const PATIENCE: Duration = Duration::from_secs(15);

/// What every connection sets: no statement and no lock may keep others waiting, and the server notices a dead client. A
/// dead server is noticed by [`in_time`].
const SETTINGS: &str = "SET statement_timeout = '5s'; SET lock_timeout = '2s'; \
     SET idle_in_transaction_session_timeout = '10s'; SET default_transaction_isolation = 'read committed'; \
     SET jit = off; SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_user_timeout = '10s'";

/// Every statement over the log reads a few rows through an index. Statistics that are behind a fast growing table
/// must not tempt the planner to read all of it.
const INDEX_ONLY: &str = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off";

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Log,
    Derived,
}

/// Where to connect. Nothing is set while connecting that a pooler between refuses.
pub(crate) fn options(url: &str) -> Result<PgConnectOptions, Fault> {
    let options = PgConnectOptions::from_str(url)?;
    Ok(options
        .application_name("tiffin")
        .extra_float_digits(None)
        .disable_statement_logging())
}

pub(crate) async fn connect(options: &PgConnectOptions, usage: Use) -> Result<PgConnection, Fault> {
    in_time(async {
        let mut connection = options.connect().await?;
        set_up(&mut connection, usage).await?;
        Ok(connection)
    })
    .await
}

async fn set_up(connection: &mut PgConnection, usage: Use) -> Result<(), sqlx::Error> {
    connection.execute(SETTINGS).await?;
    if usage == Use::Log {
        connection.execute(INDEX_ONLY).await?;
    }
    Ok(())
}

/// Connects to a server that may just be starting.
pub(crate) async fn patiently_connect(options: &PgConnectOptions, usage: Use) -> Result<PgConnection, Fault> {
    let start = Instant::now();
    let mut backoff = Backoff::new();
    let mut told = false;
    loop {
        match connect(options, usage).await {
            Err(fault) if fault.passes() && start.elapsed() < PATIENCE => {
                if !std::mem::replace(&mut told, true) {
                    let (host, port) = (options.get_host(), options.get_port());
                    tracing::warn!(error = %fault, host, port, patience = ?PATIENCE, "the database does not answer; trying again");
                }
                backoff.pause().await;
            }
            done => return done,
        }
    }
}

/// A pool that connects when it is first used. Whether a connection still lives is not asked before its use, a round
/// trip that what is repeated by itself after a fault does not need.
pub(crate) fn pool(options: PgConnectOptions, usage: Use, connections: u32) -> PgPool {
    PgPoolOptions::new()
        .after_connect(move |connection, _| Box::pin(set_up(connection, usage)))
        .after_release(|connection, _| Box::pin(still_answers(connection)))
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(2))
        .test_before_acquire(false)
        .connect_lazy_with(options)
}

/// Asks a connection that is given back, perhaps in the middle of a statement whose answer never comes. The pool asks by
/// itself, too, but waits for as long as the kernel does, a quarter of an hour, and lends nothing in its place meanwhile.
/// It does so after this: a server that falls silent in between, a tenth of a millisecond of each use, still costs that.
async fn still_answers(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let answer = timeout(TIMEOUT, connection.ping()).await;
    answer.map_err(|_| sqlx::Error::Io(io::ErrorKind::TimedOut.into()))??;
    Ok(true)
}

/// Refuses a server that acknowledges what it may lose.
pub(super) async fn refuse_unsafe(connection: &mut PgConnection) -> Result<(), OpenError> {
    for (setting, safe) in [
        ("fsync", &["on"][..]),
        ("synchronous_commit", &["on", "remote_apply"]),
    ] {
        let value = sqlx::query_scalar("SELECT current_setting($1)").bind(setting);
        let value: String = value.fetch_one(&mut *connection).await?;
        if !safe.contains(&value.as_str()) {
            return Err(OpenError::Unsafe {
                setting,
                value,
                wanted: "on",
            });
        }
    }
    Ok(())
}
