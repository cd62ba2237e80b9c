//! GraphQL over HTTP, after the specification of that name: POST for everything, GET for queries.

mod accept;
mod receive;
mod respond;

use std::{
    future::{Ready, ready},
    panic::AssertUnwindSafe,
    time::Instant,
};

use async_graphql::{Response as Executed, parser::types::OperationType};
use axum::{
    Router,
    extract::{Request, State},
    response::Response,
    routing::any,
};
use futures::FutureExt;
use http::{HeaderValue, Method, StatusCode};
use tiffin_trace::Span;

pub(crate) use receive::receive;
pub(crate) use respond::Rejection;

use crate::{
    documents::Prepared,
    error::{Code, Refusal},
    reply,
    session::Session,
    transport::Transport,
};
use accept::{Media, negotiate};

const TRANSPORT: &str = "http";
const PATH: &str = "/graphql";

pub(crate) fn router(transport: Transport) -> Router {
    transport.metrics().begin(TRANSPORT);
    let cors = transport.cors();
    Router::new()
        .route(PATH, any(handle))
        .layer(cors)
        .with_state(transport)
}

async fn handle(State(transport): State<Transport>, request: Request) -> Response {
    let errors = transport.settings().limits.errors;
    let Some(media) = negotiate(request.headers()) else {
        let hint = "Accept application/graphql-response+json or application/json.";
        let refusal = Refusal::bad_input("No acceptable media type.").hint(hint);
        let rejection = Rejection::new(StatusCode::NOT_ACCEPTABLE, refusal);
        transport.metrics().request(TRANSPORT, rejection.code().as_str());
        return rejection.into_response(Media::Json.content_type(), errors);
    };
    let mut span = Span::default();
    let begun = Instant::now();
    let answer = answer(&transport, request, &mut span).await;
    transport.metrics().answered(TRANSPORT, begun.elapsed());
    let response = match answer {
        Ok(result) => {
            let code = result
                .errors
                .first()
                .map(|error| reply::code(error).unwrap_or(Code::Internal.as_str()));
            tell(&transport, &span, code);
            respond::executed(result, media, errors)
        }
        Err(rejection) => {
            tell(&transport, &span, Some(rejection.code().as_str()));
            rejection.into_response(media.content_type(), errors)
        }
    };
    span.set_number("http.response.status_code", response.status().as_u16());
    response
}

/// Counts a request, and says how it ended; it failed only where that is not the client's fault.
fn tell(transport: &Transport, span: &Span, code: Option<&str>) {
    transport.metrics().request(TRANSPORT, code.unwrap_or("OK"));
    let Some(code) = code else { return };
    let ours = Code::named(code).is_some_and(|known| known.status().is_server_error());
    if ours {
        span.fail(code);
    } else {
        span.set("error.type", code);
    }
}

/// Answers a request, and says which span it is as soon as that is known.
async fn answer(transport: &Transport, request: Request, span: &mut Span) -> Result<Executed, Rejection> {
    let session = transport.authenticate(request.headers()).await?;
    let method = request.method().clone();
    *span = session.span().clone();
    span.rename(format_args!("{method} {PATH}"));
    span.set("http.request.method", &method);
    span.set("http.route", PATH);
    span.set("url.path", PATH);
    let request = receive(request, transport.settings()).await?;
    let executing = async {
        let operation = match transport.engine().prepare(request).await {
            Ok(operation) => operation,
            Err(errors) => return Ok(Executed::from_errors(errors)),
        };
        execute(transport, &method, operation, &session).await
    };
    let executing = AssertUnwindSafe(executing).catch_unwind();
    match tokio::time::timeout(transport.settings().request_timeout, executing).await {
        Ok(Ok(result)) => result,
        // The panic's own message is in the log already.
        Ok(Err(_)) => Err(Refusal::new(Code::Internal, "Something went wrong on our side.").into()),
        Err(_) => Err(Refusal::new(Code::Timeout, "The answer took too long.").into()),
    }
}

async fn execute(
    transport: &Transport,
    method: &Method,
    operation: Prepared,
    session: &Session,
) -> Result<Executed, Rejection> {
    session.span().set("graphql.operation.type", operation.kind());
    match operation.kind() {
        OperationType::Query => {}
        OperationType::Mutation if *method == Method::POST => {}
        OperationType::Mutation => return Err(Rejection::method("POST", "Send mutations by POST.")),
        OperationType::Subscription => {
            let refusal = Refusal::bad_input("This address does not answer subscriptions.")
                .hint("Subscribe over WebSocket at /graphql/ws or by server-sent events at /graphql/stream.");
            return Ok(Executed::from_errors(refusal.into()));
        }
    }
    Ok(transport.engine().execute(operation, session).await)
}

/// Answers at addresses that are nobody's, as a router's fallback; `hint` says what is at others.
pub fn nothing_here(hint: &'static str) -> impl Fn() -> Ready<Response> + Clone {
    move || {
        let refusal = Refusal::new(Code::NotFound, "There is nothing at this address.").hint(hint);
        ready(Rejection::from(refusal).into_response(json_type(), 1))
    }
}

/// The type of refusals where the client has no choice.
pub(crate) fn json_type() -> HeaderValue {
    Media::Json.content_type()
}
