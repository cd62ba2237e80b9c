//! The settings of `api`.

use tiffin_graphql_transport::Settings;

use crate::admission::AdmissionLimits;

/// What can be set about `api`.
#[derive(Clone, Debug)]
pub struct Config {
    /// The transport's settings, the query limits among them.
    pub transport: Settings,
    /// On how many NATS servers the stream of new orders is kept: 1, or 3 in a cluster.
    pub stream_replicas: usize,
    /// When new orders are refused.
    pub admission: AdmissionLimits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            transport: Settings::default(),
            stream_replicas: 1,
            admission: AdmissionLimits::default(),
        }
    }
}
