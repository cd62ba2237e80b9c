//! Operations: requests over NATS to the service that owns the data.

use std::{path::PathBuf, time::Duration};

use bytes::Bytes;
use clap::Args;
use prost::Message;
use tiffin_bus::{Bus, RequestError, State, without_credentials};
use tiffin_runtime::Secret;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::failure::{Exit, Failure};

/// How long it may take to connect, and how long an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the services can be asked.
#[derive(Clone, Debug, Args)]
pub(crate) struct Nats {
    /// The NATS server, or several, separated by commas; may carry credentials.
    #[arg(
        long,
        env = "TIFFIN_NATS_URL",
        value_name = "URL",
        hide_env_values = true,
        default_value = "nats://127.0.0.1:4222"
    )]
    nats_url: Secret,
    /// Who signs for NATS servers with TLS, in place of the authorities that the system knows: certificates in PEM.
    #[arg(long, env = "TIFFIN_NATS_CA", value_name = "PATH")]
    nats_ca: Option<PathBuf>,
}

/// A connection over which services are asked.
pub(crate) struct Operations {
    bus: Bus,
    _stop: tokio_util::sync::DropGuard,
}

impl Nats {
    /// Connects, or says that nobody is there.
    pub(crate) async fn connect(&self) -> Result<Operations, Failure> {
        let stop = CancellationToken::new();
        let config = tiffin_bus::Config {
            url: self.nats_url.expose().to_owned(),
            name: "tiffin".to_owned(),
            ca: self.nats_ca.clone(),
        };
        let bus = Bus::connect(config, &TaskTracker::new(), stop.clone()).await;
        let bus = bus.map_err(|error| Failure::new(Exit::Usage, error))?;
        let mut state = bus.state();
        let connected = tokio::time::timeout(PATIENCE, state.wait_for(State::is_connected)).await;
        if !matches!(connected, Ok(Ok(_))) {
            let message = format!(
                "cannot reach NATS at {}",
                without_credentials(self.nats_url.expose())
            );
            return Err(Failure::new(Exit::Unavailable, message)
                .hint("Start everything with `tiffin dev`, or name another server by TIFFIN_NATS_URL."));
        }
        Ok(Operations {
            bus,
            _stop: stop.drop_guard(),
        })
    }
}

impl Operations {
    /// Asks whoever serves the subject.
    pub(crate) async fn ask<A: Message + Default>(
        &self,
        subject: &str,
        question: &impl Message,
    ) -> Result<A, Failure> {
        let question = Bytes::from(question.encode_to_vec());
        match self.bus.request(subject, question, PATIENCE).await {
            Ok(answer) => A::decode(answer).map_err(|error| {
                Failure::fault(format_args!("the service's answer makes no sense: {error}"))
            }),
            Err(error @ RequestError::TimedOut) => Err(unavailable(error).late()),
            Err(error @ (RequestError::Disconnected | RequestError::NoResponders)) => Err(unavailable(error)),
            Err(error) => Err(Failure::fault(error)),
        }
    }
}

fn unavailable(error: RequestError) -> Failure {
    Failure::new(Exit::Unavailable, error).hint("Look whether the service runs: `nats micro ls`.")
}
