//! One trace is an order's whole way, from the client's request to the subscriber's screen, and nothing else is one.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use tiffin_testkit::{GraphQl, Received as Answer};
use tiffin_tests::{
    client::id,
    collector::{Collector, Received, hex, tree},
    stack::{API_KEY, Setting, Stack, waits},
};

/// How long orders of four seconds may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

const UNSAMPLED: &str = "00-11111111111111111111111111111111-1111111111111111-00";
const PLACING: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const CANCELLING: &str = "00-22222222222222222222222222222222-00f067aa0ba902b8-01";
const CANCELLED: &str = "00-33333333333333333333333333333333-00f067aa0ba902b9-01";

/// What only the customer and the kitchen are to read.
const CANARY: &str = "A canary that sings in no log";

/// What follows from a request, but for the pushes.
const WAY: &str = "\
api: POST /graphql
 api: append events
  api: order.created publish
   orders: order.created process
    orders: saga start
     orders: append events
      orders: saga wake
       orders: append events
        orders: order.updated publish
         notifier: order.updated process
        orders: saga wake
         orders: append events
          orders: order.updated publish
           notifier: order.updated process
          orders: saga wake
           orders: append events
            orders: order.updated publish
             notifier: order.updated process
            orders: saga wake
             orders: append events
              orders: order.updated publish
               notifier: order.updated process
";

/// What follows from a cancellation.
const WAY_OUT: &str = "\
api: POST /graphql
 api: orders.order.cancel
  orders: orders.order.cancel
   orders: saga cancel
    orders: append events
     orders: order.updated publish
      notifier: order.updated process
";

/// The filter by which docs/tracing.md shows an ordinary order's lines.
const STEPS_TOO: &str = "info,async_nats=off,sqlx=off,tiffin_api::place=debug,tiffin_orders::saga=debug";

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_spans_request_append_publication_step_and_push_through_all_services() {
    let collector = Collector::start("127.0.0.1:0").await.unwrap();
    let setting = Setting {
        waits: waits(["1s", "1s", "1s", "1s"]),
        environment: vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()),
            ("TIFFIN_TRACE_RATIO", "0".to_owned()),
            ("TIFFIN_LOG", STEPS_TOO.to_owned()),
        ],
        ..Setting::default()
    };
    let stack = Stack::start(&setting).await.unwrap();
    let api = GraphQl::new(stack.api[0].url(), API_KEY);
    let notifier = GraphQl::new(stack.notifier[0].url(), API_KEY);

    for trace in [None, Some(UNSAMPLED)] {
        let order = place(&api, trace).await.unwrap();
        assert_eq!(watch(&notifier, &order).await.unwrap(), "DELIVERED");
    }
    let order = place(&api, Some(PLACING)).await.unwrap();
    assert_eq!(watch(&notifier, &order).await.unwrap(), "DELIVERED");
    let cancelled = place(&api, Some(CANCELLED)).await.unwrap();
    cancel(&api, &cancelled, CANCELLING).await.unwrap();
    assert_eq!(watch(&notifier, &cancelled).await.unwrap(), "CANCELLED");

    let stack = tokio::task::spawn_blocking(|| stopped(stack)).await.unwrap();
    let spans = without_vain_calls(collector.trace(trace_id(PLACING)));
    let (pushes, way) = spans
        .iter()
        .cloned()
        .partition::<Vec<_>, _>(|received| received.span.name == "order.updated push");
    assert_eq!(tree(&way, &span_id(PLACING)), WAY);
    assert_eq!(way.len(), WAY.lines().count(), "some are below nothing: {way:#?}");
    are_below_what_brought_them(&pushes, &way).unwrap();
    for received in &spans {
        let about = received.attribute("tiffin.order.id");
        let request = received.span.name == "POST /graphql";
        assert!(request || about.as_deref() == Some(id(&order)), "{received:?}");
        assert!(received.span.end_time_unix_nano >= received.span.start_time_unix_nano);
    }
    are_of_their_kinds(&spans).unwrap();

    let spans = without_vain_calls(collector.trace(trace_id(CANCELLING)));
    assert_eq!(without_pushes(&spans, CANCELLING), WAY_OUT);
    let step = spans.iter().find(|it| it.span.name == "saga cancel").unwrap();
    let [link] = &step.span.links[..] else {
        panic!("{step:?}")
    };
    assert_eq!(hex(&link.trace_id), trace_id(CANCELLED));

    let known = [PLACING, CANCELLING, CANCELLED].map(trace_id);
    for received in collector.all() {
        assert!(
            known.contains(&&*hex(&received.span.trace_id)),
            "nobody wanted {received:?}"
        );
        assert!(!format!("{received:?}").contains(CANARY), "{received:?}");
    }
    logs_tell_of_the_order_and_of_nobody(&stack, &order).unwrap();
}

async fn place(api: &GraphQl, trace: Option<&'static str>) -> Result<Value> {
    let query = "mutation($name: String!) { createOrder(input: { products: [{ name: $name, quantity: 1 }] }) { id } }";
    let answer = post(api, query, json!({ "name": CANARY }), trace).await?;
    Ok(answer["data"]["createOrder"].clone())
}

async fn cancel(api: &GraphQl, order: &Value, trace: &'static str) -> Result<()> {
    let query =
        "mutation($id: ID!, $note: String) { cancelOrder(input: { id: $id, note: $note }) { status } }";
    let variables = json!({ "id": id(order), "note": CANARY });
    let answer = post(api, query, variables, Some(trace)).await?;
    ensure!(answer["data"]["cancelOrder"]["status"] == "CANCELLED", "{answer}");
    Ok(())
}

async fn post(api: &GraphQl, query: &str, variables: Value, trace: Option<&'static str>) -> Result<Value> {
    let mut headers = HeaderMap::new();
    if let Some(trace) = trace {
        headers.insert("traceparent", HeaderValue::from_static(trace));
    }
    Ok(api.post_with(query, variables, headers).await?.1)
}

/// Watches an order to its end, and returns the status it ends with.
async fn watch(notifier: &GraphQl, order: &Value) -> Result<Value> {
    let mut socket = notifier.websocket().await?;
    let query = "subscription($id: ID!) { onOrderUpdated(id: $id) { status } }";
    socket.subscribe("1", query, json!({ "id": id(order) })).await?;
    let mut last = Value::Null;
    loop {
        match tokio::time::timeout(PATIENCE, socket.next()).await?? {
            Answer::Message(message) if message["type"] == "next" => {
                last = message["payload"]["data"]["onOrderUpdated"]["status"].clone();
            }
            Answer::Message(message) if message["type"] == "complete" => return Ok(last),
            other => bail!("{other:?}"),
        }
    }
}

/// Stops all services in order; what they recorded has been sent by then.
fn stopped(stack: Stack) -> Stack {
    for service in stack.services() {
        service.process.terminate();
    }
    for service in stack.services() {
        assert!(service.process.wait(PATIENCE).success());
    }
    stack
}

/// A push is below the message that brought the update, or below its append where the log was faster.
fn are_below_what_brought_them(pushes: &[Received], way: &[Received]) -> Result<()> {
    let versions: Vec<_> = pushes
        .iter()
        .filter_map(|push| push.attribute("tiffin.order.version"))
        .collect();
    assert_eq!(versions, ["2", "3", "4", "5"]);
    let mut by_message = 0;
    for push in pushes {
        let parent = way.iter().find(|it| it.span.span_id == push.span.parent_span_id);
        match parent.context("below nothing")?.span.name.as_str() {
            "order.updated process" => by_message += 1,
            "append events" => {}
            other => bail!("a push below {other}"),
        }
    }
    ensure!(by_message > 0, "no message was faster than the log");
    Ok(())
}

/// As OpenTelemetry's conventions have it.
fn are_of_their_kinds(spans: &[Received]) -> Result<()> {
    for received in spans {
        let has = |key: &str, value: &str| {
            assert_eq!(received.attribute(key).as_deref(), Some(value), "{received:?}");
        };
        let kind = received.span.kind().as_str_name();
        let expected = match received.span.name.as_str() {
            "POST /graphql" => {
                has("http.request.method", "POST");
                has("http.route", "/graphql");
                has("http.response.status_code", "200");
                has("graphql.operation.type", "mutation");
                "SPAN_KIND_SERVER"
            }
            "append events" => {
                has("db.system.name", "postgresql");
                has("db.operation.name", "append");
                "SPAN_KIND_CLIENT"
            }
            "order.updated push" => "SPAN_KIND_PRODUCER",
            name if name.starts_with("saga ") => "SPAN_KIND_INTERNAL",
            name => {
                let (subject, operation) = name.split_once(' ').context("one word")?;
                has("messaging.system", "nats");
                has("messaging.operation.name", operation);
                has("messaging.destination.template", &format!("{subject}.{{id}}"));
                if operation == "publish" {
                    "SPAN_KIND_PRODUCER"
                } else {
                    "SPAN_KIND_CONSUMER"
                }
            }
        };
        assert_eq!(kind, expected, "{received:?}");
    }
    Ok(())
}

/// A line about an order names it, its version and its trace; no line says what somebody wrote.
fn logs_tell_of_the_order_and_of_nobody(stack: &Stack, order: &Value) -> Result<()> {
    let mut told = Vec::new();
    for service in stack.services() {
        let log = service.process.output();
        assert!(!log.contains(CANARY), "{log}");
        for line in log.lines().filter(|line| line.contains(trace_id(PLACING))) {
            let line: Value = serde_json::from_str(line)?;
            assert_eq!(line["order.id"], order["id"], "{line}");
            assert_eq!(line["trace_id"], trace_id(PLACING), "{line}");
            let message = line["message"].as_str().context("a message")?;
            let version = line["order.version"].as_u64().context("a version")?;
            told.push(format!("{message} {version}"));
        }
    }
    let placed = ["order placed 1".to_owned()].into_iter();
    let moved = (1..=5).map(|version| format!("order moved {version}"));
    assert_eq!(told, placed.chain(moved).collect::<Vec<_>>());
    Ok(())
}

/// On a busy machine an order may be called for its next step twice; whoever comes second finds it done.
fn without_vain_calls(spans: Vec<Received>) -> Vec<Received> {
    let parents: Vec<_> = spans.iter().map(|it| it.span.parent_span_id.clone()).collect();
    let in_vain = |it: &Received| it.span.name == "saga wake" && !parents.contains(&it.span.span_id);
    spans.into_iter().filter(|it| !in_vain(it)).collect()
}

fn without_pushes(spans: &[Received], request: &str) -> String {
    let way: Vec<_> = spans
        .iter()
        .filter(|received| received.span.name != "order.updated push")
        .cloned()
        .collect();
    tree(&way, &span_id(request))
}

fn trace_id(traceparent: &str) -> &str {
    &traceparent[3..35]
}

fn span_id(traceparent: &str) -> [u8; 8] {
    let id = u64::from_str_radix(&traceparent[36..52], 16);
    id.expect("16 digits").to_be_bytes()
}
