//! Makes HTTP responses of what came of a request.

use std::time::Duration;

use async_graphql::{Response as Executed, ServerError};
use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};

use super::accept::Media;
use crate::{
    engine::is_refusal,
    error::{Code, Refusal},
    reply,
};

/// A refusal from before there was a GraphQL request: it has a status whatever the client accepts.
#[derive(Debug)]
pub(crate) struct Rejection {
    status: StatusCode,
    allow: Option<&'static str>,
    refusal: Box<Refusal>,
}

impl Rejection {
    pub(crate) fn new(status: StatusCode, refusal: Refusal) -> Self {
        Self {
            status,
            allow: None,
            refusal: Box::new(refusal),
        }
    }

    /// The request's method is not one of those allowed.
    pub(crate) fn method(allow: &'static str, hint: &'static str) -> Self {
        let refusal = Refusal::bad_input("This method is not allowed here.").hint(hint);
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            allow: Some(allow),
            refusal: Box::new(refusal),
        }
    }

    pub(crate) fn code(&self) -> Code {
        self.refusal.code
    }

    pub(crate) fn into_response(self, content_type: HeaderValue, errors: usize) -> Response {
        let retry_after = self.refusal.retry_after;
        let body = reply::render_errors((*self.refusal).into(), errors);
        let mut response = respond(self.status, content_type, body);
        if let Some(wait) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds(wait));
        }
        if let Some(allow) = self.allow {
            response
                .headers_mut()
                .insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code.status(), refusal)
    }
}

/// The response to what was executed, or refused as a document.
pub(super) fn executed(mut result: Executed, media: Media, errors: usize) -> Response {
    let headers = std::mem::take(&mut result.http_headers);
    let retry_after = result.errors.iter().find_map(retry_after);
    let status = status(&result, media);
    let mut response = respond(status, media.content_type(), reply::render(result, errors));
    if let Some(wait) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds(wait));
    }
    for (name, value) in &headers {
        response.headers_mut().insert(name, value.clone());
    }
    response
}

/// Overload is told to every client by the status, since proxies and clients act on it; else JSON clients get 200. So is
/// that something is away, if the error says when to come again: whoever repeats by the status alone must not do twice
/// what may have been done.
fn status(result: &Executed, media: Media) -> StatusCode {
    let mut errors = result.errors.iter();
    if errors
        .any(|error| reply::code(error) == Some(Code::Unavailable.as_str()) && retry_after(error).is_some())
    {
        return Code::Unavailable.status();
    }
    let codes = || result.errors.iter().filter_map(reply::code);
    let always = [Code::Overloaded, Code::RateLimited, Code::Timeout];
    if let Some(code) = always
        .into_iter()
        .find(|code| codes().any(|it| it == code.as_str()))
    {
        return code.status();
    }
    match media {
        Media::GraphqlResponse if is_refusal(result) => {
            let known = [Code::Forbidden, Code::Internal];
            let first = known
                .into_iter()
                .find(|code| codes().next() == Some(code.as_str()));
            first.map_or(StatusCode::BAD_REQUEST, Code::status)
        }
        _ => StatusCode::OK,
    }
}

fn retry_after(error: &ServerError) -> Option<Duration> {
    match error.extensions.as_ref()?.get("retryAfterMs")? {
        async_graphql::Value::Number(wait) => wait.as_u64().map(Duration::from_millis),
        _ => None,
    }
}

fn seconds(wait: Duration) -> HeaderValue {
    HeaderValue::from(u64::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX))
}

fn respond(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    // Answers depend on who asks; caches between do not know by which header.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
