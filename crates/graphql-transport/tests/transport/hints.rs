//! Every error, on every way, has a code and says what to do; the same words for the same thing.

use ::http::Request;
use axum::body::Body;
use serde_json::{Value, json};
use tiffin_graphql_transport::{Settings, StreamSettings};

use crate::{
    client::Client,
    sse,
    support::{JSON, Reply, Server},
};

fn server() -> Server {
    Server::with(Settings {
        introspection: false,
        streams: StreamSettings {
            subscriptions: 1,
            ..StreamSettings::default()
        },
        ..Settings::default()
    })
}

/// An error's code, message and hint.
fn told(error: &Value) -> [String; 3] {
    let [code, hint] = ["code", "hint"].map(|name| &error["extensions"][name]);
    [code, &error["message"], hint].map(|text| text.as_str().unwrap_or_else(|| panic!("{error}")).to_owned())
}

#[tokio::test]
async fn a_refused_document_is_told_the_same_by_post_get_events_and_websocket() {
    let server = server();
    let mut client = Client::ready(&server).await;
    for (document, code, hint) in [
        ("{", "BAD_USER_INPUT", "at the place that locations names"),
        ("{ nope }", "BAD_USER_INPUT", "with the schema"),
        (
            "query A { counter } query B { counter }",
            "BAD_USER_INPUT",
            "operationName",
        ),
        (
            "{ ...A } fragment A on Query { ...A }",
            "BAD_USER_INPUT",
            "level by level",
        ),
        ("subscription { __typename }", "BAD_USER_INPUT", "with the schema"),
        ("{ __schema { description } }", "FORBIDDEN", "for its schema"),
        (
            "{ a: counter b: counter c: counter d: counter e: counter f: counter g: counter h: counter i: counter \
          j: counter k: counter }",
            "QUERY_TOO_COSTLY",
            "Ask for less",
        ),
    ] {
        let posted = server.query(document).await.json();
        let got: String = form_urlencoded::byte_serialize(document.as_bytes()).collect();
        let got = Request::get(format!("/graphql?query={got}"))
            .body(Body::empty())
            .expect("a request");
        let got = Reply::of(server.send(got).await).await.json();
        let events = sse::events(&server, sse::get(document)).await;
        let event = events
            .split_once("data: ")
            .and_then(|(_, data)| data.split_once("\n\n"))
            .expect("an event")
            .0;
        let event: Value = serde_json::from_str(event).expect("JSON");
        client.subscribe("a", document).await;
        let (kind, said) = client.hear_of("a").await;
        assert_eq!(kind, "error");
        let all = [&posted["errors"], &got["errors"], &event["errors"], &said];
        for errors in all {
            assert_eq!(errors.as_array().map(Vec::len), Some(1), "{document}: {errors}");
            assert_eq!(told(&errors[0]), told(&posted["errors"][0]), "{document}");
        }
        let [told_code, _, told_hint] = told(&posted["errors"][0]);
        assert_eq!(told_code, code, "{document}");
        assert!(told_hint.contains(hint), "{document}: {told_hint}");
    }
}

#[tokio::test]
async fn what_is_refused_for_other_reasons_has_a_hint_too() {
    let server = server();
    let request = |request: ::http::request::Builder, body: &str| {
        request.body(Body::from(body.to_owned())).expect("a request")
    };
    let requests = [
        (request(Request::get("/nope"), ""), "NOT_FOUND", "/graphql"),
        (request(Request::post("/graphql/"), "{}"), "NOT_FOUND", "/graphql"),
        (
            request(Request::post("/graphql/ws"), "{}"),
            "BAD_USER_INPUT",
            "graphql-transport-ws",
        ),
        (
            request(Request::get("/graphql?query=%7Bcounter%7D&variables=1"), ""),
            "BAD_USER_INPUT",
            "JSON object",
        ),
        (
            request(Request::get("/graphql").header("accept", "text/html"), ""),
            "BAD_USER_INPUT",
            "Accept",
        ),
        (request(Request::put("/graphql"), ""), "BAD_USER_INPUT", "POST"),
        (
            request(Request::get("/graphql").header("x-api-key", "wrong"), ""),
            "UNAUTHENTICATED",
            "valid key",
        ),
    ];
    for (request, code, hint) in requests {
        let reply = Reply::of(server.send(request).await).await;
        let [told_code, message, told_hint] = told(&reply.json()["errors"][0]);
        assert_eq!(told_code, code, "{message}");
        assert!(told_hint.contains(hint), "{message} {told_hint}");
    }
    let mut client = Client::ready(&server).await;
    client.subscribe("a", "subscription { wait(first: 1) }").await;
    assert_eq!(client.hear_of("a").await.0, "next");
    client.subscribe("b", "subscription { wait(first: 1) }").await;
    let (_, errors) = client.hear_of("b").await;
    let [code, _, hint] = told(&errors[0]);
    assert_eq!(code, "RATE_LIMITED");
    assert!(hint.contains("another connection"), "{hint}");
}

#[tokio::test]
async fn an_id_that_is_a_number_too_large_is_to_be_sent_as_text() {
    let server = Server::new();
    let told_of = async |id: Value| {
        let query = "query($id: ID!) { same(id: $id) }";
        server
            .post(
                JSON,
                json!({ "query": query, "variables": { "id": id } }).to_string(),
            )
            .await
            .json()
    };
    for id in [json!("x"), json!(-1), json!(i64::MAX)] {
        let text = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        assert_eq!(told_of(id).await, json!({ "data": { "same": text } }));
    }
    for id in [json!(u64::MAX), json!(1e20), json!(0.5)] {
        let answer = told_of(id).await;
        let [code, message, _] = told(&answer["errors"][0]);
        assert_eq!(code, "BAD_USER_INPUT");
        assert!(message.contains("as a string"), "{message}");
    }
}
