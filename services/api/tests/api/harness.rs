//! The service in this process, on a data folder of its own.

use std::{any::Any, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode, header::CONTENT_TYPE},
};
use bytes::Bytes;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tempfile::TempDir;
use tiffin_api::{Config, Dependencies};
use tiffin_bus::Bus;
use tiffin_eventstore::{Append, DatabaseUrl, EventStore, Expected, NewEvent, Position, Revision, Urgency};
use tiffin_order::{Input, Order, OrderId, Status, Workflow, decide};
use tiffin_proto::Context;
use tiffin_runtime::{Keys, Lifecycle, Secret};
use tiffin_testkit::Postgres;
use tiffin_trace::Tracer;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use uuid::Uuid;

/// The API key of the customers `web`.
pub(crate) const WEB: &str = "da2-web";
/// The API key of the customers `app`.
pub(crate) const APP: &str = "da2-app";
/// The API key of the operator.
pub(crate) const OPERATOR: &str = "da2-operator";
/// The API key of the kitchen.
pub(crate) const KITCHEN: &str = "da2-kitchen";

/// Nobody listens there.
pub(crate) const NO_NATS: &str = "nats://127.0.0.1:1";

/// All of an order, as a selection set.
pub(crate) const ORDER: &str = "{ id status version reason createdAt updatedAt products { name quantity } \
                         timeline { version status at actor reason note } }";

/// A running service.
pub(crate) struct Api {
    pub(crate) store: EventStore,
    router: Router,
    registry: Registry,
    lifecycle: Lifecycle,
    url: DatabaseUrl,
    /// What the database is in, if it is this service's alone.
    data: Option<Box<dyn Any + Send + Sync>>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl Api {
    pub(crate) async fn start() -> Self {
        Self::start_with(Config::default(), NO_NATS).await
    }

    pub(crate) async fn start_with(config: Config, nats: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let url = DatabaseUrl::Sqlite(folder.path().to_owned());
        Self {
            data: Some(Box::new(folder)),
            ..Self::start_on(url, config, nats).await
        }
    }

    /// One on each database.
    pub(crate) async fn start_on_both() -> [Self; 2] {
        let database = Postgres::shared().await.database().await;
        let url = database.url.parse().unwrap();
        let postgres = Self {
            data: Some(Box::new(database)),
            ..Self::start_on(url, Config::default(), NO_NATS).await
        };
        [Self::start().await, postgres]
    }

    /// On a database that may be others' too.
    pub(crate) async fn start_on(url: DatabaseUrl, config: Config, nats: &str) -> Self {
        EventStore::migrate(&url).await.unwrap();
        tiffin_api::migrate(&url).await.unwrap();
        let opening = tiffin_eventstore::Config::new(url.clone());
        let store = EventStore::open(opening).await.unwrap();
        let lifecycle = Lifecycle::new(Duration::from_secs(5));
        let nats = tiffin_bus::Config {
            url: nats.to_owned(),
            name: "api".to_owned(),
            ca: None,
        };
        let bus = Bus::connect(nats, &TaskTracker::new(), lifecycle.hard.clone())
            .await
            .unwrap();
        let keys = [
            (WEB, "web customer"),
            (APP, "app customer"),
            (OPERATOR, "operator operator"),
            (KITCHEN, "kitchen kitchen"),
        ];
        let keys = keys.map(|(key, principal)| (Secret::new(key), principal.parse().unwrap()));
        let deps = Dependencies {
            store: store.clone(),
            bus,
            keys: Keys::load(None, keys).unwrap(),
            tracer: Tracer::silent(1.0),
        };
        let mut registry = Registry::default();
        let router = tiffin_api::start(deps, config, &lifecycle, &mut registry)
            .await
            .unwrap();
        Self {
            store,
            router,
            registry,
            lifecycle,
            url,
            data: None,
        }
    }

    /// Stops it and starts another one on the same data.
    pub(crate) async fn restart(self) -> Self {
        self.restart_with(Config::default()).await
    }

    /// The same, with other settings.
    pub(crate) async fn restart_with(self, config: Config) -> Self {
        let Self {
            store,
            router,
            registry,
            lifecycle,
            url,
            data,
        } = self;
        drop((router, registry));
        lifecycle.soft.cancel();
        lifecycle.finished().await;
        store.close().await;
        drop(store);
        Self {
            data,
            ..Self::start_on(url, config, NO_NATS).await
        }
    }

    /// Stops it, as SIGTERM does.
    pub(crate) async fn stop(self) {
        self.lifecycle.soft.cancel();
        self.lifecycle.finished().await;
        self.store.close().await;
    }

    /// Tells it to stop, and does not wait for that.
    pub(crate) fn begin_to_stop(&self) {
        self.lifecycle.soft.cancel();
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        Reply {
            status: head.status,
            headers: head.headers,
            bytes,
        }
    }

    /// Sends a body as JSON to `/graphql`.
    pub(crate) async fn post(&self, key: &str, body: impl Into<Body>) -> Reply {
        let request = Request::builder()
            .method(Method::POST)
            .uri("/graphql")
            .header("x-api-key", key);
        self.send(
            request
                .header(CONTENT_TYPE, "application/json")
                .body(body.into())
                .unwrap(),
        )
        .await
    }

    /// Sends a document with variables.
    pub(crate) async fn graphql(&self, key: &str, query: &str, variables: Value) -> Reply {
        self.post(key, json!({ "query": query, "variables": variables }).to_string())
            .await
    }

    /// Places an order of this input.
    pub(crate) async fn create(&self, key: &str, input: Value) -> Reply {
        let query = format!("mutation($input: CreateOrderInput!) {{ createOrder(input: $input) {ORDER} }}");
        self.graphql(key, &query, json!({ "input": input })).await
    }

    /// Places some order of the customers `web`, and returns its id.
    pub(crate) async fn some_order(&self) -> String {
        let reply = self
            .create(WEB, json!({ "products": [{ "name": "Dal", "quantity": 2 }] }))
            .await;
        reply.json()["data"]["createOrder"]["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Asks the operator's question for a list: its arguments, and what to select of it.
    pub(crate) async fn list(&self, arguments: &str, selection: &str) -> Value {
        let query = format!("{{ orders{arguments} {{ {selection} }} }}");
        let reply = self.graphql(OPERATOR, &query, json!({})).await.json();
        assert_eq!(reply["errors"], Value::Null, "{query}");
        reply["data"]["orders"].clone()
    }

    pub(crate) async fn order(&self, key: &str, id: &str) -> Reply {
        let query = format!("query($id: ID!) {{ order(id: $id) {ORDER} }}");
        self.graphql(key, &query, json!({ "id": id })).await
    }

    pub(crate) async fn cancel(&self, key: &str, id: &str, note: Option<&str>) -> Reply {
        let query = format!("mutation($input: CancelOrderInput!) {{ cancelOrder(input: $input) {ORDER} }}");
        self.graphql(key, &query, json!({ "input": { "id": id, "note": note } }))
            .await
    }

    /// What `/metrics` answers.
    pub(crate) fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }

    /// The position of the log's last event.
    pub(crate) async fn head(&self) -> Position {
        self.store.head().await.unwrap().position
    }

    /// Carries an order on as `orders` does, until it has this status.
    pub(crate) async fn carry_on(&self, id: &str, until: Status) {
        let workflow = Workflow::parse(include_str!("../../../../saga.toml")).unwrap();
        while self.fold(id).await.1.status() != Some(until) {
            let input = match self.fold(id).await.1 {
                Order::Placed(_) => Input::Start,
                _ => Input::Wake,
            };
            self.decide(id, input, &workflow).await;
        }
    }

    /// Appends what follows from this input after everything is due.
    pub(crate) async fn decide(&self, id: &str, input: Input, workflow: &Workflow) {
        let (revision, order) = self.fold(id).await;
        let id = OrderId::parse(id).unwrap();
        let later = self.store.now() + Duration::from_hours(1);
        for new in decide(&order, input, workflow, later).unwrap() {
            let event = tiffin_proto::encode(id, &order, &new, &Context::default());
            let event = NewEvent {
                id: Uuid::now_v7(),
                kind: event.kind.into(),
                data: event.data,
                metadata: event.metadata,
            };
            let append = Append {
                stream: id.stream().into(),
                expected: Expected::Exact(revision),
                events: vec![event],
                urgency: Urgency::Continue,
            };
            self.store.append(append).await.unwrap();
        }
    }

    async fn fold(&self, id: &str) -> (Revision, Order) {
        let stream = OrderId::parse(id).unwrap().stream();
        let events = self.store.read_streams(&[stream.into()]).await.unwrap().remove(0);
        let order = events.iter().fold(Order::Absent, |order, event| {
            tiffin_proto::apply(order, &event.kind, &event.data, &event.metadata, event.created_at).unwrap()
        });
        (events.last().unwrap().revision, order)
    }
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }

    /// The code of the only error.
    pub(crate) fn code(&self) -> String {
        self.error()["extensions"]["code"].as_str().unwrap().to_owned()
    }

    /// The only error.
    pub(crate) fn error(&self) -> Value {
        let json = self.json();
        let errors = json["errors"]
            .as_array()
            .unwrap_or_else(|| panic!("no error: {json}"));
        assert_eq!(errors.len(), 1, "{json}");
        errors[0].clone()
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}
