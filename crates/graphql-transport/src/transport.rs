//! What all transports of a service share, and their routers.

use std::{sync::Arc, time::Duration};

use axum::Router;
use http::{HeaderMap, HeaderValue, Method};
use prometheus_client::registry::Registry;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer, ExposeHeaders};

use crate::{
    engine::Engine,
    error::{Code, Refusal},
    http::router,
    metrics::Metrics,
    session::{Authenticate, Session},
    settings::{Origins, Settings},
    sse,
    subscribe::Subscribe,
    ws,
};

/// A service's transports. Cheap to clone.
#[derive(Clone)]
pub struct Transport(Arc<Inner>);

struct Inner {
    engine: Engine,
    authenticate: Arc<dyn Authenticate>,
    metrics: Metrics,
    connections: Arc<Semaphore>,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Transport {
    /// Transports over this engine. When `stop` is cancelled, open streams are closed over
    /// [`StreamSettings::drain`](crate::StreamSettings::drain), those included that still come over a connection which
    /// was there; `tracker` waits for them.
    pub fn new(
        engine: Engine,
        authenticate: Arc<dyn Authenticate>,
        tracker: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let connections = Arc::new(Semaphore::new(engine.settings().streams.connections));
        Self(Arc::new(Inner {
            engine,
            authenticate,
            metrics: Metrics::new(),
            connections,
            tracker,
            stop,
        }))
    }

    /// Adds the metrics of transports and engine, named `graphql_…` behind the registry's prefix; services that share
    /// a process have a prefix each.
    pub fn register(&self, registry: &mut Registry) {
        self.0.metrics.register(registry);
        self.0.engine.register(registry);
    }

    /// Queries and mutations: POST and GET at `/graphql`.
    pub fn http(&self) -> Router {
        router(self.clone())
    }

    /// Subscriptions over graphql-transport-ws at `/graphql/ws`.
    pub fn ws(&self, subscriptions: Arc<dyn Subscribe>) -> Router {
        ws::router(self.clone(), subscriptions)
    }

    /// Subscriptions over graphql-sse's distinct connections: POST and GET at `/graphql/stream`.
    pub fn sse(&self, subscriptions: Arc<dyn Subscribe>) -> Router {
        sse::router(self.clone(), subscriptions)
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(crate) fn settings(&self) -> &Settings {
        self.0.engine.settings()
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// A place among the connections that stay open.
    pub(crate) fn admit(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.0.connections).try_acquire_owned().map_err(|_| {
            Refusal::new(Code::Overloaded, "Too many connections are open.")
                .retry_after(Duration::from_secs(5))
        })
    }

    pub(crate) fn tracker(&self) -> &TaskTracker {
        &self.0.tracker
    }

    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// Waits until every stream is to be closed, whatever its client does.
    pub(crate) async fn drained(&self) {
        self.stop().cancelled().await;
        sleep(self.settings().streams.drain).await;
    }

    pub(crate) async fn authenticate(&self, headers: &HeaderMap) -> Result<Session, Refusal> {
        self.0.authenticate.authenticate(headers).await
    }

    /// Every header may be sent and read: nothing here depends on a browser's own credentials.
    pub(crate) fn cors(&self) -> CorsLayer {
        let origins = match &self.settings().origins {
            Origins::Any => AllowOrigin::any(),
            Origins::Only(known) => AllowOrigin::list(
                known
                    .iter()
                    .filter_map(|origin| HeaderValue::from_str(origin).ok()),
            ),
        };
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::GET, Method::POST])
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(ExposeHeaders::any())
            .max_age(Duration::from_hours(24))
    }
}
