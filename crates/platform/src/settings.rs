//! The settings that every service has.

use clap::{Args, ValueEnum};
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
    /// Whether the service is ready without a synchronous standby of its database that streams.
    #[arg(
        long,
        env = "TIFFIN_DATABASE_STANDBY",
        value_name = "STANDBY",
        value_enum,
        default_value_t
    )]
    pub database_standby: Standby,
}

/// What a synchronous standby of the database means to the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Standby {
    /// Without one the service is not ready: what is acknowledged has to survive the loss of the database's server.
    Required,
    /// It is only told of.
    #[default]
    Reported,
}
