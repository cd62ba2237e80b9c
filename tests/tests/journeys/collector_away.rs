//! A collector of spans that is away, or is none.

use std::{net::SocketAddr, time::Duration};

use serde_json::json;
use tiffin_testkit::{GraphQl, NatsServer, Postgres, ServiceSpec, command, eventually, program};
use tiffin_tests::{
    collector::Collector,
    stack::{API_KEY, migrate},
};
use tokio::net::TcpSocket;

/// How long a collector that is away may take to be given up.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_collector_that_is_away_is_told_of_once_and_everything_goes_on() {
    let (database, nats) = (
        Postgres::shared().await.database().await,
        NatsServer::start().await,
    );
    migrate(&database.url).await.unwrap();
    // Bound and not listened to, a port refuses, and nobody else gets it.
    let kept = TcpSocket::new_v4().unwrap();
    kept.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let away = kept.local_addr().unwrap();
    let service = ServiceSpec::new("tiffin-api")
        .set("DATABASE_URL", &database.url)
        .set("TIFFIN_NATS_URL", nats.url())
        .set("TIFFIN_API_KEY", API_KEY)
        .set("TIFFIN_TRACE_RATIO", "1")
        .set("OTEL_SERVICE_NAME", "a name of ours")
        .set("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        .set(
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            format!("http://{away}/v1/traces"),
        )
        .start()
        .await;
    let api = GraphQl::new(service.url(), API_KEY);
    let ask = async || api.post("{ __typename }", json!({})).await.unwrap();
    let told = |words: &str| service.process.output().matches(words).count();
    ask().await;
    eventually!(within PATIENCE, told("spans are lost until"), |times| *times == 1);
    let collector = Collector::on(kept.listen(128).unwrap()).unwrap();
    eventually!(within PATIENCE, {
        ask().await;
        told("the collector takes spans again")
    }, |times| *times == 1);
    assert_eq!(told("spans are lost until"), 1);
    let received = collector.all();
    assert!(!received.is_empty());
    assert!(
        received
            .iter()
            .all(|received| received.service == "a name of ours")
    );
}

#[tokio::test]
async fn a_collector_that_cannot_be_spoken_to_is_a_wrong_setting() {
    let mut api = command(program("tiffin-api"));
    api.env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example:4318")
        .env("TIFFIN_LISTEN", "127.0.0.1:0")
        .env("TIFFIN_ADMIN_LISTEN", "127.0.0.1:0");
    let output = tokio::task::spawn_blocking(move || api.output())
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("OTEL_EXPORTER_OTLP_ENDPOINT: name a collector"),
        "{said}"
    );
}
