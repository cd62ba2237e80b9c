//! What the tests share: the example's schema behind every transport, and ways to ask it.

#[path = "../../examples/counter/schema.rs"]
pub(crate) mod schema;

use std::{sync::Arc, time::Duration};

use ::http::{HeaderMap, Request, Response, StatusCode};
use async_trait::async_trait;
use axum::{Router, body::Body};
use prometheus_client::{encoding::text::encode, registry::Registry};
use serde_json::Value;
use tiffin_graphql_transport::{
    ApiKeys, Authenticate, Engine, EngineSubscriptions, Refusal, Session, Settings, Subscribe, Transport,
    nothing_here,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

pub(crate) const JSON: &str = "application/json";
pub(crate) const RESPONSE_JSON: &str = "application/graphql-response+json";

/// Knows one key, `open`, until it is revoked; whoever sends none is a guest.
struct Keys(CancellationToken);

#[async_trait]
impl Authenticate for Keys {
    async fn authenticate(&self, headers: &HeaderMap) -> Result<Session, Refusal> {
        let session = |caller: &str| Session::new(schema::Caller(caller.to_owned()));
        if !headers.contains_key("x-api-key") {
            return Ok(session("guest"));
        }
        let owner = session("owner").until(self.0.clone());
        ApiKeys::new(move |key: &str, _: &HeaderMap| (key == "open").then(|| owner.clone()))
            .authenticate(headers)
            .await
    }
}

/// All transports, and the means to stop them.
pub(crate) struct Server {
    pub(crate) transport: Transport,
    pub(crate) router: Router,
    tracker: TaskTracker,
    pub(crate) stop: CancellationToken,
    /// Ends the sessions of the key `open`.
    pub(crate) revoked: CancellationToken,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let engine = Engine::new(schema::builder(), settings);
        let subscriptions = EngineSubscriptions::new(engine.clone());
        Self::over(engine, subscriptions)
    }

    /// The value of the first line of the metrics that begins so; 0 if there is none.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let (mut registry, mut text) = (Registry::default(), String::new());
        self.transport.register(&mut registry);
        encode(&mut text, &registry).expect("text");
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
        value.unwrap_or_default()
    }

    pub(crate) fn over(engine: Engine, subscriptions: Arc<dyn Subscribe>) -> Self {
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let revoked = CancellationToken::new();
        let keys = Arc::new(Keys(revoked.clone()));
        let transport = Transport::new(engine, keys, tracker.clone(), stop.clone());
        let streams = transport
            .ws(Arc::clone(&subscriptions))
            .merge(transport.sse(subscriptions));
        let router = transport
            .http()
            .merge(streams)
            .fallback(nothing_here("Look at /graphql."));
        Self {
            transport,
            router,
            tracker,
            stop,
            revoked,
        }
    }

    /// Listens on a free port.
    pub(crate) async fn listen(&self) -> std::net::SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let router = self.router.clone();
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    /// Waits until no connection is left that is open.
    pub(crate) async fn all_gone(&self) {
        self.tracker.close();
        tokio::time::timeout(Duration::from_secs(20), self.tracker.wait())
            .await
            .expect("every connection ends");
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router
            .clone()
            .oneshot(request)
            .await
            .expect("routers do not fail")
    }

    /// Posts a request and returns what came back.
    pub(crate) async fn post(&self, accept: &str, body: impl Into<Body>) -> Reply {
        let request = Request::post("/graphql")
            .header("content-type", JSON)
            .header("accept", accept);
        Reply::of(self.send(request.body(body.into()).expect("a request")).await).await
    }

    /// Posts a document without variables.
    pub(crate) async fn query(&self, document: &str) -> Reply {
        self.post(
            RESPONSE_JSON,
            serde_json::json!({ "query": document }).to_string(),
        )
        .await
    }
}

/// A whole response.
#[derive(Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) async fn of(response: Response<Body>) -> Self {
        let (head, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
        let text = String::from_utf8(body.to_vec()).expect("UTF-8");
        Self {
            status: head.status,
            headers: head.headers,
            text,
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    /// The first error's code.
    pub(crate) fn code(&self) -> String {
        self.json()["errors"][0]["extensions"]["code"]
            .as_str()
            .unwrap_or("OK")
            .to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("text"))
    }
}
