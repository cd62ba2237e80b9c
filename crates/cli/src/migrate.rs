//! `tiffin migrate`: the tables of the log and of all services.

use std::error::Error;

use clap::Args;
use serde_json::json;
use tiffin_eventstore::{DatabaseUrl, EventStore, MigrateError};

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
    let migrated = all(&settings.database_url).await;
    migrated.map_err(|error| Failure::new(Exit::Unavailable, explain(&error)))?;
    if json {
        return output::line(json!({ "migrated": true }));
    }
    eprintln!("The tables are up to date.");
    Ok(())
}

/// Creates or changes all tables.
pub(crate) async fn all(url: &DatabaseUrl) -> Result<(), MigrateError> {
    EventStore::migrate(url).await?;
    tiffin_api::migrate(url).await?;
    tiffin_orders::migrate(url).await
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
