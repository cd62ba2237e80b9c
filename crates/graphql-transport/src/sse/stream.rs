//! One subscription, one response.

use std::{convert::Infallible, sync::Arc};

use async_graphql::ServerError;
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
    routing::any,
};
use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, mpsc::error::SendTimeoutError},
    time::{Instant, MissedTickBehavior, interval_at, sleep_until},
};
use tokio_stream::wrappers::ReceiverStream;

use super::{TRANSPORT, event};
use crate::{
    error::Refusal,
    http::{Rejection, json_type, receive},
    operation::begin,
    reply,
    request::GraphqlRequest,
    session::{self, Revoked, Session},
    settings::StreamSettings,
    subscribe::{Next, Outcome, Subscribe},
    transport::Transport,
};

/// Events written but not yet taken by the connection.
const BUFFERED: usize = 4;

type Shared = (Transport, Arc<dyn Subscribe>);

pub(crate) fn router(transport: Transport, subscriptions: Arc<dyn Subscribe>) -> Router {
    transport.metrics().begin_streams(TRANSPORT);
    let cors = transport.cors();
    Router::new()
        .route("/graphql/stream", any(open))
        .layer(cors)
        .with_state((transport, subscriptions))
}

async fn open(State((transport, subscriptions)): State<Shared>, request: Request) -> Response {
    match accept(&transport, request).await {
        Ok(accepted) => {
            let (sender, receiver) = mpsc::channel(BUFFERED);
            let tracker = transport.tracker().clone();
            tracker.spawn(Stream { transport, sender }.run(subscriptions, accepted));
            event_stream(ReceiverStream::new(receiver))
        }
        Err(rejection) => {
            transport.metrics().request(TRANSPORT, rejection.code().as_str());
            rejection.into_response(json_type(), transport.settings().limits.errors)
        }
    }
}

/// A request that is answered by a stream.
struct Accepted {
    request: GraphqlRequest,
    session: Session,
    resume: Option<String>,
    permit: OwnedSemaphorePermit,
}

async fn accept(transport: &Transport, request: Request) -> Result<Accepted, Rejection> {
    if !accepts_events(request.headers()) {
        let refusal = Refusal::bad_input("This address answers with server-sent events only.")
            .hint("Accept text/event-stream.");
        return Err(Rejection::new(StatusCode::NOT_ACCEPTABLE, refusal));
    }
    let permit = transport.admit()?;
    let session = transport.authenticate(request.headers()).await?;
    let resume = request
        .headers()
        .get("last-event-id")
        .and_then(|id| id.to_str().ok())
        .map(str::to_owned);
    let request = receive(request, transport.settings()).await?;
    Ok(Accepted {
        request,
        session,
        resume,
        permit,
    })
}

fn accepts_events(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(header::ACCEPT)
        .map_or(Ok("*/*"), HeaderValue::to_str)
        .unwrap_or_default();
    accept.split(',').any(|range| {
        let name = range.split(';').next().unwrap_or_default().trim();
        ["text/event-stream", "text/*", "*/*"]
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known))
    })
}

fn event_stream(events: ReceiverStream<Bytes>) -> Response {
    let mut response = Response::new(Body::from_stream(events.map(Ok::<_, Infallible>)));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream; charset=utf-8"),
    );
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-transform"),
    );
    // nginx would keep events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// The writing end of a stream.
struct Stream {
    transport: Transport,
    sender: mpsc::Sender<Bytes>,
}

/// The client is gone, or takes nothing.
struct Gone;

impl Stream {
    async fn run(self, subscriptions: Arc<dyn Subscribe>, accepted: Accepted) {
        let Accepted {
            request,
            session,
            resume,
            permit: _permit,
        } = accepted;
        let transport = &self.transport;
        let _connection = transport.metrics().connection(TRANSPORT);
        let _subscription = transport.metrics().subscription(TRANSPORT);
        let revoked = session.revoked();
        // In a box of its own, since what beginning needs would stay for as long as the operation runs.
        let beginning = async {
            let begun = begin(transport, TRANSPORT, &*subscriptions, request, session, resume).await;
            // A document that was refused gets its errors as the only result, as graphql-sse has it.
            begun.unwrap_or_else(|errors| stream::iter([Ok(self.errors(errors))]).boxed())
        };
        let results = stream::once(beginning.boxed()).flatten();
        // Whoever sees the stream end early has been told when to come back.
        let _: Result<(), Gone> = self.write(results, revoked).await;
    }

    fn errors(&self, errors: Vec<ServerError>) -> Next {
        let payload = reply::render_errors(errors, self.transport.settings().limits.errors);
        Next { payload, id: None }
    }

    /// Writes the results and their completion. After an error there is none, so that clients come back by themselves.
    async fn write(
        &self,
        results: impl futures::Stream<Item = Outcome>,
        mut revoked: Revoked,
    ) -> Result<(), Gone> {
        let StreamSettings {
            ping_interval, drain, ..
        } = self.transport.settings().streams;
        let mut results = std::pin::pin!(results);
        let mut pings = interval_at(Instant::now() + ping_interval, ping_interval);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut leave = std::pin::pin!(async {
            self.transport.stop().cancelled().await;
            sleep_until(Instant::now() + drain.mul_f64(rand::random())).await;
        });
        self.send(event::retry(rand::random_range(1_000..3_000))).await?;
        loop {
            let bytes = tokio::select! {
                next = results.next() => match next {
                    Some(Ok(next)) => event::next(&next),
                    Some(Err(errors)) => return self.send(event::next(&self.errors(errors))).await,
                    None => return self.send(event::complete()).await,
                },
                _ = pings.tick() => event::comment(),
                () = &mut leave => return Ok(()),
                Some(()) = &mut revoked => {
                    let errors = self.errors(session::revoked().into());
                    return self.send(event::next(&errors)).await;
                }
                () = self.sender.closed() => return Err(Gone),
            };
            self.send(bytes).await?;
        }
    }

    async fn send(&self, bytes: Bytes) -> Result<(), Gone> {
        let send_timeout = self.transport.settings().streams.send_timeout;
        let sent = tokio::select! {
            biased;
            sent = self.sender.send_timeout(bytes, send_timeout) => sent,
            () = self.transport.drained() => return Err(Gone),
        };
        sent.map_err(|error| {
            if let SendTimeoutError::Timeout(_) = error {
                self.transport.metrics().dropped(TRANSPORT);
            }
            Gone
        })
    }
}
