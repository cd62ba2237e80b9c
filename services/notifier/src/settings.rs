//! The settings of the program `tiffin-notifier`.

use clap::Parser;
use tiffin_eventstore::DatabaseUrl;
use tiffin_graphql_transport::SettingsArgs;
use tiffin_runtime::{Common, HttpSettings, KeySettings, NatsSettings};

/// Answers GraphQL subscriptions, over WebSocket at /graphql/ws and server-sent events at /graphql/stream.
///
/// Each setting is also read from its environment variable, or from the file that the variable with the suffix _FILE
/// names.
#[derive(Clone, Debug, Parser)]
#[command(name = "tiffin-notifier", version)]
pub struct Settings {
    /// What all services have.
    #[command(flatten)]
    pub common: Common,
    /// Where subscriptions are answered.
    #[command(flatten)]
    pub http: HttpSettings,
    /// What they may ask for.
    #[command(flatten)]
    pub transport: SettingsArgs,
    /// The bus.
    #[command(flatten)]
    pub nats: NatsSettings,
    /// Who may subscribe.
    #[command(flatten)]
    pub keys: KeySettings,
    /// The database that holds the log: a postgres:// URL.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: DatabaseUrl,
}

impl tiffin_runtime::Settings for Settings {
    fn common(&self) -> &Common {
        &self.common
    }
}
