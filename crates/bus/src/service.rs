//! Serving requests as an ADR-32 service, so that `nats micro` lists, describes and measures it.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_nats::service::{self, Service, ServiceExt, endpoint};
use bytes::Bytes;
use futures::{FutureExt, StreamExt, future::BoxFuture, future::join_all};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use crate::{backoff::Backoff, bus::Bus, message::Headers};

/// Requests of one endpoint that are worked on at a time.
const CONCURRENCY: usize = 256;
/// Requests that wait for that, and for how long they may, since whoever asked has given up soon after.
const WAITING: usize = 1_024;
const TURN: Duration = Duration::from_secs(2);
/// How long a stopping service works on what it has received.
const DRAIN: Duration = Duration::from_secs(5);

/// A request received.
#[derive(Clone, Debug)]
pub struct ServiceRequest {
    /// The subject it was sent to.
    pub subject: String,
    /// Its headers.
    pub headers: Headers,
    /// Its payload.
    pub payload: Bytes,
}

/// A request that could not be carried out: `Nats-Service-Error` and its code in the answer's headers.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message} ({code})")]
pub struct ServiceError {
    /// An HTTP-like code.
    pub code: u16,
    /// For the one who asks.
    pub message: String,
}

type Handler = Arc<dyn Fn(ServiceRequest) -> BoxFuture<'static, Result<Bytes, ServiceError>> + Send + Sync>;

/// A subject that a service answers.
#[derive(Clone)]
pub struct Endpoint {
    name: &'static str,
    subject: &'static str,
    handler: Handler,
}

impl Endpoint {
    /// The endpoint `name`, at `subject`, answered by `handler`; of several replicas one gets the request.
    pub fn new<H, F>(name: &'static str, subject: &'static str, handler: H) -> Endpoint
    where
        H: Fn(ServiceRequest) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Bytes, ServiceError>> + Send + 'static,
    {
        Endpoint {
            name,
            subject,
            handler: Arc::new(move |request| handler(request).boxed()),
        }
    }
}

/// A service and its endpoints.
#[derive(Clone)]
pub struct ServiceSpec {
    /// Its name in `nats micro ls`.
    pub name: &'static str,
    /// Its version: three numbers.
    pub version: &'static str,
    /// What it is.
    pub description: &'static str,
    /// What it answers.
    pub endpoints: Vec<Endpoint>,
}

/// Serves from the first time that NATS is there, over reconnects, until `token` is cancelled; then answers what it
/// has received.
pub async fn serve(bus: Bus, spec: ServiceSpec, token: CancellationToken) {
    let mut backoff = Backoff::default();
    let started = async {
        loop {
            bus.consuming().connected().await;
            match start(&bus, &spec).await {
                Ok(started) => return started,
                Err(error) => warn!(service = spec.name, %error, "the service could not be registered"),
            }
            backoff.wait().await;
        }
    };
    let Some((service, endpoints)) = token.run_until_cancelled(started).await else {
        return;
    };
    let mut answering = std::pin::pin!(join_all(endpoints));
    tokio::select! {
        _ = &mut answering => {}
        () = token.cancelled() => {
            service.stop().await.ok();
            if timeout(DRAIN, answering).await.is_err() {
                warn!(service = spec.name, "requests were left unanswered");
            }
            // The answers are on their way before the process may end.
            timeout(DRAIN, bus.consuming().client.flush()).await.ok();
        }
    }
}

async fn start<'a>(
    bus: &Bus,
    spec: &'a ServiceSpec,
) -> Result<(Service, Vec<BoxFuture<'a, ()>>), async_nats::Error> {
    let builder = bus
        .consuming()
        .client
        .service_builder()
        .description(spec.description);
    let service = builder.start(spec.name, spec.version).await?;
    let mut endpoints = Vec::new();
    for endpoint in &spec.endpoints {
        let requests = service
            .endpoint_builder()
            .name(endpoint.name)
            .add(endpoint.subject)
            .await?;
        endpoints.push(answer(requests, &endpoint.handler).boxed());
    }
    Ok((service, endpoints))
}

/// A panic is the failure of the one request that met it.
async fn guarded(
    subject: String,
    handling: BoxFuture<'_, Result<Bytes, ServiceError>>,
) -> Result<Bytes, ServiceError> {
    AssertUnwindSafe(handling)
        .catch_unwind()
        .await
        .unwrap_or_else(|_| {
            error!(subject, "a request could not be handled");
            Err(ServiceError {
                code: 500,
                message: "the request could not be handled".to_owned(),
            })
        })
}

/// Where the requests of one endpoint wait until they are worked on.
struct Turns {
    working: Semaphore,
    waiting: Semaphore,
}

impl Turns {
    fn new() -> Self {
        Self {
            working: Semaphore::new(CONCURRENCY),
            waiting: Semaphore::new(WAITING),
        }
    }

    /// Lets a request be worked on as long as the permit lives; none if too many wait, or if it would have to for too long.
    async fn take(&self) -> Option<SemaphorePermit<'_>> {
        if let Ok(permit) = self.working.try_acquire() {
            return Some(permit);
        }
        let _place = self.waiting.try_acquire().ok()?;
        timeout(TURN, self.working.acquire()).await.ok()?.ok()
    }
}

async fn answer(requests: endpoint::Endpoint, handler: &Handler) {
    let turns = &Turns::new();
    requests
        .for_each_concurrent(None, |request| async move {
            let received = ServiceRequest {
                subject: request.message.subject.to_string(),
                headers: request.message.headers.clone().into(),
                payload: request.message.payload.clone(),
            };
            let answer = match turns.take().await {
                Some(_turn) => guarded(received.subject.clone(), handler(received)).await,
                None => Err(ServiceError {
                    code: 503,
                    message: "too many requests wait; send the same one again in a moment".to_owned(),
                }),
            };
            let answer = answer.map_err(|error| service::error::Error {
                code: error.code.into(),
                status: error.message,
            });
            if let Err(error) = request.respond(answer).await {
                debug!(%error, "an answer could not be sent");
            }
        })
        .await;
}
