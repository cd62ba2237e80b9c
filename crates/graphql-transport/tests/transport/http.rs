//! The rules of GraphQL over HTTP.

use std::time::Duration;

use crate::support::{JSON, RESPONSE_JSON, Reply, Server};
use ::http::{Request, StatusCode};
use axum::body::Body;
use serde_json::json;
use tiffin_graphql_transport::{Limits, Origins, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn get(uri: &str) -> Request<Body> {
    Request::get(uri).body(Body::empty()).expect("a request")
}

fn impatient() -> Server {
    Server::with(Settings {
        request_timeout: Duration::from_millis(20),
        ..Settings::default()
    })
}

async fn got(server: &Server, uri: &str) -> Reply {
    Reply::of(server.send(get(uri)).await).await
}

#[tokio::test]
async fn a_query_is_answered_by_get_and_by_post() {
    let server = Server::new();
    let by_get = got(&server, "/graphql?query=query(%24t:Int!)%7Becho(input:%7Btext:%22a%22,times:%24t%7D)%7Btext%7D%7D&variables=%7B%22t%22:2%7D").await;
    assert_eq!(by_get.json(), json!({"data": {"echo": {"text": "a a"}}}));
    assert_eq!(
        server.query("{counter}").await.json(),
        json!({"data": {"counter": 0}})
    );
}

#[tokio::test]
async fn a_mutation_by_get_is_refused_and_changes_nothing() {
    let server = Server::new();
    let reply = got(&server, "/graphql?query=mutation%7Badd(by:1)%7D").await;
    assert_eq!(
        (reply.status, reply.header("allow")),
        (StatusCode::METHOD_NOT_ALLOWED, "POST")
    );
    assert_eq!(reply.code(), "BAD_USER_INPUT");
    assert_eq!(
        server.query("{counter}").await.json(),
        json!({"data": {"counter": 0}})
    );
}

#[tokio::test]
async fn a_body_that_is_not_declared_as_json_is_refused_and_changes_nothing() {
    let server = Server::new();
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin1",
        "",
    ] {
        let mut request = Request::post("/graphql")
            .body(Body::from(r#"{"query":"mutation{add(by:1)}"}"#))
            .expect("ok");
        if !content_type.is_empty() {
            request
                .headers_mut()
                .insert("content-type", content_type.parse().expect("a header"));
        }
        let reply = Reply::of(server.send(request).await).await;
        assert_eq!(reply.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type}");
    }
    assert_eq!(
        server.query("{counter}").await.json(),
        json!({"data": {"counter": 0}})
    );
}

#[tokio::test]
async fn other_methods_are_told_which_are_allowed() {
    let server = Server::new();
    let reply = Reply::of(
        server
            .send(Request::put("/graphql").body(Body::empty()).expect("ok"))
            .await,
    )
    .await;
    assert_eq!(
        (reply.status, reply.header("allow")),
        (StatusCode::METHOD_NOT_ALLOWED, "GET, POST")
    );
}

#[tokio::test]
async fn what_is_no_request_gets_400_and_a_hint_whatever_is_accepted() {
    let server = Server::new();
    for body in [
        "",
        "{",
        "null",
        "{}",
        r#"{"query":1}"#,
        r#"{"query":"{counter}","variables":[]}"#,
        r#"{"query":"{counter}","operationName":1}"#,
        r#"{"query":"{counter}","extensions":"x"}"#,
        r#"[{"query":"{counter}"}]"#,
        &"[".repeat(60_000),
        "\u{0}",
    ] {
        for accept in [JSON, RESPONSE_JSON] {
            let reply = server.post(accept, body.to_owned()).await;
            assert_eq!(
                (reply.status, &*reply.code()),
                (StatusCode::BAD_REQUEST, "BAD_USER_INPUT"),
                "{body:.40}"
            );
            assert!(
                reply.json()["errors"][0]["extensions"]["hint"].is_string(),
                "{body:.40}"
            );
        }
    }
}

#[tokio::test]
async fn a_refused_document_has_no_data_and_a_status_only_where_the_media_type_has_one() {
    let server = Server::new();
    for document in [
        "{",
        "{nope}",
        "query($a:Int!){counter}",
        "{...A}",
        "query A{counter} query B{counter}",
    ] {
        let reply = server.query(document).await;
        assert_eq!(
            (reply.status, &*reply.code()),
            (StatusCode::BAD_REQUEST, "BAD_USER_INPUT"),
            "{document}"
        );
        assert_eq!(
            reply.header("content-type"),
            "application/graphql-response+json; charset=utf-8"
        );
        assert_eq!(reply.json().get("data"), None, "{document}");
        assert_eq!(reply.json()["errors"][0]["errorType"], "BadUserInput");
        let reply = server.post(JSON, json!({ "query": document }).to_string()).await;
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (StatusCode::OK, "application/json; charset=utf-8")
        );
    }
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
async fn what_cannot_be_accepted_is_not_sent() {
    let reply = Server::new().post("text/html", r#"{"query":"{counter}"}"#).await;
    assert_eq!(reply.status, StatusCode::NOT_ACCEPTABLE);
}

#[tokio::test]
async fn a_fault_is_masked_and_a_coded_error_is_not() {
    let server = Server::new();
    let fault = server.query("{fault}").await;
    assert!(!fault.text.contains("swordfish"));
    assert_eq!((fault.status, &*fault.code()), (StatusCode::OK, "INTERNAL"));
    assert_eq!(fault.json()["errors"][0]["path"], json!(["fault"]));
    let busy = server.post(JSON, r#"{"query":"{busy}"}"#).await;
    assert_eq!(
        (busy.status, &*busy.code()),
        (StatusCode::SERVICE_UNAVAILABLE, "OVERLOADED")
    );
    assert_eq!(busy.header("retry-after"), "2");
}

#[tokio::test]
async fn a_panic_is_a_masked_fault_and_not_the_end_of_the_connection() {
    let reply = Server::new().query("{number(text:\"x\")}").await;
    assert_eq!(
        (reply.status, &*reply.code()),
        (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL")
    );
    assert!(!reply.text.contains("swordfish"));
}

#[tokio::test]
async fn a_resolver_can_set_headers() {
    assert_eq!(
        Server::new()
            .query("mutation{add(by:2)}")
            .await
            .header("idempotency-replayed"),
        "true"
    );
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
}

#[tokio::test]
async fn the_caller_is_found_out_once_and_handed_on() {
    let server = Server::new();
    let with_key = |key: &str| {
        Request::get("/graphql?query=%7Bcaller%7D")
            .header("x-api-key", key)
            .body(Body::empty())
            .expect("a request")
    };
    let reply = Reply::of(server.send(with_key("open")).await).await;
    assert_eq!(reply.json(), json!({"data": {"caller": "owner"}}));
    let reply = Reply::of(server.send(with_key("wrong")).await).await;
    assert_eq!(
        (reply.status, &*reply.code()),
        (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED")
    );
    assert_eq!(reply.json()["errors"][0]["errorType"], "UnauthorizedException");
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
async fn a_subscription_is_sent_elsewhere() {
    let reply = Server::new().query("subscription{count(to:1)}").await;
    assert_eq!(
        (reply.status, &*reply.code()),
        (StatusCode::BAD_REQUEST, "BAD_USER_INPUT")
    );
    assert!(reply.text.contains("/graphql/ws"));
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
