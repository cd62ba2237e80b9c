//! The settings of `tiffin dev`.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use tiffin_eventstore::DatabaseUrl;
use tiffin_graphql_transport::SettingsArgs;
use tiffin_orders::SagaSettings;
use tiffin_runtime::{Common, HttpSettings, KeySettings, Secret, socket_address};

/// What can be set. A stop takes a few seconds at most, and every trace is sampled.
#[derive(Debug, Args)]
#[command(mut_arg("grace", |grace| grace.default_value("3")))]
#[command(mut_arg("trace_ratio", |ratio| ratio.default_value("1")))]
pub(crate) struct Settings {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(flatten)]
    pub(super) http: HttpSettings,
    #[command(flatten)]
    pub(super) transport: SettingsArgs,
    #[command(flatten)]
    pub(super) keys: KeySettings,
    #[command(flatten)]
    pub(super) saga: SagaSettings,
    /// The folder of everything that is kept.
    #[arg(long, env = "TIFFIN_DATA", value_name = "FOLDER", default_value = "./data")]
    pub(super) data: PathBuf,
    /// A database other than SQLite in the data folder: `postgres://…`, or `sqlite:` and another folder.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub(super) database_url: Option<DatabaseUrl>,
    /// A NATS server to use, in place of one of its own.
    #[arg(long, env = "TIFFIN_NATS_URL", value_name = "URL", hide_env_values = true)]
    pub(super) nats_url: Option<Secret>,
    /// Where its own nats-server listens.
    #[arg(
        long,
        env = "TIFFIN_NATS_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:4222",
        value_parser = socket_address
    )]
    pub(super) nats_listen: SocketAddr,
    /// Stops when the parent process is not, or no longer, the one with this id.
    #[arg(long, value_name = "PID")]
    pub(super) end_with_parent: Option<i32>,
}
