//! The settings of `orders`.

use tiffin_order::Workflow;

/// What can be set about `orders`.
#[derive(Clone, Debug)]
pub struct Config {
    /// The workflow that new orders are started under, at its own pace.
    pub workflow: Workflow,
    /// Divides every wait.
    pub speed: f64,
    /// On how many NATS servers the stream of changes is kept: 1, or 3 in a cluster.
    pub stream_replicas: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            workflow: Workflow::parse(include_str!("../../../saga.toml"))
                .expect("the default workflow makes sense"),
            speed: 1.0,
            stream_replicas: 1,
        }
    }
}
