//! The settings that every service has.

use clap::Args;
use tiffin_eventstore::DatabaseUrl;
use tiffin_runtime::{Common, NatsSettings};

/// How a service's process runs, and on what.
#[derive(Clone, Debug, Args)]
pub struct PlatformSettings {
    /// What all programs have.
    #[command(flatten)]
    pub common: Common,
    /// The bus.
    #[command(flatten)]
    pub nats: NatsSettings,
    /// The database that holds the log: a postgres:// URL.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: DatabaseUrl,
}
