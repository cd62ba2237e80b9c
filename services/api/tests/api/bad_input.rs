//! Bad input gets its code and a hint, the same bytes from a cold and from a warm document cache, and changes nothing.

use std::fmt::Write;

use axum::{
    body::Body,
    http::{Request, header::CONTENT_TYPE},
};
use serde_json::{Value, json};

use crate::harness::{Api, OPERATOR, Reply, WEB};

const CREATE: &str = "mutation($input: CreateOrderInput!) { createOrder(input: $input) { id } }";
const CANCEL: &str = "mutation($input: CancelOrderInput!) { cancelOrder(input: $input) { id } }";
const READ: &str = "query($id: ID!) { order(id: $id) { id } }";
const ABSENT: &str = "0198c5a0-7b1e-7c3a-9f5e-3b1f0d9a4c21";

/// What is sent, and the code and the field that come back.
struct Case {
    name: &'static str,
    body: String,
    code: &'static str,
    field: Option<&'static str>,
}

fn case(name: &'static str, query: &str, variables: &Value, code: &'static str) -> Case {
    Case {
        name,
        body: json!({ "query": query, "variables": variables }).to_string(),
        code,
        field: None,
    }
}

impl Case {
    fn about(self, field: &'static str) -> Self {
        Self {
            field: Some(field),
            ..self
        }
    }
}

fn order_of(products: &Value) -> Value {
    json!({ "input": { "products": products } })
}

fn one(name: &str, quantity: &Value) -> Value {
    order_of(&json!([{ "name": name, "quantity": quantity }]))
}

fn keyed(key: &str) -> Value {
    json!({ "input": { "products": [{ "name": "Dal", "quantity": 1 }], "idempotencyKey": key } })
}

fn orders() -> Vec<Case> {
    let many = |name: &str, number| order_of(&json!(vec![json!({ "name": name, "quantity": 1 }); number]));
    let create = |name, variables: Value| case(name, CREATE, &variables, "BAD_USER_INPUT");
    let quantity = |name, quantity: Value| create(name, one("Dal", &quantity));
    let first_name = "input.products[0].name";
    let first_quantity = "input.products[0].quantity";
    vec![
        create("no products", order_of(&json!([]))).about("input.products"),
        create("101 products", many("Dal", 101)).about("input.products"),
        create("names of more than 8 KiB", many(&"ü".repeat(200), 21)).about("input.products"),
        create("a blank name", one(" \u{a0}\t", &json!(1))).about(first_name),
        create("a name of 201 characters", one(&"x".repeat(201), &json!(1))).about(first_name),
        create("a line break in a name", one("Dal\nRoti", &json!(1))).about(first_name),
        create("an invisible name", one("\u{200b}", &json!(1))).about(first_name),
        create(
            "a name that is shown backwards",
            one("Dal\u{202e}itoR", &json!(1)),
        )
        .about(first_name),
        quantity("a quantity of zero", json!(0)).about(first_quantity),
        quantity("a negative quantity", json!(-1)).about(first_quantity),
        quantity("a quantity of 1,001", json!(1001)).about(first_quantity),
        quantity("the greatest Int", json!(i32::MAX)).about(first_quantity),
        quantity("a quantity above every Int", json!(10_000_000_000_u64)),
        quantity("a fraction", json!(1.5)),
        quantity("a word for a quantity", json!("two")),
        quantity("null for a quantity", Value::Null),
        create("no input", json!({})),
        create("products that are no list", order_of(&json!({ "length": 1 }))),
        create(
            "an unknown member in a variable",
            order_of(&json!([{ "name": "Dal", "quantity": 1, "price": 5 }])),
        ),
        create("a key of 15 characters", keyed("123456789012345")).about("input.idempotencyKey"),
        create("a key of 256 characters", keyed(&"x".repeat(256))).about("input.idempotencyKey"),
        create("a key with a line break", keyed("12345678901234567890\n")).about("input.idempotencyKey"),
        case(
            "an unknown member in the document",
            "mutation { createOrder(input: {products: [{name: \"Dal\", quantity: 1, price: 5}]}) { id } }",
            &json!({}),
            "BAD_USER_INPUT",
        ),
        case(
            "a quantity of zero in the document",
            "mutation { createOrder(input: {products: [{name: \"Dal\", quantity: 0}]}) { id } }",
            &json!({}),
            "BAD_USER_INPUT",
        )
        .about(first_quantity),
    ]
}

fn other_commands() -> Vec<Case> {
    let cancel = |id: &str, note: &str| json!({ "input": { "id": id, "note": note } });
    let none = json!({});
    vec![
        case(
            "a malformed id to read",
            READ,
            &json!({ "id": "42" }),
            "BAD_USER_INPUT",
        )
        .about("id"),
        case(
            "a malformed id to cancel",
            CANCEL,
            &cancel("42", ""),
            "BAD_USER_INPUT",
        )
        .about("input.id"),
        case("an unknown order", CANCEL, &cancel(ABSENT, ""), "NOT_FOUND"),
        case("an unknown field", "{ orderz { id } }", &none, "BAD_USER_INPUT"),
        case(
            "an unknown argument",
            "{ order(uuid: \"x\") { id } }",
            &none,
            "BAD_USER_INPUT",
        ),
        case("a syntax error", "{ order(id: ", &none, "BAD_USER_INPUT"),
        case("no document", "", &none, "BAD_USER_INPUT"),
        case(
            "a subscription",
            "subscription { onOrderUpdated(id: \"x\") { id } }",
            &none,
            "BAD_USER_INPUT",
        ),
    ]
}

/// Lists that there are not; the operator asks for them.
fn lists() -> Vec<Case> {
    let list = |name, arguments: &str, field| {
        let query = format!("{{ orders({arguments}) {{ nodes {{ id }} }} }}");
        case(name, &query, &json!({}), "BAD_USER_INPUT").about(field)
    };
    let too_costly = format!("{{ orders(first: 100) {{ nodes {{ {} }} }} }}", "id ".repeat(50));
    vec![
        list("first and last", "first: 1, last: 1", "last"),
        list("no order", "first: 0", "first"),
        list("a negative number of orders", "last: -1", "last"),
        list("101 orders", "first: 101", "first"),
        list("a cursor that is none", "after: \"AQAAAA\"", "after"),
        list(
            "an order's id for a cursor",
            &format!("before: \"{ABSENT}\""),
            "before",
        ),
        list("no status", "filter: { status: [] }", "filter.status"),
        list(
            "a time after another",
            "filter: { createdFrom: \"2024-03-01T00:00:01Z\", createdTo: \"2024-03-01T00:00:00Z\" }",
            "filter.createdFrom",
        ),
        case(
            "an unknown status",
            "{ orders(filter: { status: [LOST] }) { nodes { id } } }",
            &json!({}),
            "BAD_USER_INPUT",
        ),
        case(
            "a time that is none",
            "{ orders(filter: { createdTo: \"now\" }) { nodes { id } } }",
            &json!({}),
            "BAD_USER_INPUT",
        ),
        case(
            "a time that is a number",
            "{ orders(filter: { createdTo: 1 }) { nodes { id } } }",
            &json!({}),
            "BAD_USER_INPUT",
        ),
        case(
            "a page of 5,000 fields",
            &too_costly,
            &json!({}),
            "QUERY_TOO_COSTLY",
        ),
    ]
}

/// Documents that would cost far more than they look like.
fn bombs() -> Vec<Case> {
    let bomb = |name, document: &str| case(name, document, &json!({}), "QUERY_TOO_COSTLY");
    vec![
        bomb("fragments that double 28 times", &spreads(28, 2)),
        bomb("five levels of 50 spreads", &spreads(5, 50)),
        bomb("four levels of 60 spreads", &spreads(4, 60)),
        bomb(
            "10,000 selections",
            &format!("{{ {} }}", "__typename ".repeat(1_400)),
        ),
        bomb("31 aliases", &format!("{{ {} }}", aliases(31))),
        bomb(
            "11 operations",
            &(0..11).fold(String::new(), |all, n| {
                all + &format!("query q{n} {{ __typename }}\n")
            }),
        ),
        Case {
            name: "50,000 selections",
            body: json!({ "query": format!("{{ {} }}", "__typename ".repeat(50_000)) }).to_string(),
            code: "PAYLOAD_TOO_LARGE",
            field: None,
        },
    ]
}

fn aliases(number: usize) -> String {
    (0..number).fold(String::new(), |all, n| all + &format!("a{n}: __typename "))
}

fn spreads(levels: usize, wide: usize) -> String {
    let mut document = "query { ...f0 }\n".to_owned();
    for level in 0..levels {
        let inner = format!("...f{} ", level + 1).repeat(wide);
        writeln!(document, "fragment f{level} on Query {{ {inner}}}").unwrap();
    }
    writeln!(document, "fragment f{levels} on Query {{ __typename }}").unwrap();
    document
}

#[tokio::test]
async fn every_bad_request_gets_its_code_and_a_hint_twice_the_same_and_appends_nothing() {
    let api = Api::start().await;
    api.some_order().await;
    let head = api.head().await;
    let customers = orders().into_iter().chain(other_commands()).chain(bombs());
    let operators = lists().into_iter().map(|case| (OPERATOR, case));
    for (
        key,
        Case {
            name,
            body,
            code,
            field,
        },
    ) in customers.map(|case| (WEB, case)).chain(operators)
    {
        let cold = api.post(key, body.clone()).await;
        let warm = api.post(key, body).await;
        assert_eq!(cold.bytes, warm.bytes, "{name}");
        let error = first_error(&cold);
        assert_eq!(error["extensions"]["code"], code, "{name}: {error}");
        assert!(error["errorType"].is_string(), "{name}: {error}");
        if let Some(field) = field {
            assert_eq!(error["extensions"]["field"], field, "{name}: {error}");
        }
        assert!(error["extensions"]["hint"].is_string(), "{name}: {error}");
        assert_eq!(api.head().await, head, "{name}");
    }
}

fn first_error(reply: &Reply) -> Value {
    reply.json()["errors"][0].clone()
}

#[tokio::test]
async fn what_is_no_request_is_refused_with_a_status_and_appends_nothing() {
    let api = Api::start().await;
    let good = json!({ "query": GOOD }).to_string();
    let url = format!("/graphql?query={}", GOOD.replace(' ', "%20").replace('"', "%22"));
    let form = "application/x-www-form-urlencoded";
    let cases = [
        ("a mutation by GET", get(&url), 405, "BAD_USER_INPUT"),
        (
            "a mutation as text/plain",
            post("text/plain", &good),
            415,
            "BAD_USER_INPUT",
        ),
        (
            "a form",
            post(form, &format!("query={GOOD}")),
            415,
            "BAD_USER_INPUT",
        ),
        (
            "a body that is not JSON",
            post(JSON, "mutation"),
            400,
            "BAD_USER_INPUT",
        ),
        ("an empty body", post(JSON, ""), 400, "BAD_USER_INPUT"),
        ("a batch", post(JSON, &format!("[{good}]")), 400, "BAD_USER_INPUT"),
        (
            "a body of 65 KiB",
            post(JSON, &" ".repeat(65 * 1024)),
            413,
            "PAYLOAD_TOO_LARGE",
        ),
    ];
    for (name, request, status, code) in cases {
        let reply = api.send(request).await;
        assert_eq!(reply.status, status, "{name}");
        assert_eq!(reply.code(), code, "{name}");
    }
    assert_eq!(api.head().await.0, 0);
}

const GOOD: &str = "mutation { createOrder(input: {products: [{name: \"Dal\", quantity: 1}]}) { id } }";
const JSON: &str = "application/json";

fn get(url: &str) -> Request<Body> {
    let request = Request::get(url).header("x-api-key", WEB);
    request.body(Body::empty()).unwrap()
}

fn post(content_type: &str, body: &str) -> Request<Body> {
    let request = Request::post("/graphql").header("x-api-key", WEB);
    let request = request.header(CONTENT_TYPE, content_type);
    request.body(Body::from(body.to_owned())).unwrap()
}

#[tokio::test]
async fn a_note_of_501_characters_is_refused() {
    let api = Api::start().await;
    let id = api.some_order().await;
    let reply = api.cancel(WEB, &id, Some(&"x".repeat(501))).await;
    assert_eq!(reply.code(), "BAD_USER_INPUT");
    assert_eq!(reply.error()["extensions"]["field"], "input.note");
    assert!(reply.error()["extensions"]["hint"].is_string());
}

#[tokio::test]
async fn an_order_that_there_is_not_is_null() {
    let api = Api::start().await;
    assert_eq!(
        api.order(WEB, ABSENT).await.json(),
        json!({ "data": { "order": null } })
    );
}
