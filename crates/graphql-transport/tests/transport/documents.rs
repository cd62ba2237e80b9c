//! A document gets the same answer whether it was seen before or not.

use std::fmt::Write;

use serde_json::{Value, json};
use tiffin_graphql_transport::Settings;

use crate::support::{JSON, RESPONSE_JSON, Server};

const ECHO: &str = "query($input: EchoInput!) { echo(input: $input) { text colour } }";
const MIXED: &str =
    "query($text: String!, $times: Int) { echo(input: { text: $text, times: $times }) { text } }";

/// Requests that are refused, each in its own way.
fn refused() -> Vec<Value> {
    let echo = |input: Value| json!({ "query": ECHO, "variables": { "input": input } });
    let query = |query: &str| json!({ "query": query });
    vec![
        json!({ "query": ECHO }),
        echo(Value::Null),
        echo(json!("text")),
        echo(json!({})),
        echo(json!({ "text": 1 })),
        echo(json!({ "text": "a", "times": 3_000_000_000_u64 })),
        echo(json!({ "text": "a", "times": 1.5 })),
        echo(json!({ "text": "a", "times": "1" })),
        echo(json!({ "text": "a", "colour": "BLUE" })),
        echo(json!({ "text": "a", "notes": [{ "text": "a" }, { "text": null }] })),
        echo(json!({ "text": "a", "z": 1, "y": 1, "x": 1, "w": 1 })),
        json!({ "query": MIXED, "variables": { "text": "a", "times": "1" } }),
        json!({ "query": "query($times: Int) { echo(input: { text: 1, times: $times }) { text } }" }),
        json!({ "query": "query A { counter } query B { caller }", "operationName": "C" }),
        query("{ echo(input: { text: \"a\", times: 3000000000 }) { text } }"),
        query("{ echo(input: { text: \"a\", z: 1, y: 1 }) { text } }"),
        query("{ a b c d e f g }"),
        query("query A($a: Int, $a: Int) { counter } query B { nope(x: $y) ...F } fragment F on Echo { z }"),
        query("{ counter: caller counter }"),
        query("query A { counter } query B { counter } { counter }"),
        query("{ counter @skip(if: 1) }"),
        query(&format!("{{ {} }}", "__typename ".repeat(600))),
        query(&"query A { counter } ".repeat(2)),
        query("{"),
        query(""),
    ]
}

#[tokio::test]
async fn every_refusal_is_the_same_to_a_cold_and_a_warm_cache_and_to_another_server() {
    let warm = Server::new();
    for request in refused() {
        let mut answers = Vec::new();
        for server in [&warm, &warm, &warm, &Server::new(), &Server::new()] {
            answers.push(server.post(RESPONSE_JSON, request.to_string()).await);
        }
        let code = answers[0].code();
        assert!(
            ["BAD_USER_INPUT", "QUERY_TOO_COSTLY"].contains(&&*code),
            "{request}: {}",
            answers[0].text
        );
        for answer in &answers {
            assert_eq!(answer, &answers[0], "{request}");
        }
    }
}

#[tokio::test]
async fn a_refusal_names_the_member_that_does_not_fit() {
    let server = Server::new();
    let variables = json!({ "input": { "text": "a", "notes": [{ "text": "a" }, { "text": 1 }] } });
    let reply = server
        .post(JSON, json!({ "query": ECHO, "variables": variables }).to_string())
        .await;
    assert_eq!(
        reply.json()["errors"][0]["extensions"]["field"],
        "input.notes[1].text"
    );
}

#[tokio::test]
async fn a_document_that_was_refused_for_its_variables_is_answered_with_others() {
    let server = Server::new();
    let ask = async |variables: Value| {
        server
            .post(
                JSON,
                json!({ "query": MIXED, "variables": variables }).to_string(),
            )
            .await
            .json()
    };
    assert_eq!(
        ask(json!({ "text": 1 })).await["errors"][0]["extensions"]["code"],
        "BAD_USER_INPUT"
    );
    assert_eq!(
        ask(json!({ "text": "a", "times": 2 })).await,
        json!({ "data": { "echo": { "text": "a a" } } })
    );
}

#[tokio::test]
async fn a_fragment_of_another_operation_does_not_count() {
    let query = "query A { counter } query B($text: String!) { ...F } \
                 fragment F on Query { echo(input: { text: $text }) { text } }";
    let ask = async |name: &str, variables: Value| {
        let request = json!({ "query": query, "operationName": name, "variables": variables });
        Server::new().post(JSON, request.to_string()).await.json()
    };
    assert_eq!(ask("A", json!({})).await, json!({ "data": { "counter": 0 } }));
    assert_eq!(
        ask("B", json!({ "text": "b" })).await,
        json!({ "data": { "echo": { "text": "b" } } })
    );
}

#[tokio::test]
async fn a_default_that_decides_what_is_left_out_is_heeded() {
    let query = "query($short: Boolean = true) { counter caller @skip(if: $short) }";
    let reply = Server::new().query(query).await;
    assert_eq!(reply.json(), json!({ "data": { "counter": 0 } }));
}

#[tokio::test]
async fn what_is_asked_for_is_answered_in_the_documents_order() {
    for (query, answer) in [
        (
            "{ b: later ...F a: counter ... { b: later } } fragment F on Query { z: later __typename }",
            r#"{"data":{"b":1,"z":1,"__typename":"Query","a":0}}"#,
        ),
        ("{ ... { b: later a: counter } }", r#"{"data":{"b":1,"a":0}}"#),
    ] {
        assert_eq!(Server::new().query(query).await.text, answer, "{query}");
    }
}

#[tokio::test]
async fn a_type_name_obeys_the_rules_of_every_field() {
    let ask = async |query: &str, shown: bool| {
        let request = json!({ "query": query, "variables": { "shown": shown } });
        Server::new().post(JSON, request.to_string()).await.json()
    };
    let query = "query($shown: Boolean!) { counter __typename @include(if: $shown) }";
    assert_eq!(
        ask(query, true).await,
        json!({ "data": { "counter": 0, "__typename": "Query" } })
    );
    assert_eq!(ask(query, false).await, json!({ "data": { "counter": 0 } }));
    for wrong in [
        "{ __typename @unknown }",
        "{ __typename @include }",
        "{ node { __typename @skip(if: 1) } }",
        "{ __typename(x: 1) }",
        "{ __typename { x } }",
    ] {
        let reply = Server::new().query(wrong).await.json();
        assert_eq!(
            reply["errors"][0]["extensions"]["code"], "BAD_USER_INPUT",
            "{wrong}: {reply}"
        );
    }
}

#[tokio::test]
async fn a_character_of_any_plane_may_be_escaped() {
    for written in [r"\ud83c\udf5b", r"\u{1f35b}", "🍛"] {
        let query = format!(r#"{{ echo(input: {{ text: "{written}", times: 1 }}) {{ text }} }}"#);
        let reply = Server::new().query(&query).await;
        assert_eq!(
            reply.json(),
            json!({ "data": { "echo": { "text": "🍛" } } }),
            "{written}"
        );
    }
}

#[tokio::test]
async fn a_document_is_compiled_once_and_the_cache_keeps_within_its_memory() {
    let settings = Settings {
        document_cache_bytes: 20_000,
        ..Settings::default()
    };
    let server = Server::with(settings);
    for _ in 0..3 {
        server.query("{ counter }").await;
    }
    let metric = |name: &str| server.metric(name);
    assert_eq!(metric("graphql_documents_misses_total"), 1);
    assert_eq!(metric("graphql_documents_hits_total"), 2);
    for index in 0..100 {
        server.query(&format!("{{ a{index}: counter }}")).await;
        assert!(metric("graphql_documents_cache_bytes") <= 20_000);
    }
    server.query("{ a99: counter }").await;
    assert_eq!(metric("graphql_documents_hits_total"), 3, "the newest is kept");
    server.query("{ counter }").await;
    assert_eq!(metric("graphql_documents_hits_total"), 3, "the oldest is not");
}

#[tokio::test]
async fn the_introspection_query_with_all_its_options_passes() {
    let of_type = (0..9).fold("kind name".to_owned(), |inner, _| {
        format!("kind name ofType {{ {inner} }}")
    });
    let mut query = String::from(
        "query IntrospectionQuery { __schema { description queryType { name kind } mutationType { name kind } \
         subscriptionType { name kind } types { ...FullType } directives { name description isRepeatable locations \
         args(includeDeprecated: true) { ...InputValue } } } } fragment FullType on __Type { kind name description \
         specifiedByURL isOneOf fields(includeDeprecated: true) { name description args(includeDeprecated: true) { \
         ...InputValue } type { ...TypeRef } isDeprecated deprecationReason } inputFields(includeDeprecated: true) { \
         ...InputValue } interfaces { ...TypeRef } enumValues(includeDeprecated: true) { name description \
         isDeprecated deprecationReason } possibleTypes { ...TypeRef } } fragment InputValue on __InputValue { name \
         description type { ...TypeRef } defaultValue isDeprecated deprecationReason } ",
    );
    write!(query, "fragment TypeRef on __Type {{ {of_type} }}").expect("a string takes everything");
    let reply = Server::new().query(&query).await;
    assert_eq!(reply.code(), "OK", "{}", reply.text);
    assert!(
        reply.json()["data"]["__schema"]["types"]
            .as_array()
            .is_some_and(|types| types.len() > 10)
    );
}
