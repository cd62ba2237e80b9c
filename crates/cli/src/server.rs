//! The server that commands talk to, over GraphQL.

use std::time::Duration;

use clap::Args;
use reqwest::{
    Client, ClientBuilder, RequestBuilder, Response,
    header::{ACCEPT, CONTENT_TYPE},
};
use serde_json::{Value, json};
use tiffin_runtime::Secret;

use crate::failure::{Exit, Failure};

/// The API key of `tiffin dev` where none is set; not a secret.
pub(crate) const DEVELOPMENT_KEY: &str = "da2-tiffindevelopmentkey000000";

/// How long a query or a mutation may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a stream may be silent; the server says something four times as often.
const SILENCE: Duration = Duration::from_mins(1);

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
        default_value = "http://127.0.0.1:8080"
    )]
    server: String,
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

impl Server {
    /// Runs a query or a mutation and returns its `data`.
    pub(crate) async fn run(&self, query: &str, variables: &Value) -> Result<Value, Failure> {
        let client = Client::builder().timeout(PATIENCE);
        let request = self.post(client, "/graphql", query, variables)?;
        let answer = request.header(ACCEPT, "application/json").send().await;
        data(json(answer.map_err(|error| self.unreachable(&error))?).await?)
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
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
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
        let client = client.build().map_err(Failure::fault)?;
        let url = format!("{}{path}", self.server.trim_end_matches('/'));
        let request = client.post(url).header("x-api-key", self.api_key.expose());
        Ok(request.json(&json!({ "query": query, "variables": variables })))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        if error.is_builder() {
            return Failure::new(
                Exit::Usage,
                format_args!("{} or the API key makes no sense: {error}", self.server),
            );
        }
        let reason = if error.is_timeout() {
            "no answer in time".to_owned()
        } else {
            innermost(error)
        };
        Failure::new(
            Exit::Unavailable,
            format_args!("cannot reach {}: {reason}", self.server),
        )
        .hint("Start everything with `tiffin dev`, or name another server by TIFFIN_SERVER.")
    }
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
