//! Reads a GraphQL request out of an HTTP request.

use axum::{body::Body, extract::Request};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use tokio::time::timeout;

use super::respond::Rejection;
use crate::{
    error::{Code, Refusal},
    request::GraphqlRequest,
    settings::Settings,
};

/// Reads the request: GET has it in the URL, POST as a JSON body, whose length and time are limited.
pub(crate) async fn receive(request: Request, settings: &Settings) -> Result<GraphqlRequest, Rejection> {
    let (head, body) = request.into_parts();
    match head.method {
        Method::GET | Method::HEAD => Ok(GraphqlRequest::from_query(head.uri.query().unwrap_or_default())?),
        Method::POST => {
            expect_json(&head.headers)?;
            let reading = read(&head.headers, body, settings.limits.body_bytes);
            let body = timeout(settings.request_timeout, reading)
                .await
                .map_err(|_| too_slow())??;
            Ok(GraphqlRequest::from_json(&body)?)
        }
        _ => Err(Rejection::method(
            "GET, POST",
            "Send a query or a mutation by POST.",
        )),
    }
}

/// A page of another origin can send every other type without asking first.
fn expect_json(headers: &HeaderMap) -> Result<(), Rejection> {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let mut parts = given.split(';').map(|part| part.trim().to_ascii_lowercase());
    let json = parts.next().as_deref() == Some("application/json");
    let utf8 = parts.all(|part| {
        part.strip_prefix("charset=")
            .is_none_or(|it| it.trim_matches('"') == "utf-8")
    });
    if json && utf8 {
        return Ok(());
    }
    Err(Rejection::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Refusal::bad_input("The body must be JSON.")
            .hint("Send it with the header Content-Type: application/json."),
    ))
}

async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Rejection> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    too_large(announced.is_some_and(|length| length > limit), limit)?;
    axum::body::to_bytes(body, limit).await.map_err(|error| {
        let over = std::error::Error::source(&error)
            .is_some_and(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>);
        match too_large(over, limit) {
            Err(rejection) => rejection,
            Ok(()) => Refusal::bad_input("The body ended too early.").into(),
        }
    })
}

fn too_slow() -> Rejection {
    let refusal = Refusal::new(Code::Timeout, "The body did not arrive in time.");
    Rejection::new(StatusCode::REQUEST_TIMEOUT, refusal)
}

fn too_large(is_so: bool, limit: usize) -> Result<(), Rejection> {
    if !is_so {
        return Ok(());
    }
    let message = format!("The request is too large: at most {limit} bytes are allowed.");
    Err(Refusal::new(Code::PayloadTooLarge, message).into())
}
