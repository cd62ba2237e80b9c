//! The settings that several programs share; each field's text is its manual.

use std::{fmt::Display, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, ValueEnum};

use crate::{Error, Keys, Secret};

/// What every service has: how it logs, where its health is asked for, how long it may take to stop.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// How the program logs.
    #[command(flatten)]
    pub log: LogSettings,
    /// Where its health is asked for.
    #[command(flatten)]
    pub admin: AdminSettings,
    /// How long a stop may take: a number of seconds, at most 25.
    #[arg(long, env = "TIFFIN_GRACE", value_name = "SECONDS", default_value = "20", value_parser = grace)]
    pub grace: Duration,
    /// Which share of new traces is sampled, from 0 to 1; a trace that a caller sampled stays sampled. Spans go to where
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` says.
    #[arg(long, env = "TIFFIN_TRACE_RATIO", value_name = "RATIO", default_value = "0.01", value_parser = ratio)]
    pub trace_ratio: f64,
}

/// Where a service's health is asked for.
#[derive(Clone, Debug, Args)]
pub struct AdminSettings {
    /// Where `/livez`, `/readyz` and `/metrics` are answered.
    #[arg(
        long,
        env = "TIFFIN_ADMIN_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:9464",
        value_parser = socket_address
    )]
    pub admin_listen: SocketAddr,
}

/// How a program logs.
#[derive(Clone, Debug, Args)]
pub struct LogSettings {
    /// What is logged, as in `info` or `info,tiffin_bus=debug`.
    // The bus and the store tell once what their libraries complain of at every attempt to connect.
    #[arg(
        long = "log",
        env = "TIFFIN_LOG",
        value_name = "FILTER",
        default_value = "info,async_nats=off,sqlx=off"
    )]
    pub filter: String,
    /// How a line looks: `auto` is text on a terminal and JSON elsewhere.
    #[arg(
        long = "log-format",
        env = "TIFFIN_LOG_FORMAT",
        value_name = "FORMAT",
        value_enum,
        default_value_t
    )]
    pub format: LogFormat,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// Lines for people.
    Text,
}

/// Where and how HTTP is served.
#[derive(Clone, Debug, Args)]
pub struct HttpSettings {
    /// Where GraphQL is served.
    #[arg(
        long,
        env = "TIFFIN_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8080",
        value_parser = socket_address
    )]
    pub listen: SocketAddr,
    /// How many connections may be open at a time; more wait to be accepted.
    #[arg(
        long,
        env = "TIFFIN_MAX_CONNECTIONS",
        value_name = "NUMBER",
        default_value_t = 20_000,
        value_parser = connections
    )]
    pub max_connections: usize,
    /// A certificate chain in PEM; with it only TLS is spoken.
    #[arg(long, env = "TIFFIN_TLS_CERT", value_name = "PATH", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key in PEM.
    #[arg(long, env = "TIFFIN_TLS_KEY", value_name = "PATH", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
}

/// Which NATS server is used.
#[derive(Clone, Debug, Args)]
pub struct NatsSettings {
    /// The NATS server, or several, separated by commas; may carry credentials.
    #[arg(
        long,
        env = "TIFFIN_NATS_URL",
        value_name = "URL",
        default_value = "nats://127.0.0.1:4222",
        hide_env_values = true
    )]
    pub nats_url: Secret,
    /// Who signs for NATS servers with TLS, in place of the authorities that the system knows: certificates in PEM.
    #[arg(long, env = "TIFFIN_NATS_CA", value_name = "PATH")]
    pub nats_ca: Option<PathBuf>,
    /// On how many servers each stream is kept: 1, or 3 in a cluster.
    #[arg(
        long,
        env = "TIFFIN_STREAM_REPLICAS",
        value_name = "NUMBER",
        default_value_t = 1,
        value_parser = replicas
    )]
    pub stream_replicas: usize,
}

/// How many characters an API key in the settings has at least.
const SHORTEST_KEY: usize = 16;

/// Which API keys are accepted.
#[derive(Clone, Debug, Default, Args)]
pub struct KeySettings {
    /// A file of API keys; it is read again within 5 seconds of a change.
    #[arg(long, env = "TIFFIN_KEYS", value_name = "PATH")]
    pub keys: Option<PathBuf>,
    /// The API key of the customers' front end.
    #[arg(long, env = "TIFFIN_API_KEY", value_name = "KEY", hide_env_values = true)]
    pub api_key: Option<Secret>,
    /// The API key of the operator.
    #[arg(long, env = "TIFFIN_OPERATOR_KEY", value_name = "KEY", hide_env_values = true)]
    pub operator_key: Option<Secret>,
}

impl KeySettings {
    /// Reads the keys: those in the file, `api_key` as that of the customer `customer`, and `operator_key` as that of
    /// the operator `operator`. That there is none at all is logged.
    pub fn load<P>(&self) -> Result<Keys<P>, Error>
    where
        P: Clone + PartialEq + FromStr<Err: Display> + Send + Sync + 'static,
    {
        if self.api_key.is_some() && self.api_key == self.operator_key {
            let rule = "it is the same as TIFFIN_API_KEY, so every customer would be an operator";
            return Err(Error::setting("TIFFIN_OPERATOR_KEY", rule));
        }
        let customer = fixed("TIFFIN_API_KEY", self.api_key.as_ref(), "customer customer")?;
        let operator = fixed(
            "TIFFIN_OPERATOR_KEY",
            self.operator_key.as_ref(),
            "operator operator",
        )?;
        let keys = Keys::load(self.keys.as_deref(), customer.into_iter().chain(operator))?;
        if keys.is_empty() {
            tracing::warn!("there is no API key, so everybody is refused: set TIFFIN_API_KEY or TIFFIN_KEYS");
        }
        Ok(keys)
    }
}

/// The key and whom it stands for, unless it is one that everybody can guess or that no header can carry.
fn fixed<P: FromStr<Err: Display>>(
    setting: &str,
    key: Option<&Secret>,
    principal: &str,
) -> Result<Option<(Secret, P)>, Error> {
    let Some(key) = key else { return Ok(None) };
    let text = key.expose();
    if text.len() < SHORTEST_KEY || !text.chars().all(|letter| letter.is_ascii_graphic()) {
        let rule = format!("a key has at least {SHORTEST_KEY} printable characters and no blanks");
        return Err(Error::setting(setting, rule));
    }
    let principal = principal
        .parse()
        .map_err(|reason| Error::setting(setting, reason))?;
    Ok(Some((key.clone(), principal)))
}

/// Reads where to listen, and shows how it is written if it is not so.
pub fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_no_address| "write an IP address and a port, such as 127.0.0.1:8080".to_owned())
}

fn grace(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 0..=25) => Ok(Duration::from_secs(seconds)),
        _ => Err("not a number of seconds from 0 to 25".to_owned()),
    }
}

/// Far more than a process may have descriptors for.
const MOST_CONNECTIONS: usize = 10_000_000;

fn connections(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=MOST_CONNECTIONS) => Ok(number),
        _ => Err(format!("not a number from 1 to {MOST_CONNECTIONS}")),
    }
}

/// NATS keeps a stream on no more than five servers.
fn replicas(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=5) => Ok(number),
        _ => Err("not a number from 1 to 5".to_owned()),
    }
}

fn ratio(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err("not a number from 0 to 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(key: &str) -> Result<Keys<String>, Error> {
        let settings = KeySettings {
            api_key: Some(Secret::new(key)),
            ..KeySettings::default()
        };
        settings.load()
    }

    #[test]
    fn a_key_that_opens_everything_to_everybody_or_fits_no_header_is_refused() {
        for key in ["", "                    ", "short", "a key with blanks in it"] {
            let refused = loaded(key).err().map(|error| error.to_string());
            assert!(
                refused.is_some_and(|text| text.starts_with("TIFFIN_API_KEY: ")),
                "{key:?}"
            );
        }
        assert!(loaded("da2-tiffindevelopmentkey000000").is_ok());
    }

    #[test]
    fn one_key_for_customers_and_the_operator_is_refused() {
        let key = Some(Secret::new("da2-tiffindevelopmentkey000000"));
        let settings = KeySettings {
            api_key: key.clone(),
            operator_key: key,
            keys: None,
        };
        let refused = settings.load::<String>().err().map(|error| error.to_string());
        assert!(refused.is_some_and(|text| text.starts_with("TIFFIN_OPERATOR_KEY: ")));
    }

    #[test]
    fn where_to_listen_is_an_address_with_a_port() {
        for good in ["127.0.0.1:8080", "[::]:0"] {
            assert!(socket_address(good).is_ok(), "{good}");
        }
        for wrong in ["8080", "localhost:8080", "127.0.0.1:99999", ""] {
            let refused = socket_address(wrong).unwrap_err();
            assert!(refused.contains("127.0.0.1:8080"), "{refused}");
        }
    }

    #[test]
    fn a_number_with_which_nothing_would_work_is_refused() {
        for wrong in ["0", "-1", "many", "18446744073709551615"] {
            assert!(connections(wrong).is_err(), "{wrong}");
            assert!(replicas(wrong).is_err(), "{wrong}");
            assert!(grace(wrong).is_err() || wrong == "0", "{wrong}");
        }
        assert_eq!((connections("1"), replicas("3")), (Ok(1), Ok(3)));
    }
}
