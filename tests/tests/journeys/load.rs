//! The load that installations are tried with: it sees all that is there, and whoever comes back goes on where he was.

use anyhow::Result;
use clap::Parser;
use tiffin_testkit::NatsServer;
use tiffin_tests::{
    load::{Options, Report, run},
    stack::{API_KEY, Dev, waits},
};

/// Ten orders a second, with these options.
async fn load(dev: &Dev, options: &[&str]) -> Result<Report> {
    let url = dev.service.url();
    let always = ["load", "--url", &url, "--key", API_KEY, "--rate", "10"];
    let options = always.iter().chain(options);
    run(&Options::parse_from(options)).await
}

#[tokio::test]
async fn the_load_finds_an_undisturbed_installation_to_lose_nothing() {
    let nats = NatsServer::start().await;
    let dev = Dev::start(&nats, &waits(["0s", "1s", "0s", "1s"])).await.unwrap();
    let report = load(&dev, &["--subscribers", "20", "--seconds", "4", "--unfailing"])
        .await
        .unwrap();
    assert!(report.is_clean(), "{report}");
    assert!(report.finished() >= 35 && report.updates() >= 100, "{report}");
}

#[tokio::test]
async fn the_load_tells_of_orders_that_are_not_finished() {
    let nats = NatsServer::start().await;
    let dev = Dev::start(&nats, &waits(["0s", "1h", "0s", "0s"])).await.unwrap();
    let report = load(&dev, &["--subscribers", "2", "--seconds", "1", "--patience", "1"])
        .await
        .unwrap();
    assert!(
        !report.is_clean() && report.to_string().contains("is still \"PAID\""),
        "{report}"
    );
}
