//! The settings of the program `tiffin-api`.

use clap::Parser;
use tiffin_graphql_transport::SettingsArgs;
use tiffin_platform::PlatformSettings;
use tiffin_runtime::{Common, HttpSettings, KeySettings};

/// Answers GraphQL queries and mutations at /graphql, and publishes new orders.
///
/// Each setting is also read from its environment variable, or from the file that the variable with the suffix _FILE
/// names. `tiffin-api healthcheck` asks the one that runs here whether it is ready.
#[derive(Clone, Debug, Parser)]
#[command(name = "tiffin-api", version)]
pub struct Settings {
    /// What all services have.
    #[command(flatten)]
    pub platform: PlatformSettings,
    /// Where queries and mutations are answered.
    #[command(flatten)]
    pub http: HttpSettings,
    /// What they may ask for.
    #[command(flatten)]
    pub transport: SettingsArgs,
    /// Who may ask.
    #[command(flatten)]
    pub keys: KeySettings,
}

impl tiffin_runtime::Settings for Settings {
    fn common(&self) -> &Common {
        &self.platform.common
    }
}
