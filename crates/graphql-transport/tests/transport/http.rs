//! The rules of GraphQL over HTTP.

use crate::support::{JSON, RESPONSE_JSON, Reply, Server};
use ::http::{Request, StatusCode};
use axum::body::Body;
use serde_json::json;

fn get(uri: &str) -> Request<Body> {
    Request::get(uri).body(Body::empty()).expect("a request")
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
async fn that_something_is_away_has_a_status_where_the_request_may_be_repeated() {
    let server = Server::new();
    let again = server.post(JSON, r#"{"query":"{away(again:true)}"}"#).await;
    assert_eq!(
        (again.status, &*again.code(), again.header("retry-after")),
        (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "2")
    );
    let unknown = server.post(JSON, r#"{"query":"{away(again:false)}"}"#).await;
    assert_eq!(
        (unknown.status, &*unknown.code()),
        (StatusCode::OK, "UNAVAILABLE")
    );
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
async fn a_subscription_is_sent_elsewhere() {
    let reply = Server::new().query("subscription{count(to:1)}").await;
    assert_eq!(
        (reply.status, &*reply.code()),
        (StatusCode::BAD_REQUEST, "BAD_USER_INPUT")
    );
    assert!(reply.text.contains("/graphql/ws"));
}
