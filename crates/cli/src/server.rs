//! The server that commands talk to, over GraphQL.

use std::time::Duration;

use clap::Args;
use reqwest::{
    Client, ClientBuilder, RequestBuilder, Response, StatusCode, Url,
    header::{ACCEPT, CONTENT_TYPE},
};
use serde_json::{Value, json};
use tiffin_runtime::Secret;

use crate::failure::{Exit, Failure};

/// Where `tiffin dev` is when it is not told otherwise.
pub(crate) const DEVELOPMENT_SERVER: &str = "http://127.0.0.1:8080";

/// The API key of `tiffin dev` where none is set; not a secret.
pub(crate) const DEVELOPMENT_KEY: &str = "da2-tiffindevelopmentkey000000";

/// How long a query or a mutation may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a stream may be silent; the server says something four times as often.
const SILENCE: Duration = Duration::from_mins(1);

/// What to do about a server that is away.
const START: &str = "Start everything with `tiffin dev`, or name another server by TIFFIN_SERVER.";

/// What to do about a certificate that nobody known has signed.
const TRUST: &str = "Name a file with the certificate of the CA that signed it, or with itself if it signed itself, by \
     SSL_CERT_FILE; one that is marked as a CA's own (CA:TRUE) is not good for a server.";

/// The media type of server-sent events.
const STREAM: &str = "text/event-stream";

/// Where the server is, and who asks.
#[derive(Clone, Debug, Args)]
pub(crate) struct Server {
    /// The server's address.
    #[arg(
        long,
        env = "TIFFIN_SERVER",
        value_name = "URL",
        default_value = DEVELOPMENT_SERVER,
        value_parser = address
    )]
    server: Url,
    /// The API key; without one that of `tiffin dev`.
    #[arg(
        long,
        env = "TIFFIN_API_KEY",
        value_name = "KEY",
        hide_env_values = true,
        hide_default_value = true,
        default_value = DEVELOPMENT_KEY
    )]
    api_key: Secret,
}

/// Where the server is, for what its customers may not ask.
#[derive(Clone, Debug, Args)]
pub(crate) struct Staff {
    #[command(flatten)]
    server: Server,
    /// The operator's key; without one the API key.
    #[arg(long, env = "TIFFIN_OPERATOR_KEY", value_name = "KEY", hide_env_values = true)]
    operator_key: Option<Secret>,
}

impl Staff {
    /// The server, asked by whoever has the best key.
    pub(crate) fn server(self) -> Server {
        match self.operator_key {
            Some(api_key) => Server {
                api_key,
                ..self.server
            },
            None => self.server,
        }
    }
}

impl Server {
    /// Runs a query or a mutation and returns its `data`.
    pub(crate) async fn run(&self, query: &str, variables: &Value) -> Result<Value, Failure> {
        let client = Client::builder().timeout(PATIENCE);
        let request = self.post(client, "/graphql", query, variables)?;
        let answer = request.header(ACCEPT, "application/json").send().await;
        let answer = self.found(answer.map_err(|error| self.unreachable(&error))?)?;
        data(json(answer).await?)
    }

    /// Begins a subscription over server-sent events, after the event `after` if there is one.
    pub(crate) async fn subscribe(
        &self,
        after: Option<&str>,
        query: &str,
        variables: &Value,
    ) -> Result<Response, Failure> {
        let client = Client::builder().connect_timeout(PATIENCE).read_timeout(SILENCE);
        let mut request = self
            .post(client, "/graphql/stream", query, variables)?
            .header(ACCEPT, STREAM);
        if let Some(id) = after {
            request = request.header("last-event-id", id);
        }
        let answer = self.found(request.send().await.map_err(|error| self.unreachable(&error))?)?;
        let kind = answer
            .headers()
            .get(CONTENT_TYPE)
            .map_or(&b""[..], |kind| kind.as_bytes());
        if answer.status().is_success() && kind.starts_with(STREAM.as_bytes()) {
            return Ok(answer);
        }
        data(json(answer).await?)?;
        Err(Failure::fault("the server did not answer with a stream"))
    }

    fn post(
        &self,
        client: ClientBuilder,
        path: &str,
        query: &str,
        variables: &Value,
    ) -> Result<RequestBuilder, Failure> {
        let key = self.api_key.expose();
        if key.is_empty() || !key.chars().all(|letter| letter.is_ascii_graphic()) {
            let rule = "An API key has printable ASCII characters and no blanks";
            return Err(Failure::new(Exit::Usage, rule));
        }
        let client = client.build().map_err(Failure::fault)?;
        let url = format!("{}{path}", self.address());
        let request = client.post(url).header("x-api-key", key);
        Ok(request.json(&json!({ "query": query, "variables": variables })))
    }

    /// The answer, unless it is that nothing is at the address, which is another matter than that there is no order.
    fn found(&self, answer: Response) -> Result<Response, Failure> {
        if answer.status() != StatusCode::NOT_FOUND {
            return Ok(answer);
        }
        let what = if answer.url().path().ends_with("/stream") {
            "subscriptions"
        } else {
            "queries and mutations"
        };
        let message = format!("{} does not answer {what}", self.address());
        Err(Failure::new(Exit::Usage, message).hint(
            "TIFFIN_SERVER is the address of a gateway or of `tiffin dev`, or, for `tiffin order watch`, of \
             tiffin-notifier, else of tiffin-api; without /graphql.",
        ))
    }

    fn address(&self) -> &str {
        self.server.as_str().trim_end_matches('/')
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let address = self.address();
        let text = if error.is_timeout() {
            "no answer in time".to_owned()
        } else {
            innermost(error)
        };
        // What the libraries say of an answer that is none of theirs, and of a certificate.
        let (reason, hint, unsent) = if text.contains("InvalidContentType") {
            let other = address.replacen("https", "http", 1);
            (format!("it does not speak TLS; try {other}"), START, true)
        } else if text.contains("invalid HTTP version") && address.starts_with("http:") {
            let other = address.replacen("http", "https", 1);
            (
                format!("it does not speak HTTP without TLS; try {other}"),
                START,
                true,
            )
        } else if let Some((_, reason)) = text.split_once("invalid peer certificate: ") {
            (format!("its certificate is not trusted: {reason}"), TRUST, true)
        } else {
            (text, START, error.is_connect())
        };
        let message = format!("cannot reach {address}: {reason}");
        let failure = Failure::new(Exit::Unavailable, message).hint(hint);
        if unsent { failure.unsent() } else { failure }
    }
}

/// The address of a server: an HTTP URL.
fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok();
    url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| format!("write an address such as {DEVELOPMENT_SERVER}"))
}

/// The error at the bottom, which says what happened.
fn innermost(error: &reqwest::Error) -> String {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

async fn json(answer: Response) -> Result<Value, Failure> {
    let status = answer.status();
    let text = answer
        .text()
        .await
        .map_err(|error| Failure::new(Exit::Unavailable, innermost(&error)))?;
    serde_json::from_str(&text).map_err(|_not_json| {
        let exit = if status.is_server_error() {
            Exit::Unavailable
        } else {
            Exit::Fault
        };
        Failure::new(
            exit,
            format_args!("the server answered {status}, and not as a GraphQL server does"),
        )
    })
}

/// The data of an answer, unless it has errors.
pub(crate) fn data(mut answer: Value) -> Result<Value, Failure> {
    match answer.get("errors") {
        Some(errors) => Err(Failure::from_graphql(errors)),
        None => Ok(answer["data"].take()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_an_http_url() {
        for good in ["http://127.0.0.1:8080", "https://tiffin.example/shop/"] {
            assert!(address(good).is_ok(), "{good}");
        }
        for wrong in [
            "",
            "127.0.0.1:8080",
            "localhost:8080",
            "nats://127.0.0.1",
            "http://",
            "%%",
        ] {
            assert_eq!(
                address(wrong),
                Err("write an address such as http://127.0.0.1:8080".to_owned())
            );
        }
    }
}
