//! What is done with orders from the command line.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tiffin_testkit::{GraphQl, command, eventually, free_port, scratch_folder};

use crate::running::{PATIENCE, TIFFIN, dev, id, lines, said, spec};

#[tokio::test]
async fn an_order_is_placed_watched_to_its_end_and_looked_at() {
    let dev = dev().await;
    let placed = dev.run(&["--json", "order", "place", "Dal:2", "Naan", "--watch"]);
    assert!(placed.status.success(), "{}", said(&placed));
    let lines = lines(&placed);
    assert_eq!(
        lines[0]["products"],
        json!([{ "name": "Dal", "quantity": 2 }, { "name": "Naan", "quantity": 1 }])
    );
    let seen: Vec<_> = lines
        .iter()
        .map(|line| (line["version"].as_i64(), line["status"].as_str()))
        .collect();
    let expected = ["PENDING", "PAID", "PREPARING", "OUT_FOR_DELIVERY", "DELIVERED"];
    let expected: Vec<_> = (1..).map(Some).zip(expected.map(Some)).collect();
    assert_eq!(seen, expected);

    let id = lines[0]["id"].as_str().unwrap();
    let shown = dev.run(&["order", "get", id]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(
        shown.starts_with(&format!("{id} DELIVERED\n  2 x Dal\n  1 x Naan\n1 ")),
        "{shown}"
    );
    let history = dev.run(&["--json", "order", "watch", id, "--after-version", "3"]);
    assert_eq!(String::from_utf8_lossy(&history.stdout).lines().count(), 2);
}

#[tokio::test]
async fn orders_are_generated_at_a_rate_until_there_are_enough() {
    let dev = dev().await;
    let started = Instant::now();
    let generated = dev.run(&["--json", "order", "generate", "--rate", "10", "--limit", "6"]);
    // The first comes at once.
    assert!(
        started.elapsed() >= Duration::from_millis(500),
        "{:?}",
        started.elapsed()
    );
    assert!(generated.status.success(), "{}", said(&generated));
    let ids: BTreeSet<_> = lines(&generated).iter().map(id).collect();
    assert_eq!(ids.len(), 6, "{}", said(&generated));
    let refused = dev.run(&["order", "generate", "--rate", "0"]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
}

#[tokio::test]
async fn the_operator_lists_orders_by_status_and_time_and_customers_do_not() {
    let dev = dev().await;
    let place = || {
        let placed = dev.run(&["--json", "order", "place", "Dal", "--watch"]);
        lines(&placed)[0].clone()
    };
    let (first, second) = (place(), place());
    let key = fs::read_to_string(dev.data.join("operator.key")).unwrap();
    let list = |arguments: &[&str]| -> Vec<String> {
        let all = [
            &["--json", "order", "list", "--operator-key", key.trim()],
            arguments,
        ]
        .concat();
        let output = dev.run(&all);
        assert!(output.status.success(), "{}", said(&output));
        lines(&output).iter().map(id).collect()
    };
    let (old, new) = (id(&first), id(&second));
    eventually!(list(&["--status", "delivered"]), |ids| *ids == [&*new, &*old]);
    assert_eq!(list(&["--limit", "1"]), [&*new]);
    assert_eq!(list(&["--status", "PENDING,CANCELLED"]), Vec::<String>::new());
    let at = second["createdAt"].as_str().unwrap();
    assert_eq!(list(&["--from", at]), [&*new]);
    assert_eq!(list(&["--to", at]), [&*old]);

    let shown = dev.run(&["order", "list", "--operator-key", key.trim()]);
    let expected = format!("{at} {new} DELIVERED\n");
    assert!(String::from_utf8_lossy(&shown.stdout).starts_with(&expected));
    assert_eq!(dev.run(&["order", "list"]).status.code(), Some(4));
    assert_eq!(
        dev.run(&["order", "list", "--status", "LOST"]).status.code(),
        Some(2)
    );
    assert_eq!(
        dev.run(&["order", "list", "--from", "yesterday"]).status.code(),
        Some(2)
    );
}

#[tokio::test]
async fn the_list_of_orders_is_built_anew_and_is_the_same() {
    let dev = dev().await;
    dev.run(&["order", "place", "Dal", "--watch"]);
    let key = fs::read_to_string(dev.data.join("operator.key")).unwrap();
    let list = || {
        let listed = dev.run(&["order", "list", "--operator-key", key.trim()]);
        String::from_utf8(listed.stdout).unwrap()
    };
    let before = eventually!(list(), |list| list.contains("DELIVERED"));
    let rebuilt = dev.run(&["rebuild", "orders"]);
    let text = String::from_utf8_lossy(&rebuilt.stdout);
    assert!(
        text.starts_with("orders: built anew from 7 events in "),
        "{text}{}",
        said(&rebuilt)
    );
    assert_eq!(list(), before);
    let rebuilt = dev.run(&["--json", "rebuild", "orders"]);
    let line = &lines(&rebuilt)[0];
    assert_eq!(line["rebuilt"], "orders");
    // An order of four waits, and its workflow.
    assert_eq!(line["events"], 7);
    assert!(said(&rebuilt).is_empty());
    assert_eq!(
        dev.run(&["rebuild", "orders", "--nats-url", "nats://127.0.0.1:1"])
            .status
            .code(),
        Some(5)
    );
}

#[tokio::test]
async fn each_kind_of_failure_has_its_exit_code() {
    let dev = dev().await;
    let code = |arguments: &[&str]| dev.run(arguments).status.code();
    let unknown = "01900000-0000-7000-8000-000000000000";
    assert_eq!(code(&["order", "get", unknown]), Some(3));
    assert_eq!(code(&["order", "watch", unknown]), Some(3));
    assert_eq!(code(&["order", "cancel", unknown]), Some(3));
    assert_eq!(code(&["order", "place", "Dal:0"]), Some(2));
    assert_eq!(code(&["order", "place"]), Some(2));
    assert_eq!(code(&["order", "get", unknown, "--api-key", "wrong"]), Some(4));
    assert_eq!(
        code(&["order", "get", unknown, "--server", "http://127.0.0.1:1"]),
        Some(5)
    );

    let placed = dev.run(&["--json", "order", "place", "Dal", "--watch"]);
    let id = lines(&placed)[0]["id"].as_str().unwrap().to_owned();
    let late = dev.run(&["--json", "order", "cancel", &id]);
    assert_eq!(late.status.code(), Some(4));
    let error: Value = serde_json::from_str(&said(&late)).unwrap();
    assert_eq!(error["error"]["code"], "ORDER_NOT_CANCELLABLE");
}

#[tokio::test]
async fn an_idempotency_key_makes_one_order_of_many_requests() {
    let dev = dev().await;
    let place = |product| {
        dev.run(&[
            "--json",
            "order",
            "place",
            product,
            "--idempotency-key",
            "a-key-of-16-letters",
        ])
    };
    let (first, second) = (place("Dal"), place("Dal"));
    assert_eq!(lines(&first), lines(&second));
    assert_eq!(place("Naan").status.code(), Some(4));
}

#[tokio::test]
async fn a_watch_goes_on_when_the_server_comes_back_and_the_operators_key_stays_the_same() {
    let data = scratch_folder("data");
    let nats = format!("127.0.0.1:{}", free_port());
    let slow = spec(&data)
        .set("TIFFIN_NATS_LISTEN", &nats)
        .set("TIFFIN_SPEED", "5");
    let service = slow.start().await;
    let operator = fs::read_to_string(data.join("operator.key")).unwrap();
    let output = data.join("watch");
    let mut watching = command(TIFFIN);
    watching
        .args(["--json", "order", "place", "Dal", "--watch"])
        .env("TIFFIN_SERVER", service.url());
    let watching = tiffin_testkit::Process::start("watch", watching, &output);
    eventually!(within PATIENCE, watching.output(), |seen| seen.contains("PENDING"));
    service.process.kill();
    let service = service.again();
    service.ready().await;
    assert_eq!(watching.wait(PATIENCE).code(), Some(0));
    let seen = watching.output();
    let seen: Vec<Value> = seen
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let versions: Vec<i64> = seen.iter().filter_map(|line| line["version"].as_i64()).collect();
    assert_eq!(versions, [1, 2, 3, 4, 5]);
    let news: Vec<&str> = seen.iter().filter_map(|line| line["news"].as_str()).collect();
    assert_eq!(news, ["connection lost, trying again", "the connection is back"]);
    assert_eq!(fs::read_to_string(data.join("operator.key")).unwrap(), operator);
    let operator = GraphQl::new(service.url(), operator.trim());
    let answer = operator.post("{ __typename }", json!({})).await.unwrap();
    assert_eq!(answer["data"]["__typename"], "Query");
}
