//! The page on metrics and the services show the same.

use std::collections::BTreeSet;

use tiffin_testkit::{NatsServer, Service, eventually};
use tiffin_tests::stack::{Dev, Setting, Stack, waits};

use crate::{
    load::load,
    page::{Metrics, add, documented},
};

async fn shown(stack: &Stack) -> Metrics {
    let mut shown = Metrics::new();
    let services = [
        ("api", &stack.api),
        ("orders", &stack.orders),
        ("notifier", &stack.notifier),
    ];
    for (name, replicas) in services {
        for replica in replicas {
            add(&mut shown, name, &metrics(replica).await);
        }
    }
    shown
}

/// What one has and the other has not, or has otherwise.
fn differences(shown: &Metrics, documented: &Metrics) -> Vec<String> {
    let names: BTreeSet<_> = shown.keys().chain(documented.keys()).collect();
    let differs = |name: &&String| match (shown.get(*name), documented.get(*name)) {
        (Some(shown), Some(documented)) if shown == documented => None,
        (Some(shown), Some(documented)) => Some(format!("{name} is {shown:?}, not {documented:?}")),
        (Some(shown), None) => Some(format!("{name} is not documented: {shown:?}")),
        (None, _) => Some(format!("{name} is not shown")),
    };
    names.iter().filter_map(differs).collect()
}

async fn metrics(service: &Service) -> String {
    service.metrics().await.expect("metrics")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_documented_and_every_documented_metric_is_shown() {
    let stack = Stack::start(&Setting::default()).await.unwrap();
    load(&stack, 1).await;
    let documented = documented();
    // The index of wake-ups, whose orders are counted, is up to four seconds behind.
    let differences = async || differences(&shown(&stack).await, &documented);
    eventually!(differences().await, Vec::is_empty);
}

/// What a metric of a service says; none if it is not shown.
fn value(text: &str, line: &str) -> Option<f64> {
    let mut lines = text.lines();
    lines.find_map(|found| found.strip_prefix(line)?.trim().parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_of_ten_orders_is_counted() {
    let stack = Stack::start(&Setting::default()).await.unwrap();
    load(&stack, 1).await;
    let (api, orders, notifier) = (&stack.api[0], &stack.orders[0], &stack.notifier[0]);
    let many = f64::INFINITY;
    for (service, line, least, most) in [
        (api, "tiffin_api_orders_created_total", 10.0, 10.0),
        (api, "tiffin_api_orders_cancelled_total", 1.0, 1.0),
        (
            api,
            "tiffin_api_refused_total{mutation=\"createOrder\",code=\"BAD_USER_INPUT\"}",
            1.0,
            1.0,
        ),
        (api, "tiffin_store_appends_total{outcome=\"written\"}", 10.0, 10.0),
        // A client that had to wait for an answer asks again.
        (
            api,
            "tiffin_api_graphql_request_duration_seconds_count{transport=\"http\"}",
            12.0,
            many,
        ),
        (
            orders,
            "tiffin_orders_changes_total{status=\"DELIVERED\"}",
            9.0,
            9.0,
        ),
        (
            orders,
            "tiffin_orders_changes_total{status=\"CANCELLED\"}",
            1.0,
            1.0,
        ),
        (
            notifier,
            "tiffin_notifier_graphql_requests_total{transport=\"sse\",code=\"OK\"}",
            10.0,
            many,
        ),
        (notifier, "tiffin_notifier_pushes_total", 46.0, many),
    ] {
        let text = metrics(service).await;
        let value = value(&text, line).unwrap_or_else(|| panic!("there is no {line}: {text}"));
        assert!((least..=most).contains(&value), "{line} {value}");
    }
    let text = metrics(orders).await;
    // Four steps each, but of the order that was cancelled; several in a commit.
    let steps = value(&text, "tiffin_orders_step_seconds_count").unwrap();
    let commits = value(&text, "tiffin_store_commit_seconds_count").unwrap();
    assert!(
        steps >= 37.0 && commits > 0.0 && commits <= steps + 1.0,
        "{steps} {commits}"
    );
    assert!(value(&text, "process_open_fds").unwrap() > 10.0);
    assert!(value(&text, "process_cpu_seconds_total").unwrap() > 0.0);
    assert!(value(&text, "process_resident_memory_bytes").unwrap() > 1e6);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_shows_each_metric_of_the_three_services_once() {
    let nats = NatsServer::start().await;
    let dev = Dev::start(&nats, &waits(["0s", "1s", "1s", "1s"])).await.unwrap();
    let mut shown = Metrics::new();
    add(&mut shown, "dev", &metrics(&dev.service).await);
    let documented = documented();
    let unknown: Vec<_> = shown
        .keys()
        .filter(|name| !documented.contains_key(*name))
        .collect();
    assert!(unknown.is_empty(), "shown and not documented: {unknown:#?}");
    for of_one in [
        "tiffin_api_orders_created_total",
        "tiffin_orders_step_seconds",
        "tiffin_notifier_subscribers",
    ] {
        assert!(shown.contains_key(of_one), "{of_one}");
    }
}
