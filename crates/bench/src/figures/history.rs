//! A log of orders whose story was told before.

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use tiffin_eventstore::{Append, DatabaseUrl, Direction, EventStore, Expected, NewEvent, Position, Urgency};
use tiffin_order::{Input, Order, OrderId, Owner, Products, Workflow, decide, evolve};
use tiffin_proto::{Context, Encoded, encode, encode_workflow};
use tiffin_testkit::eventually;
use tiffin_tests::stack::{OPERATOR_KEY, workflow};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{OWNER, create::System};

/// How many appends wait for an answer at any time.
const IN_FLIGHT: usize = 1_024;

/// An order is six events, and one that is open waits for the kitchen for longer than any measurement takes.
const WAITS: [&str; 4] = ["30s", "48h", "30s", "30s"];
/// Later than any of these waits.
const LATER: time::Duration = time::Duration::days(365);
/// The events of an order that is open: placed, taken up, paid.
const OPEN: usize = 3;

/// How many orders there are, of each kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct History {
    /// Delivered.
    pub(super) finished: u64,
    /// Paid, and nothing more.
    pub(super) open: u64,
}

impl History {
    /// Writes it into a log that nobody else uses; the order that came last.
    async fn written(self, url: DatabaseUrl) -> Result<String> {
        let store = EventStore::open(tiffin_eventstore::Config::new(url)).await?;
        self.write(&store).await?;
        let newest = newest(&store).await?;
        store.close().await;
        Ok(newest)
    }

    /// Writes it.
    async fn write(self, store: &EventStore) -> Result<()> {
        let teller = Teller {
            workflow: Workflow::parse(&workflow(&WAITS))?,
            owner: Owner::parse(OWNER)?,
            products: Products::parse([("Dal", 2), ("Roti", 4)])?,
        };
        let workflow = new_event(encode_workflow(&teller.workflow));
        store
            .append(append(teller.workflow.id().stream(), vec![workflow]))
            .await?;
        // The open ones lie among the others, as evenly as they can.
        let all = self.finished + self.open;
        let appends = stream::iter(0..all).map(|number| {
            let open = (number + 1) * self.open / all > number * self.open / all;
            let append = teller.order(if open { OPEN } else { usize::MAX }, store.now());
            async { anyhow::Ok(store.append(append?).await?) }
        });
        let appends = appends.buffer_unordered(IN_FLIGHT);
        appends.try_for_each(|_| async { Ok(()) }).await
    }
}

/// How long services may take to catch up with a history.
const PATIENCE: Duration = Duration::from_mins(20);

impl System {
    /// Stops every service, writes this history into the log, and starts them again; returns when all that follows the log
    /// has caught up.
    pub(super) async fn fill(mut self, history: History) -> Result<Self> {
        self.kill();
        (self.open, self.new_after) = (history.open, None);
        let url = self.database_url().parse()?;
        let newest = history.written(url).await?;
        let mut system = self.start_again();
        for service in system.services() {
            service.ready().await;
        }
        let client = reqwest::Client::new();
        let shown = async || {
            let page = system
                .query(&client, "{ orders(first: 1) { nodes { id } } }")
                .await
                .ok()?;
            page["orders"]["nodes"][0]["id"].as_str().map(str::to_owned)
        };
        eventually!(within PATIENCE, shown().await, |shown| shown.as_ref() == Some(&newest));
        system.settled().await;
        system.new_after = Some(system.placed().await?);
        Ok(system)
    }

    /// What an operator is answered.
    pub(super) async fn query(&self, client: &reqwest::Client, query: &str) -> Result<Value> {
        let request = client
            .post(format!("http://{}/graphql", self.client.address))
            .header("x-api-key", OPERATOR_KEY)
            .header("content-type", "application/json")
            .body(json!({ "query": query }).to_string());
        let answer = request.send().await?.text().await?;
        let mut answer: Value = serde_json::from_str(&answer)?;
        let data = answer.get_mut("data").map(Value::take);
        data.with_context(|| format!("no data: {answer}"))
    }
}

/// The order that came last.
async fn newest(store: &EventStore) -> Result<String> {
    let before = Position(store.head().await?.position.0.saturating_sub(1));
    let last = store.read_all(before, Direction::Forwards, 1).await?;
    let stream = last.first().context("a log with events")?.stream.clone();
    let order = stream.as_str().strip_prefix("order-");
    Ok(order.context("an order")?.to_owned())
}

struct Teller {
    workflow: Workflow,
    owner: Owner,
    products: Products,
}

impl Teller {
    /// An order's first events; all, if there are not so many.
    fn order(&self, events: usize, now: OffsetDateTime) -> Result<Append> {
        let id = OrderId::new(Uuid::now_v7());
        let (mut order, mut told) = (Order::Absent, Vec::new());
        let mut input = Input::Create {
            owner: self.owner.clone(),
            products: self.products.clone(),
        };
        while told.len() < events {
            let facts = decide(&order, input, &self.workflow, now + LATER)?;
            let Some(fact) = facts.first() else { break };
            told.push(new_event(encode(id, &order, fact, &Context::default())));
            order = evolve(order, &fact.fact, now);
            input = if told.len() == 1 {
                Input::Start
            } else {
                Input::Wake
            };
        }
        Ok(append(id.stream(), told))
    }
}

fn append(stream: String, events: Vec<NewEvent>) -> Append {
    Append {
        stream: stream.into(),
        expected: Expected::NoStream,
        events,
        urgency: Urgency::Start,
    }
}

fn new_event(encoded: Encoded) -> NewEvent {
    NewEvent {
        id: Uuid::now_v7(),
        kind: encoded.kind.into(),
        data: encoded.data,
        metadata: encoded.metadata,
    }
}
