//! Connections with the settings that each use needs.

use std::{
    str::FromStr,
    time::{Duration, Instant},
};

use sqlx::{
    ConnectOptions, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::in_time;
use crate::{Fault, OpenError, fault::Backoff};

/// How long a server that is not there may take to come up when a process starts.
const PATIENCE: Duration = Duration::from_secs(15);

/// What every connection sets: no statement and no lock may keep others waiting, and a dead peer is noticed.
const SETTINGS: [(&str, &str); 7] = [
    ("statement_timeout", "5s"),
    ("lock_timeout", "2s"),
    ("idle_in_transaction_session_timeout", "10s"),
    ("default_transaction_isolation", "read committed"),
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_user_timeout", "10s"),
];

/// Every statement over the log reads a few rows through an index. Statistics that are behind a fast growing table
/// must not tempt the planner to read all of it.
const INDEX_ONLY: [(&str, &str); 3] = [
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
];

fn base(url: &str) -> Result<PgConnectOptions, Fault> {
    let options = PgConnectOptions::from_str(url)?;
    Ok(options
        .application_name("tiffin")
        .options(SETTINGS)
        .disable_statement_logging())
}

pub(super) fn log(url: &str) -> Result<PgConnectOptions, Fault> {
    Ok(base(url)?.options(INDEX_ONLY))
}

/// A connection to a derived schema, whose tables are named without it.
pub(crate) fn derived(url: &str, schema: &str) -> Result<PgConnectOptions, Fault> {
    Ok(base(url)?.options([("search_path", schema)]))
}

/// A connection for migrations, which may take their time.
pub(crate) fn migrating(url: &str, schema: &str) -> Result<PgConnectOptions, Fault> {
    Ok(derived(url, schema)?.options([("statement_timeout", "0"), ("lock_timeout", "0")]))
}

pub(super) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, Fault> {
    in_time(async { Ok(options.connect().await?) }).await
}

/// Connects to a server that may just be starting.
pub(crate) async fn patiently_connect(options: &PgConnectOptions) -> Result<PgConnection, Fault> {
    let start = Instant::now();
    let mut backoff = Backoff::new();
    let mut told = false;
    loop {
        match connect(options).await {
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

/// A pool that connects when it is first used. `tested`: whether a connection is asked before use if it still lives, a
/// round trip that what is repeated by itself after a fault does not need.
pub(crate) fn pool(options: PgConnectOptions, connections: u32, tested: bool) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(2))
        .test_before_acquire(tested)
        .connect_lazy_with(options)
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
