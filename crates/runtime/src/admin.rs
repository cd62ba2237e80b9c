//! The port for whoever runs the program: is it alive, is it ready, what does it measure.

use std::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::{encoding::text::encode, registry::Registry};
use serde_json::{Map, Value, json};
use tokio::{net::TcpListener, time::timeout};

use crate::{Error, Lifecycle, http::bind};

/// How long one check may take.
const PATIENCE: Duration = Duration::from_secs(2);

type Checking = Pin<Box<dyn Future<Output = Result<String, String>> + Send>>;

/// Something that the program depends on.
struct Check {
    name: &'static str,
    needed: bool,
    run: Box<dyn Fn() -> Checking + Send + Sync>,
}

/// What `/readyz` looks at; a check answers with a word on its state.
#[derive(Default)]
pub struct Readiness {
    checks: Vec<Check>,
}

impl Readiness {
    /// Adds a check without which the program is not ready.
    #[must_use]
    pub fn needs<F, Fut>(self, name: &'static str, run: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, String>> + Send + 'static,
    {
        self.with(name, true, run)
    }

    /// Adds a check that is only reported.
    #[must_use]
    pub fn reports<F, Fut>(self, name: &'static str, run: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, String>> + Send + 'static,
    {
        self.with(name, false, run)
    }

    fn with<F, Fut>(mut self, name: &'static str, needed: bool, run: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, String>> + Send + 'static,
    {
        self.checks.push(Check {
            name,
            needed,
            run: Box::new(move || Box::pin(run())),
        });
        self
    }

    async fn report(&self) -> (bool, Map<String, Value>) {
        let running = self.checks.iter().map(|check| timeout(PATIENCE, (check.run)()));
        let results = futures::future::join_all(running).await;
        let mut ready = true;
        let mut report = Map::new();
        for (check, result) in self.checks.iter().zip(results) {
            let result = result.unwrap_or_else(|_late| Err("no answer".to_owned()));
            ready &= result.is_ok() || !check.needed;
            let (Ok(state) | Err(state)) = &result;
            report.insert(
                check.name.to_owned(),
                json!({ "ok": result.is_ok(), "state": state }),
            );
        }
        (ready, report)
    }
}

/// The admin server: `/livez` as soon as it listens, `/readyz` and `/metrics` with their content once they are given.
#[derive(Clone)]
pub struct Admin {
    shared: Arc<Shared>,
    address: SocketAddr,
}

struct Shared {
    lifecycle: Lifecycle,
    given: OnceLock<(Registry, Readiness)>,
}

impl Admin {
    /// Listens, and answers until the process is gone.
    pub fn start(address: SocketAddr, lifecycle: &Lifecycle) -> Result<Self, Error> {
        let listener = bind(address, "TIFFIN_ADMIN_LISTEN")?;
        let address = listener.local_addr().unwrap_or(address);
        let shared = Arc::new(Shared {
            lifecycle: lifecycle.clone(),
            given: OnceLock::new(),
        });
        // Not a task of the tracker: it answers while the others stop.
        tokio::spawn(answer(listener, Arc::clone(&shared)));
        Ok(Self { shared, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Shows the metrics and begins to look at what the program depends on. Only the first call counts.
    pub fn serve(&self, registry: Registry, readiness: Readiness) {
        if self.shared.given.set((registry, readiness)).is_ok() {
            tracing::info!(address = %self.address, "health and metrics are served");
        }
    }
}

async fn answer(listener: TcpListener, shared: Arc<Shared>) {
    let router = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(shared);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "the admin server ended");
    }
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let not_now = |why: &str| {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({ "ready": false, "why": why })),
        )
            .into_response()
    };
    if shared.lifecycle.soft.is_cancelled() {
        return not_now("stopping");
    }
    let Some((_, readiness)) = shared.given.get() else {
        return not_now("starting");
    };
    let (ready, report) = readiness.report().await;
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(json!({ "ready": ready, "checks": report }))).into_response()
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let mut text = String::new();
    let result = match shared.given.get() {
        Some((registry, _)) => encode(&mut text, registry),
        None => encode(&mut text, &Registry::default()),
    };
    match result {
        Ok(()) => (
            [(
                CONTENT_TYPE,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Err(_unencodable) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn get(admin: &Admin, path: &str) -> (u16, String) {
        let mut stream = tokio::net::TcpStream::connect(admin.address()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer[9..12].parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    fn admin() -> (Admin, Lifecycle) {
        let lifecycle = Lifecycle::new(Duration::from_secs(1));
        (
            Admin::start(([127, 0, 0, 1], 0).into(), &lifecycle).unwrap(),
            lifecycle,
        )
    }

    #[tokio::test]
    async fn it_is_alive_at_once_and_ready_by_what_it_needs_alone() {
        let (admin, lifecycle) = admin();
        assert_eq!(get(&admin, "/livez").await, (200, "ok\n".to_owned()));
        assert_eq!(get(&admin, "/readyz").await.0, 503);
        let readiness = Readiness::default()
            .needs("database", async || Ok("open".to_owned()))
            .reports("nats", async || Err("disconnected".to_owned()));
        admin.serve(Registry::default(), readiness);
        let (status, body) = get(&admin, "/readyz").await;
        assert_eq!(status, 200);
        let expected = json!({ "ready": true, "checks": {
            "database": { "ok": true, "state": "open" }, "nats": { "ok": false, "state": "disconnected" } } });
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);
        lifecycle.soft.cancel();
        assert_eq!(get(&admin, "/readyz").await.0, 503);
    }

    #[tokio::test]
    async fn it_is_not_ready_without_what_it_needs() {
        let (admin, _lifecycle) = admin();
        admin.serve(
            Registry::default(),
            Readiness::default().needs("database", async || Err("away".to_owned())),
        );
        assert_eq!(get(&admin, "/readyz").await.0, 503);
    }

    #[tokio::test]
    async fn metrics_are_openmetrics_text() {
        let (admin, _lifecycle) = admin();
        let mut registry = Registry::default();
        let counter: Counter = Counter::default();
        registry.register("tiffin_things", "Things seen", counter.clone());
        counter.inc();
        admin.serve(registry, Readiness::default());
        let (status, body) = get(&admin, "/metrics").await;
        assert_eq!(status, 200);
        assert_eq!(
            body,
            "# HELP tiffin_things Things seen.\n# TYPE tiffin_things counter\ntiffin_things_total 1\n# EOF\n"
        );
    }

    #[tokio::test]
    async fn a_port_in_use_is_one_clear_line() {
        let (first, lifecycle) = admin();
        let error = Admin::start(first.address(), &lifecycle).err().unwrap();
        let expected = format!(
            "cannot listen on {} (TIFFIN_ADMIN_LISTEN): the port is in use by another program",
            first.address()
        );
        assert_eq!(error.to_string(), expected);
    }
}
