//! The settings of the program `tiffin-notifier`.

use clap::Parser;
use tiffin_graphql_transport::SettingsArgs;
use tiffin_platform::PlatformSettings;
use tiffin_runtime::{Common, HttpSettings, KeySettings};

/// Answers GraphQL subscriptions, over WebSocket at /graphql/ws and server-sent events at /graphql/stream.
///
/// Each setting is also read from its environment variable, or from the file that the variable with the suffix _FILE
/// names. `tiffin-notifier healthcheck` asks the one that runs here whether it is ready.
#[derive(Clone, Debug, Parser)]
#[command(name = "tiffin-notifier", version)]
pub struct Settings {
    /// What all services have.
    #[command(flatten)]
    pub platform: PlatformSettings,
    /// Where subscriptions are answered.
    #[command(flatten)]
    pub http: HttpSettings,
    /// What they may ask for.
    #[command(flatten)]
    pub transport: SettingsArgs,
    /// Who may subscribe.
    #[command(flatten)]
    pub keys: KeySettings,
}

impl tiffin_runtime::Settings for Settings {
    fn common(&self) -> &Common {
        &self.platform.common
    }
}
