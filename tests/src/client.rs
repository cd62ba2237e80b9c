//! A client as a careful front end would write it: it tells what is certain from what is not, and goes to another
//! replica when a connection is refused.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tiffin_testkit::{GraphQl, SseStream, WebSocketClient};
use tokio::time::{sleep, timeout};

/// How long one attempt may take until the client no longer waits for it, unless it was told otherwise.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long to wait before something is repeated.
const AGAIN_AFTER: Duration = Duration::from_millis(20);

/// The codes that ask a client to come again; nothing was done.
const AGAIN: [&str; 3] = ["OVERLOADED", "RATE_LIMITED", "TRY_AGAIN"];

/// The codes after which nobody knows whether something was done.
const UNKNOWN: [&str; 3] = ["TIMEOUT", "UNAVAILABLE", "INTERNAL"];

const CREATE: &str = "mutation Create($input: CreateOrderInput!) { createOrder(input: $input) \
     { id status version createdAt updatedAt products { name quantity } } }";
const CANCEL: &str =
    "mutation Cancel($id: ID!) { cancelOrder(input: { id: $id }) { id status version reason } }";
const ORDER: &str = "query Order($id: ID!) { order(id: $id) \
     { id status version reason timeline { version status at } } }";
const WATCH: &str = "subscription Watch($id: ID!, $after: Int) \
     { onOrderUpdated(id: $id, afterVersion: $after) { id status version updatedAt reason } }";

/// What became of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It was answered.
    Done(Value),
    /// It was refused with this code; nothing was done.
    Refused(String),
    /// It was not taken and is welcome again: nobody listened, or the service said so.
    NotNow(String),
    /// Nobody knows: a time-out, a reset, an answer of 5xx.
    Unknown(String),
}

/// A client of all replicas of the services that face the public.
#[derive(Clone, Debug)]
pub struct Client {
    api: Vec<GraphQl>,
    notifier: Vec<GraphQl>,
    patience: Duration,
}

/// Where a subscription goes on: after a version that is given in the operation, or as the last event id.
#[derive(Clone, Copy, Debug)]
pub enum After {
    /// `afterVersion`.
    Version(u32),
    /// `Last-Event-ID`, which rules over an `afterVersion` of 0.
    EventId(u32),
    /// Nowhere: the current state comes first.
    Now,
}

impl Client {
    /// A client of the services at these base addresses, tried in this order.
    pub fn new(api: &[String], notifier: &[String], key: &str) -> Self {
        let all = |bases: &[String]| bases.iter().map(|base| GraphQl::new(base, key)).collect();
        Self {
            api: all(api),
            notifier: all(notifier),
            patience: PATIENCE,
        }
    }

    /// The same, which waits so long for an answer.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The same, which tries the replicas from the second on.
    #[must_use]
    pub fn turned(&self) -> Self {
        let mut turned = self.clone();
        turned.api.rotate_left(1);
        turned.notifier.rotate_left(1);
        turned
    }

    /// Creates an order of one product.
    pub async fn create(&self, product: &str, key: Option<&str>) -> Outcome {
        let products = json!([{ "name": product, "quantity": 1 }]);
        let input = json!({ "products": products, "idempotencyKey": key });
        self.execute(CREATE, json!({ "input": input }), "createOrder")
            .await
    }

    /// Creates an order, repeating what has no certain outcome, and returns the answer.
    pub async fn place(&self, product: &str, key: &str) -> Result<Value> {
        loop {
            match self.create(product, Some(key)).await {
                Outcome::Done(order) => return Ok(order),
                Outcome::Refused(why) => bail!("refused: {why}"),
                Outcome::NotNow(_) | Outcome::Unknown(_) => sleep(AGAIN_AFTER).await,
            }
        }
    }

    /// Cancels an order, repeating what has no certain outcome: the cancelled order, or the code of the refusal.
    pub async fn call_off(&self, id: &str) -> Result<Value, String> {
        loop {
            match self.cancel(id).await {
                Outcome::Done(order) => return Ok(order),
                Outcome::Refused(why) => return Err(why),
                Outcome::NotNow(_) | Outcome::Unknown(_) => sleep(AGAIN_AFTER).await,
            }
        }
    }

    /// Cancels an order.
    pub async fn cancel(&self, id: &str) -> Outcome {
        self.execute(CANCEL, json!({ "id": id }), "cancelOrder").await
    }

    /// Reads an order with its timeline.
    pub async fn order(&self, id: &str) -> Outcome {
        self.execute(ORDER, json!({ "id": id }), "order").await
    }

    /// POSTs an operation and takes `field` out of the answer.
    pub async fn execute(&self, query: &str, variables: Value, field: &str) -> Outcome {
        let mut outcome = Outcome::NotNow("there is no address".to_owned());
        for replica in &self.api {
            outcome = match timeout(self.patience, replica.post(query, variables.clone())).await {
                Ok(Ok(answer)) => judge(&answer, field),
                Ok(Err(error)) if is_refused(&error) => {
                    outcome = Outcome::NotNow(format!("{error:#}"));
                    continue;
                }
                Ok(Err(error)) => Outcome::Unknown(format!("{error:#}")),
                Err(late) => Outcome::Unknown(late.to_string()),
            };
            break;
        }
        outcome
    }

    /// Subscribes to an order's updates.
    pub async fn watch(&self, id: &str, after: After) -> Result<SseStream> {
        let (version, event) = match after {
            After::Version(version) => (Some(version), None),
            After::EventId(version) => (Some(0), Some(version.to_string())),
            After::Now => (None, None),
        };
        let variables = json!({ "id": id, "after": version });
        for replica in &self.notifier {
            let stream = replica.subscribe(WATCH, variables.clone(), event.as_deref());
            match timeout(self.patience, stream)
                .await
                .context("no answer to a subscription")?
            {
                Err(error) if is_refused(&error) => {}
                answered => return answered,
            }
        }
        bail!("no notifier listens")
    }

    /// Subscribes to an order's updates after a version over a WebSocket to the first notifier.
    pub async fn watch_by_socket(&self, id: &str, version: u32) -> Result<WebSocketClient> {
        let notifier = self.notifier.first().context("there is no address")?;
        let open = async {
            let mut socket = notifier.websocket().await?;
            let variables = json!({ "id": id, "after": version });
            socket.subscribe("watch", WATCH, variables).await?;
            Ok(socket)
        };
        timeout(self.patience, open)
            .await
            .context("no answer to a subscription")?
    }
}

/// The id in an answer.
pub fn id(order: &Value) -> &str {
    order["id"].as_str().unwrap_or_default()
}

fn is_refused(error: &anyhow::Error) -> bool {
    let reasons = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<reqwest::Error>());
    reasons.into_iter().any(reqwest::Error::is_connect)
}

/// What an execution result says about `field`.
pub(crate) fn judge(answer: &Value, field: &str) -> Outcome {
    if let Some(error) = answer.pointer("/errors/0") {
        let code = error.pointer("/extensions/code").and_then(Value::as_str);
        return match code {
            Some(code) if AGAIN.contains(&code) => Outcome::NotNow(error.to_string()),
            Some(code) if UNKNOWN.contains(&code) => Outcome::Unknown(error.to_string()),
            Some(code) => Outcome::Refused(code.to_owned()),
            None => Outcome::Refused(error.to_string()),
        };
    }
    match answer.pointer("/data").and_then(|data| data.get(field)) {
        Some(value) => Outcome::Done(value.clone()),
        None => Outcome::Refused(answer.to_string()),
    }
}
