//! Reads a GraphQL request out of an HTTP request.

use axum::{body::Body, extract::Request};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::{HeaderMap, Method, StatusCode, header};
use tokio::time::timeout;

use super::respond::Rejection;
use crate::{
    error::{Code, Refusal},
    request::GraphqlRequest,
    settings::Settings,
};

/// How much of a body that is too large is read before the connection is closed on the client.
const DISCARDED: usize = 4 * 1024 * 1024;

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

/// Reads the body. What is over the limit is still read, though not kept, as far as a client may get in good faith: it
/// looks for the refusal only after it has sent everything, and would find a broken connection instead.
async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Rejection> {
    let refuse_at = if headers.contains_key(header::EXPECT) {
        limit
    } else {
        limit.max(DISCARDED)
    };
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok())
        .unwrap_or_default();
    let mut size = 0;
    let mut kept = BytesMut::new();
    let mut parts = body.into_data_stream();
    while size.max(announced) <= refuse_at {
        let Some(part) = parts.next().await else { break };
        let part = part.map_err(|_| Refusal::bad_input("The body ended too early."))?;
        size += part.len();
        if size <= limit {
            kept.extend_from_slice(&part);
        }
    }
    if size.max(announced) > limit {
        return Err(too_large(limit).into());
    }
    Ok(kept.freeze())
}

fn too_slow() -> Rejection {
    let refusal = Refusal::new(Code::Timeout, "The body did not arrive in time.")
        .hint("Nothing was done. Send the request again, with its whole body at once.");
    Rejection::new(StatusCode::REQUEST_TIMEOUT, refusal)
}

fn too_large(limit: usize) -> Refusal {
    let message = format!("The request is too large: at most {limit} bytes are allowed.");
    Refusal::new(Code::PayloadTooLarge, message)
}
