//! One connection to NATS, whose state is a watch and which never makes its user wait for a server.

use std::{fmt, fs, future, path::PathBuf, time::Duration};

use async_nats::{Client, ConnectOptions, Event, jetstream};
use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, error, info, warn};

use crate::{address, backoff, bus::vital, complaints::Complaints};

/// The oldest server that is accepted: major and minor version.
pub const OLDEST_SERVER: (u64, u64) = (2, 14);
/// How long requests to JetStream and publish acknowledgements are waited for.
pub(crate) const ACK_TIMEOUT: Duration = Duration::from_secs(5);
/// The client gives a server up that has left two pings unanswered when the third is due, so within three intervals.
const PING_INTERVAL: Duration = Duration::from_secs(2);

/// Where NATS is and as whom to appear there.
#[derive(Clone)]
pub struct Config {
    /// One URL, or several separated by commas; user and password may be part of it.
    pub url: String,
    /// The service's name: the connections' name and, with a prefix, that of its inboxes, so that an
    /// authorisation rule can name them. Letters, digits, `-` and `_`.
    pub name: String,
    /// A file of certificates in PEM: the authorities that sign for servers with TLS, instead of the system's. With it
    /// only servers with TLS are used.
    pub ca: Option<PathBuf>,
}

/// Refuses a URL, or several, with which nobody could ever connect.
///
/// # Errors
/// The URL that is none.
pub fn check_url(url: &str) -> Result<(), ConfigError> {
    address::servers(url).map_err(ConfigError::Url).map(|_servers| ())
}

/// A configuration that can never connect.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// This cannot be the URL of a NATS server.
    #[error("'{0}' is not the address of a NATS server; write nats://127.0.0.1:4222")]
    Url(String),
    /// The client does not take these URLs.
    #[error("the NATS URL is not valid: {0}")]
    Client(#[source] async_nats::ConnectError),
    /// The name has other characters than letters, digits, `-` and `_`.
    #[error("'{0}' is not a valid name for a NATS connection: use letters, digits, '-' and '_'")]
    Name(String),
    /// The file of authorities cannot be read, or holds no certificate.
    #[error("{} holds no certificate in PEM that can be read", .0.display())]
    Ca(PathBuf),
}

/// What a connection to NATS is good for just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// No server; one is being looked for.
    Disconnected,
    /// A server older than 2.14: not used, but looked at again whenever it reconnects.
    Refused {
        /// What the server says it is.
        version: String,
    },
    /// Connected to a usable server.
    Connected {
        /// What the server says it is.
        version: String,
    },
}

impl State {
    /// Whether the server can be used.
    pub fn is_connected(&self) -> bool {
        matches!(self, State::Connected { .. })
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected => f.write_str("disconnected"),
            Self::Refused { version } => {
                let (major, minor) = OLDEST_SERVER;
                write!(
                    f,
                    "the server's version {version} is too old: {major}.{minor} or later is needed"
                )
            }
            Self::Connected { version } => write!(f, "connected to {version}"),
        }
    }
}

/// A client and what is known about its server.
pub(crate) struct Connection {
    pub(crate) client: Client,
    pub(crate) jetstream: jetstream::Context,
    pub(crate) state: watch::Receiver<State>,
}

impl Connection {
    /// Begins to connect; returns before a server is found.
    pub(crate) async fn open(
        config: &Config,
        purpose: &'static str,
        tracker: &TaskTracker,
        token: CancellationToken,
        complaints: Complaints,
    ) -> Result<Connection, ConfigError> {
        let (events, received) = mpsc::unbounded_channel();
        let servers = address::servers(&config.url).map_err(ConfigError::Url)?;
        let options = address::with_credentials(options(config, purpose, events)?, &servers);
        let client = options.connect(servers).await;
        let client = client.map_err(ConfigError::Client)?;
        let (sender, state) = watch::channel(State::Disconnected);
        let follower = follow(
            client.clone(),
            purpose,
            received,
            sender,
            token.clone(),
            complaints,
        );
        tracker.spawn(vital(token, follower));
        let jetstream = jetstream::ContextBuilder::new()
            .timeout(ACK_TIMEOUT)
            .ack_timeout(ACK_TIMEOUT)
            .build(client.clone());
        Ok(Connection {
            client,
            jetstream,
            state,
        })
    }

    /// Waits until the server can be used.
    pub(crate) async fn connected(&self) {
        let mut state = self.state.clone();
        if state.wait_for(State::is_connected).await.is_err() {
            // The bus has been stopped: there will never be a server.
            future::pending::<()>().await;
        }
    }
}

fn options(
    config: &Config,
    purpose: &'static str,
    events: mpsc::UnboundedSender<Event>,
) -> Result<ConnectOptions, ConfigError> {
    let name = &config.name;
    if name.is_empty()
        || !name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    {
        return Err(ConfigError::Name(name.clone()));
    }
    let options = match &config.ca {
        None => ConnectOptions::new(),
        Some(ca) => {
            let text = fs::read_to_string(ca).unwrap_or_default();
            if !text.contains("-----BEGIN CERTIFICATE-----") {
                return Err(ConfigError::Ca(ca.clone()));
            }
            ConnectOptions::new()
                .add_root_certificates(ca.clone())
                .require_tls(true)
        }
    };
    Ok(options
        .name(format!("{name} ({purpose})"))
        .custom_inbox_prefix(format!("_INBOX_{name}"))
        .retry_on_initial_connect()
        .reconnect_delay_callback(backoff::delay)
        .ping_interval(PING_INTERVAL)
        .event_callback(move |event| {
            // A closed channel means that the bus has been stopped.
            events.send(event).ok();
            future::ready(())
        }))
}

/// Turns the client's events into the connection's state.
async fn follow(
    client: Client,
    purpose: &'static str,
    mut events: mpsc::UnboundedReceiver<Event>,
    state: watch::Sender<State>,
    token: CancellationToken,
    complaints: Complaints,
) {
    loop {
        let event = tokio::select! {
            () = token.cancelled() => return,
            event = events.recv() => match event {
                Some(event) => event,
                None => return,
            },
        };
        match event {
            Event::Connected => {
                // The event precedes the server's description; what has been flushed comes after it.
                tokio::select! {
                    () = token.cancelled() => return,
                    flushed = client.flush() => if flushed.is_err() { return },
                }
                complaints.forget();
                state.send_replace(judge(client.server_info().version, purpose));
            }
            Event::Disconnected | Event::Closed => {
                warn!(connection = purpose, "NATS is away");
                state.send_replace(State::Disconnected);
            }
            Event::SlowConsumer(_) => warn!(connection = purpose, "messages were dropped: too slow a reader"),
            event @ (Event::ServerError(_) | Event::ClientError(_)) => complaints.tell(&event),
            event => debug!(connection = purpose, %event, "NATS client"),
        }
    }
}

fn judge(version: String, purpose: &'static str) -> State {
    if is_supported(&version) {
        info!(connection = purpose, version, "connected to NATS");
        State::Connected { version }
    } else {
        let (major, minor) = OLDEST_SERVER;
        error!(
            connection = purpose,
            version, "NATS server {version} is too old and is not used: {major}.{minor} or later is needed"
        );
        State::Refused { version }
    }
}

fn is_supported(version: &str) -> bool {
    let mut numbers = version.split('.').map(|part| part.parse::<u64>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) >= OLDEST_SERVER,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_from_2_14_on_are_supported() {
        for version in ["2.14.0", "2.14.0-RC.1", "2.15.1", "3.0.0"] {
            assert!(is_supported(version), "{version}");
        }
        for version in ["2.13.9", "2.9.10", "1.99.0", "", "unknown", "2"] {
            assert!(!is_supported(version), "{version}");
        }
    }
}
