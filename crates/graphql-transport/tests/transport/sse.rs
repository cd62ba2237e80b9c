//! Subscriptions over server-sent events.

use std::{sync::Arc, time::Duration};

use ::http::{Request, StatusCode};
use async_graphql::ServerError;
use async_trait::async_trait;
use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use tiffin_graphql_transport::{
    Engine, Next, Outcome, Prepared, Session, Settings, StreamSettings, Subscribe,
};

use crate::support::{Reply, Server, schema};

pub(crate) fn get(query: &str) -> Request<Body> {
    let query: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
    Request::get(format!("/graphql/stream?query={query}"))
        .header("accept", "text/event-stream")
        .body(Body::empty())
        .expect("a request")
}

/// The events of a stream that ends, without the time to come back, which is drawn by lot.
pub(crate) async fn events(server: &Server, request: Request<Body>) -> String {
    let reply = Reply::of(server.send(request).await).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.header("content-type"), "text/event-stream; charset=utf-8");
    let (retry, events) = reply.text.split_once("\n\n").expect("an event");
    assert!(retry.starts_with("retry: "), "{retry}");
    events.to_owned()
}

#[tokio::test]
async fn results_come_one_by_one_and_then_the_end() {
    let events = events(&Server::new(), get("subscription { count(to: 2) }")).await;
    let expected = "event: next\ndata: {\"data\":{\"count\":1}}\n\nevent: next\ndata: {\"data\":{\"count\":2}}\n\n\
                    event: complete\ndata:\n\n";
    assert_eq!(events, expected);
}

#[tokio::test]
async fn a_post_is_answered_like_a_get_and_only_as_json() {
    let post = |content_type: &str| {
        Request::post("/graphql/stream")
            .header("accept", "text/event-stream")
            .header("content-type", content_type)
            .body(Body::from(r#"{"query":"subscription{count(to:0)}"}"#))
            .expect("a request")
    };
    let server = Server::new();
    assert_eq!(
        events(&server, post("application/json; charset=utf-8")).await,
        "event: complete\ndata:\n\n"
    );
    assert_eq!(
        server.send(post("text/plain")).await.status(),
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
}

#[tokio::test]
async fn a_refused_document_is_a_result_and_the_end() {
    let server = Server::new();
    for (document, code) in [
        ("subscription { nope }", "BAD_USER_INPUT"),
        ("{", "BAD_USER_INPUT"),
        ("subscription { count(to: -1) }", "BAD_USER_INPUT"),
        ("mutation { add(by: 1) }", "SUBSCRIPTIONS_ONLY"),
        ("{ counter }", "SUBSCRIPTIONS_ONLY"),
    ] {
        let events = events(&server, get(document)).await;
        assert!(
            events.starts_with("event: next\ndata: {\"errors\":[{"),
            "{events}"
        );
        assert!(
            events.contains(code) && events.ends_with("}\n\nevent: complete\ndata:\n\n"),
            "{events}"
        );
    }
    assert_eq!(server.query("{counter}").await.text, r#"{"data":{"counter":0}}"#);
}

#[tokio::test]
async fn what_is_no_request_gets_a_status() {
    let server = Server::new();
    let request = |accept: &str| {
        Request::get("/graphql/stream")
            .header("accept", accept)
            .body(Body::empty())
            .expect("a request")
    };
    assert_eq!(
        server.send(request("text/event-stream")).await.status(),
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        server.send(request("application/json")).await.status(),
        StatusCode::NOT_ACCEPTABLE
    );
    let mut wrong_key = get("subscription { count(to: 1) }");
    wrong_key
        .headers_mut()
        .insert("x-api-key", "wrong".parse().expect("a header"));
    assert_eq!(server.send(wrong_key).await.status(), StatusCode::UNAUTHORIZED);
}

/// Numbers its results from what the client saw last.
struct Resumable;

#[async_trait]
impl Subscribe for Resumable {
    async fn subscribe(
        &self,
        operation: Prepared,
        session: Session,
        resume: Option<String>,
    ) -> Result<BoxStream<'static, Outcome>, Vec<ServerError>> {
        assert_eq!(operation.document().fragments.len(), 1);
        let caller = session.caller::<schema::Caller>().expect("a caller").0.clone();
        let first = resume
            .and_then(|id| id.parse().ok())
            .map_or(1, |seen: u64| seen + 1);
        let payload = Bytes::from(format!(r#"{{"data":"{caller}"}}"#));
        let next = move |id| Next {
            payload: payload.clone(),
            id: Some(id),
        };
        Ok(futures::stream::iter(first..4).map(next).map(Ok).boxed())
    }
}

#[tokio::test]
async fn a_client_that_comes_back_goes_on_after_the_last_event_that_it_saw() {
    let engine = Engine::new(schema::builder(), Settings::default());
    let server = Server::over(engine, Arc::new(Resumable));
    let mut request = get("subscription { ...F } fragment F on Count { count(to: 4) }");
    request
        .headers_mut()
        .insert("last-event-id", "2".parse().expect("a header"));
    request
        .headers_mut()
        .insert("x-api-key", "open".parse().expect("a header"));
    let events = events(&server, request).await;
    assert_eq!(
        events,
        "event: next\nid: 3\ndata: {\"data\":\"owner\"}\n\nevent: complete\ndata:\n\n"
    );
}

fn streams(streams: StreamSettings) -> Server {
    Server::with(Settings {
        streams,
        ..Settings::default()
    })
}

/// Reads until `wanted` has come.
async fn read_until(body: &mut BodyDataStream, wanted: &str) -> String {
    let mut text = String::new();
    while !text.contains(wanted) {
        let chunk = body
            .next()
            .await
            .unwrap_or_else(|| panic!("ended without {wanted:?}: {text:?}"));
        text += std::str::from_utf8(&chunk.expect("bytes")).expect("text");
    }
    text
}

const WAIT: &str = "subscription { wait(first: 1) }";

/// A stream whose only result was received.
async fn quiet(server: &Server, request: Request<Body>) -> BodyDataStream {
    let mut body = server.send(request).await.into_body().into_data_stream();
    read_until(&mut body, "{\"wait\":1}}\n\n").await;
    body
}

#[tokio::test]
async fn a_quiet_stream_is_kept_open_by_comments() {
    let server = streams(StreamSettings {
        ping_interval: Duration::from_millis(10),
        ..StreamSettings::default()
    });
    let mut body = quiet(&server, get(WAIT)).await;
    read_until(&mut body, ":\n\n:\n\n").await;
}

#[tokio::test]
async fn at_a_stop_streams_end_without_completion_and_so_does_one_that_comes_late() {
    let server = streams(StreamSettings {
        drain: Duration::from_millis(20),
        ..StreamSettings::default()
    });
    let mut body = quiet(&server, get(WAIT)).await;
    server.stop.cancel();
    assert!(body.next().await.is_none());
    let mut late = quiet(&server, get(WAIT)).await;
    assert!(late.next().await.is_none());
    server.all_gone().await;
}

#[tokio::test]
async fn streams_above_the_cap_are_refused_until_one_ends() {
    let server = streams(StreamSettings {
        connections: 1,
        ..StreamSettings::default()
    });
    let first = server.send(get(WAIT)).await;
    let refused = server.send(get(WAIT)).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(first);
    server.all_gone().await;
    assert_eq!(
        events(&server, get("subscription { count(to: 0) }")).await,
        "event: complete\ndata:\n\n"
    );
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_given_up() {
    let server = streams(StreamSettings {
        send_timeout: Duration::from_millis(20),
        ..StreamSettings::default()
    });
    let _unread = server.send(get("subscription { count(to: 1000) }")).await;
    server.all_gone().await;
    assert_eq!(server.metric("graphql_dropped_total{transport=\"sse\"}"), 1);
}

#[tokio::test]
async fn a_client_that_takes_nothing_holds_no_stop_up() {
    let server = streams(StreamSettings {
        drain: Duration::from_millis(20),
        send_timeout: Duration::from_mins(10),
        ..StreamSettings::default()
    });
    let _unread = server.send(get("subscription { count(to: 1000) }")).await;
    server.stop.cancel();
    server.all_gone().await;
}

#[tokio::test]
async fn a_stream_ends_with_an_error_when_its_session_is_revoked() {
    let server = Server::new();
    let mut request = get(WAIT);
    request
        .headers_mut()
        .insert("x-api-key", "open".parse().expect("a header"));
    let mut body = quiet(&server, request).await;
    server.revoked.cancel();
    let end = read_until(&mut body, "\n\n").await;
    assert!(end.starts_with("event: next\ndata: {\"errors\":[{"), "{end}");
    assert!(end.contains("\"code\":\"UNAUTHENTICATED\""), "{end}");
    assert!(body.next().await.is_none(), "no completion follows");
}
