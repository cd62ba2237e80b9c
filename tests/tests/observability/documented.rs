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
