//! What a server does with requests that are too large, too slow, too many or not to be answered.

use std::time::Duration;

use crate::support::{JSON, Reply, Server};
use ::http::{Request, StatusCode};
use axum::body::Body;
use serde_json::json;
use tiffin_graphql_transport::{Limits, Origins, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn impatient() -> Server {
    Server::with(Settings {
        request_timeout: Duration::from_millis(20),
        ..Settings::default()
    })
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whether_its_length_is_announced_or_not() {
    let server = Server::new();
    let body = format!(r#"{{"query":"{{counter}}","x":"{}"}}"#, "x".repeat(70_000));
    let chunks = futures::stream::iter(
        body.clone()
            .into_bytes()
            .chunks(1_000)
            .map(Vec::from)
            .map(Ok::<_, std::io::Error>)
            .collect::<Vec<_>>(),
    );
    for body in [Body::from(body), Body::from_stream(chunks)] {
        let reply = server.post(JSON, body).await;
        assert_eq!(
            (reply.status, &*reply.code()),
            (StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE")
        );
    }
}

#[tokio::test]
async fn a_client_that_sends_everything_before_it_looks_still_sees_that_its_body_is_too_large() {
    let address = Server::new().listen().await;
    let body = "x".repeat(3 * 1024 * 1024);
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(body.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_given_up() {
    let reply = impatient().query("{never}").await;
    assert_eq!(
        (reply.status, &*reply.code()),
        (StatusCode::GATEWAY_TIMEOUT, "TIMEOUT")
    );
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    let reply = impatient()
        .post(
            JSON,
            Body::from_stream(futures::stream::pending::<std::io::Result<Vec<u8>>>()),
        )
        .await;
    assert_eq!(
        (reply.status, &*reply.code()),
        (StatusCode::REQUEST_TIMEOUT, "TIMEOUT")
    );
    assert!(reply.text.contains("Nothing was done"), "{}", reply.text);
}

#[tokio::test]
async fn pages_of_every_origin_may_ask_unless_there_is_a_list() {
    let preflight = |origin: &str| {
        Request::options("/graphql")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "x-api-key,content-type")
            .body(Body::empty())
            .expect("a request")
    };
    let reply = Reply::of(Server::new().send(preflight("https://a.example")).await).await;
    assert_eq!(reply.header("access-control-allow-origin"), "*");
    assert_eq!(
        reply.header("access-control-allow-headers"),
        "x-api-key,content-type"
    );
    let origins = Origins::Only(vec!["https://shop.example".to_owned()]);
    let server = Server::with(Settings {
        origins,
        ..Settings::default()
    });
    let reply = Reply::of(server.send(preflight("https://shop.example")).await).await;
    assert_eq!(
        reply.header("access-control-allow-origin"),
        "https://shop.example"
    );
    let reply = Reply::of(server.send(preflight("https://a.example")).await).await;
    assert_eq!(reply.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn introspection_can_be_switched_off() {
    let server = Server::with(Settings {
        introspection: false,
        ..Settings::default()
    });
    for document in [
        "{__schema{types{name}}}",
        "{...A} fragment A on Query{__type(name:\"Int\"){name}}",
    ] {
        let reply = server.query(document).await;
        assert_eq!(
            (reply.status, &*reply.code()),
            (StatusCode::FORBIDDEN, "FORBIDDEN")
        );
    }
    assert_eq!(
        server.query("{__typename}").await.json(),
        json!({"data": {"__typename": "Query"}})
    );
}

#[tokio::test]
async fn a_reply_has_a_few_errors_and_short_ones() {
    let server = Server::new();
    let reply = server.query(&format!("{{{}}}", "nope ".repeat(10))).await;
    assert_eq!(reply.json()["errors"].as_array().map(Vec::len), Some(5));
    let reply = server.query(&format!("{{{}}}", "x".repeat(15_000))).await;
    assert!(reply.text.len() < 1_000, "{}", reply.text.len());
}

#[tokio::test]
async fn new_documents_above_what_may_wait_are_refused_with_a_time_to_come_back() {
    let limits = Limits::default();
    let settings = Settings {
        compilations: 1,
        compilations_waiting: 0,
        limits,
        ..Settings::default()
    };
    let server = Server::with(settings);
    // Long enough to be compiled beside the request's way, so that the second finds the first at it.
    let long = |name: &str| format!("{{{name}:counter}}{}", "#".repeat(4_000));
    let (first, second) = tokio::join!(async { server.query(&long("a")).await }, async {
        server.query(&long("b")).await
    });
    assert_eq!(first.code(), "OK");
    assert_eq!(
        (second.status, &*second.code()),
        (StatusCode::SERVICE_UNAVAILABLE, "OVERLOADED")
    );
    assert_eq!(second.header("retry-after"), "1");
    tokio::time::timeout(Duration::from_secs(5), server.query(&long("b")))
        .await
        .expect("the way is free again");
}
