//! `tiffin migrate`: the tables of the log and of all services, and what each service's role may do with them.

use std::error::Error;

use clap::Args;
use serde_json::json;
use tiffin_eventstore::{DatabaseUrl, EventStore, Granted, MigrateError};
use tiffin_runtime::{LogFormat, LogSettings, telemetry};

use crate::{
    failure::{Exit, Failure},
    output,
};

#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// The database: `postgres://…`, or `sqlite:` and a folder.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: DatabaseUrl,
}

pub(crate) async fn run(settings: Settings, json: bool) -> Result<(), Failure> {
    if !json {
        // Whoever waits for a database is told so at once.
        let log = LogSettings {
            filter: "warn,sqlx=off".to_owned(),
            format: LogFormat::Text,
        };
        telemetry::init(&log).map_err(Failure::fault)?;
    }
    let granted = all(&settings.database_url).await?;
    if json {
        return output::line(match granted {
            Granted::All => json!({ "migrated": true }),
            Granted::Newer { schema } => json!({ "migrated": true, "newer": schema }),
        });
    }
    output::say(match granted {
        Granted::All => "The tables are up to date.".to_owned(),
        Granted::Newer { schema } => format!(
            "The tables are up to date; '{schema}' is newer than this program, which therefore leaves to all roles \
             what they may do."
        ),
    });
    Ok(())
}

/// Creates or changes all tables.
pub(crate) async fn all(url: &DatabaseUrl) -> Result<Granted, Failure> {
    tables(url).await.map_err(|error| {
        let message = format!("cannot use the database {url}: {}", explain(&error));
        let failure = Failure::new(Exit::Unavailable, message);
        match (url, error.hint()) {
            (DatabaseUrl::Postgres(_), Some(hint)) => failure.hint(hint),
            _ => failure,
        }
    })
}

async fn tables(url: &DatabaseUrl) -> Result<Granted, MigrateError> {
    EventStore::migrate(url).await?;
    tiffin_api::migrate(url).await?;
    tiffin_orders::migrate(url).await?;
    let grants = [tiffin_api::GRANT, tiffin_orders::GRANT, tiffin_notifier::GRANT];
    EventStore::grant(url, &grants).await
}

/// An error with what caused it, in one line.
fn explain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = inner.source();
    }
    text
}
