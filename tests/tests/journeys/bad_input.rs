//! Bad input gets its code, changes nothing, and costs next to nothing.

use anyhow::{Context, Result};
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tiffin_tests::{
    client::id,
    stack::{API_KEY, Setting, Stack, waits},
    torture::audit,
};

const CREATE: &str = "mutation ($input: CreateOrderInput!) { createOrder(input: $input) { id } }";
const CANCEL: &str = "mutation ($input: CancelOrderInput!) { cancelOrder(input: $input) { id } }";

/// A request, and the code that it has to get.
struct Case {
    name: &'static str,
    code: &'static str,
    key: Option<&'static str>,
    body: String,
}

impl Case {
    fn new(name: &'static str, code: &'static str, query: &str, variables: &Value) -> Self {
        // The comment makes it a document that nobody has seen before.
        let query = format!("{query} # {name}");
        Self {
            name,
            code,
            key: Some(API_KEY),
            body: json!({ "query": query, "variables": variables }).to_string(),
        }
    }

    fn products(name: &'static str, products: &Value) -> Self {
        Self::new(
            name,
            "BAD_USER_INPUT",
            CREATE,
            &json!({ "input": { "products": products } }),
        )
    }

    fn raw(name: &'static str, code: &'static str, body: impl Into<String>) -> Self {
        let body = body.into();
        Self {
            name,
            code,
            key: Some(API_KEY),
            body,
        }
    }

    fn with_key(self, key: Option<&'static str>) -> Self {
        Self { key, ..self }
    }

    async fn send(&self, url: &str) -> Result<String> {
        let mut request = reqwest::Client::new()
            .post(url)
            .header(CONTENT_TYPE, "application/json");
        if let Some(key) = self.key {
            request = request.header("x-api-key", key);
        }
        Ok(request.body(self.body.clone()).send().await?.text().await?)
    }
}

fn code(answer: &str) -> Result<String> {
    let answer: Value = serde_json::from_str(answer).with_context(|| answer.to_owned())?;
    let code = answer["errors"][0]["extensions"]["code"].as_str();
    Ok(code.with_context(|| answer.to_string())?.to_owned())
}

fn wrong_products() -> Vec<Case> {
    let soup = |quantity: Value| json!([{ "name": "soup", "quantity": quantity }]);
    let long = "x".repeat(201);
    vec![
        Case::products("no products", &json!([])),
        Case::products(
            "too many products",
            &json!(vec![json!({ "name": "a", "quantity": 1 }); 101]),
        ),
        Case::products("a blank name", &json!([{ "name": " \t ", "quantity": 1 }])),
        Case::products("a long name", &json!([{ "name": long, "quantity": 1 }])),
        Case::products(
            "names of 9 KiB",
            &json!(vec![json!({ "name": "ü".repeat(100), "quantity": 1 }); 46]),
        ),
        Case::products("a quantity of zero", &soup(json!(0))),
        Case::products("a negative quantity", &soup(json!(-1))),
        Case::products("a quantity above the limit", &soup(json!(1001))),
        Case::products("a quantity above every integer", &soup(json!(4_294_967_296_u64))),
        Case::products("a quantity in words", &soup(json!("two"))),
        Case::products("half a portion", &soup(json!(0.5))),
        Case::products(
            "an unknown member",
            &json!([{ "name": "soup", "quantity": 1, "size": "XL" }]),
        ),
        Case::products("products that are none", &json!("soup")),
    ]
}

fn wrong_requests(taken: &'static str, gone: &str) -> Vec<Case> {
    let soup = json!([{ "name": "soup", "quantity": 1 }]);
    let keyed = |key: &str| json!({ "input": { "products": soup, "idempotencyKey": key } });
    let cancel = |id: &str| json!({ "input": { "id": id } });
    let nobody = "018f3c1e-0000-7000-8000-000000000000";
    let bad = "BAD_USER_INPUT";
    vec![
        Case::new("a short idempotency key", bad, CREATE, &keyed("short")),
        Case::new(
            "a control character in a key",
            bad,
            CREATE,
            &keyed("0123456789\n0123456789"),
        ),
        Case::new(
            "a used idempotency key",
            "IDEMPOTENCY_KEY_REUSED",
            CREATE,
            &keyed(taken),
        ),
        Case::new("no input", bad, CREATE, &json!({})),
        Case::new("an id that is none", bad, CANCEL, &cancel("seven")),
        Case::new("an unknown order", "NOT_FOUND", CANCEL, &cancel(nobody)),
        Case::new(
            "cancelling too late",
            "ORDER_NOT_CANCELLABLE",
            CANCEL,
            &cancel(gone),
        ),
        Case::new(
            "an unknown field",
            bad,
            "{ order(id: \"x\") { colour } }",
            &json!({}),
        ),
        Case::new("a malformed document", bad, "{ order(", &json!({})),
        Case::new("no key", "UNAUTHENTICATED", CREATE, &keyed("0123456789abcdef")).with_key(None),
        Case::new(
            "a wrong key",
            "UNAUTHENTICATED",
            CREATE,
            &keyed("0123456789abcdef"),
        )
        .with_key(Some("da2-not-a-key-of-anyone-000000")),
        Case::new(
            "a subscription by POST",
            bad,
            "subscription { onOrderUpdated(id: \"018f3c1e-0000-7000-8000-000000000000\") { id } }",
            &json!({}),
        ),
        Case::raw("not JSON", bad, "order soup"),
        Case::raw("JSON that is no request", bad, "[1, 2, 3]"),
        Case::raw("nothing", bad, ""),
        Case::raw("a deep body", bad, "[".repeat(60_000)),
        Case::raw("a large body", "PAYLOAD_TOO_LARGE", "x".repeat(65 * 1024)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_gets_its_code_from_a_cold_and_a_warm_cache_and_changes_nothing() {
    const TAKEN: &str = "a-key-that-was-used";
    let setting = Setting {
        waits: waits(["0s", "0s", "0s", "0s"]),
        ..Setting::default()
    };
    let stack = Stack::start(&setting).await.unwrap();
    let client = stack.client();
    let order = client.place("salad", TAKEN).await.unwrap();
    tiffin_testkit::eventually!(client.order(id(&order)).await, |order| format!("{order:?}")
        .contains("DELIVERED"));
    let before = audit::head(&stack.database.url).await.unwrap();
    let url = format!("{}/graphql", stack.api[0].url());
    let cases = wrong_products()
        .into_iter()
        .chain(wrong_requests(TAKEN, id(&order)));
    for case in cases {
        let cold = case.send(&url).await.unwrap();
        assert_eq!(code(&cold).unwrap(), case.code, "{}: {cold}", case.name);
        let warm = case.send(&url).await.unwrap();
        assert_eq!(cold, warm, "{}", case.name);
    }
    assert_eq!(audit::head(&stack.database.url).await.unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mutation_by_get_or_as_text_is_refused_and_does_nothing() {
    let stack = Stack::start(&Setting::default()).await.unwrap();
    let before = audit::head(&stack.database.url).await.unwrap();
    let query = "mutation { createOrder(input: { products: [{ name: \"soup\", quantity: 1 }] }) { id } }";
    let url = format!("{}/graphql", stack.api[0].url());
    let http = reqwest::Client::new();
    let encoded = reqwest::Url::parse_with_params(&url, [("query", query)]).unwrap();
    let get = http.get(encoded).header("x-api-key", API_KEY);
    let answer = get.send().await.unwrap();
    assert_eq!(answer.status(), 405, "{:?}", answer.text().await);
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ] {
        let post = http
            .post(&url)
            .header("x-api-key", API_KEY)
            .header(CONTENT_TYPE, content_type);
        let answer = post
            .body(json!({ "query": query }).to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 415, "{content_type}: {:?}", answer.text().await);
    }
    assert_eq!(audit::head(&stack.database.url).await.unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_introspection_query_that_clients_send_passes() {
    let stack = Stack::start(&Setting::default()).await.unwrap();
    let query = include_str!("introspection.graphql");
    let case = Case::raw("introspection", "", json!({ "query": query }).to_string());
    let answer = case
        .send(&format!("{}/graphql", stack.api[0].url()))
        .await
        .unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let types = answer.pointer("/data/__schema/types").and_then(Value::as_array);
    assert!(types.is_some_and(|types| types.len() > 10), "{answer}");
}
