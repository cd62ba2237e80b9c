//! The load that installations are tried with: it sees all that is there, and whoever comes back goes on where he was.

use clap::Parser;
use tiffin_testkit::NatsServer;
use tiffin_tests::{
    load::{Options, run},
    stack::{API_KEY, Dev, waits},
};

#[tokio::test]
async fn the_load_finds_an_undisturbed_installation_to_lose_nothing() {
    let nats = NatsServer::start().await;
    let dev = Dev::start(&nats, &waits(["0s", "1s", "0s", "1s"])).await.unwrap();
    let url = dev.service.url();
    let options = [
        "load",
        "--url",
        &url,
        "--key",
        API_KEY,
        "--subscribers",
        "20",
        "--rate",
        "10",
    ];
    let options = Options::parse_from(options.into_iter().chain(["--seconds", "4", "--unfailing"]));
    let report = run(&options).await.unwrap();
    assert!(report.is_clean(), "{report}");
    assert!(report.finished() >= 35 && report.updates() >= 100, "{report}");
}

#[tokio::test]
async fn the_load_tells_of_orders_that_are_not_finished() {
    let nats = NatsServer::start().await;
    let dev = Dev::start(&nats, &waits(["0s", "1h", "0s", "0s"])).await.unwrap();
    let url = dev.service.url();
    let options = [
        "load",
        "--url",
        &url,
        "--key",
        API_KEY,
        "--subscribers",
        "2",
        "--rate",
        "10",
    ];
    let options = Options::parse_from(options.into_iter().chain(["--seconds", "1", "--patience", "1"]));
    let report = run(&options).await.unwrap();
    assert!(
        !report.is_clean() && report.to_string().contains("is still \"PAID\""),
        "{report}"
    );
}
