//! Whether what the database acknowledges survives the loss of its server: a synchronous standby that streams.

use std::{future, time::Duration};

use prometheus_client::{metrics::gauge::ConstGauge, registry::Registry};
use tiffin_eventstore::{EventStore, Replication, Standbys};
use tokio_util::sync::CancellationToken;

use crate::Standby;

/// How often the standbys are looked at for what is measured of them.
const LOOK: Duration = Duration::from_secs(5);

/// Why nothing is told of standbys.
const HIDDEN: &str = "the owner of the schema log is no member of pg_read_all_stats";

/// Shows what the settings say, so that one alert serves those who need a standby and those who do not.
pub(crate) fn register(standby: Standby, registry: &mut Registry) {
    registry.register(
        "tiffin_database_standby_required",
        "Whether the service is ready only while a synchronous standby streams",
        ConstGauge::new(i64::from(standby == Standby::Required)),
    );
}

/// Keeps what is measured of the standbys up to date.
pub(crate) async fn follow(store: EventStore, stop: CancellationToken) {
    stop.run_until_cancelled(async {
        let mut ticks = tokio::time::interval(LOOK);
        let mut told = false;
        loop {
            ticks.tick().await;
            let unknown = match store.replication().await {
                // The task lasts as long as the process, all the same.
                Ok(Replication::None) => future::pending().await,
                Ok(Replication::Hidden) => HIDDEN.to_owned(),
                Err(error) if !error.passes() => error.to_string(),
                Ok(Replication::Known(_)) | Err(_) => continue,
            };
            if !std::mem::replace(&mut told, true) {
                tracing::warn!(
                    reason = unknown,
                    "how the database's standbys follow it is not known"
                );
            }
        }
    })
    .await;
}

/// What `/readyz` says of the standbys; an error where there is none and one is required.
pub(crate) async fn look(store: EventStore, standby: Standby) -> Result<String, String> {
    let (safe, state) = match store.replication().await {
        Ok(replication) => state(replication),
        Err(error) => (false, error.to_string()),
    };
    if safe || standby == Standby::Reported {
        Ok(state)
    } else {
        Err(format!("{state}; TIFFIN_DATABASE_STANDBY is required"))
    }
}

/// Whether there is a synchronous standby, and a word on it.
fn state(replication: Replication) -> (bool, String) {
    match replication {
        Replication::None => (false, "a file has no standby".to_owned()),
        Replication::Hidden => (false, format!("not known: {HIDDEN}")),
        Replication::Known(Standbys {
            synchronous: 0,
            asynchronous,
            ..
        }) => (
            false,
            format!("no synchronous standby streams, {asynchronous} asynchronous"),
        ),
        Replication::Known(standbys) => (
            true,
            format!(
                "{} synchronous, {} asynchronous, at most {} bytes behind",
                standbys.synchronous, standbys.asynchronous, standbys.lag_bytes
            ),
        ),
    }
}
