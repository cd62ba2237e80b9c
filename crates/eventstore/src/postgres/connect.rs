//! Connections with the settings that each use needs.
//!
//! They may lead to a pooler in transaction mode, as long as it keeps prepared statements (PgBouncer 1.21 or later with
//! `max_prepared_statements`; sqlx sends a statement and its execution apart, so going without names is no way out).
//! What a session is set to then reaches whichever connection serves at the moment: it bounds waiting and guides the
//! planner, and nothing is wrong without it. What must hold is set within its transaction, or checked by the function
//! that appends.

use std::{
    str::FromStr,
    time::{Duration, Instant},
};

use sqlx::{ConnectOptions, Executor, PgConnection, postgres::PgConnectOptions};

use super::in_time;
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
