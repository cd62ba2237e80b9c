//! Services that demand a synchronous standby of their database, which dies and comes back.

use std::time::Duration;

use serde_json::Value;
use tiffin_testkit::{Postgres, Service, eventually};
use tiffin_tests::{
    client::Outcome,
    stack::{Setting, Stack},
};

/// How long a server may take to be missed, or to be there again.
const NOTICED: Duration = Duration::from_secs(30);

/// Whether a service is ready, and what it says of the standby.
async fn standby(service: &Service) -> Option<(bool, String)> {
    let answer = reqwest::get(format!("{}/readyz", service.admin_url()))
        .await
        .ok()?;
    let report: Value = answer.json().await.ok()?;
    let state = report["checks"]["standby"]["state"].as_str()?;
    Some((report["ready"].as_bool()?, state.to_owned()))
}

async fn synchronous(service: &Service) -> Option<String> {
    let metrics = service.metrics().await.ok()?;
    let mut lines = metrics.lines();
    let value =
        lines.find_map(|line| line.strip_prefix("tiffin_database_standbys{mode=\"synchronous\"} "))?;
    Some(value.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_requires_a_standby_is_ready_only_while_one_streams() {
    let postgres = Postgres::start().await;
    let replica = postgres.synchronous_standby().await;
    let required = ("TIFFIN_DATABASE_STANDBY", "required".to_owned());
    let setting = Setting {
        postgres: Some(postgres),
        environment: vec![required],
        ..Setting::default()
    };
    let stack = Stack::start(&setting).await.unwrap();
    let client = stack.client();
    client.place("Dal", "a key for the first order").await.unwrap();

    replica.kill().await;
    for service in stack.services() {
        let said = eventually!(within NOTICED, standby(service).await, |said| {
            said.as_ref().is_some_and(|(ready, _)| !ready)
        });
        let why = "no synchronous standby streams, 0 asynchronous; TIFFIN_DATABASE_STANDBY is required";
        assert_eq!(said.unwrap().1, why);
        eventually!(synchronous(service).await, |count| count.as_deref() == Some("0"));
    }
    // What only one server has is not acknowledged.
    let outcome = client.create("Naan", Some("a key for the second order")).await;
    assert!(!matches!(outcome, Outcome::Done(_)), "{outcome:?}");

    replica.start_again().await;
    for service in stack.services() {
        eventually!(within NOTICED, standby(service).await, |said| {
            said.as_ref().is_some_and(|(ready, state)| *ready && state.starts_with("1 synchronous"))
        });
        eventually!(synchronous(service).await, |count| count.as_deref() == Some("1"));
    }
    client.place("Naan", "a key for the second order").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_that_demand_the_lack_of_a_standby_is_only_told() {
    let stack = Stack::start(&Setting::default()).await.unwrap();
    for service in stack.services() {
        let (ready, state) = standby(service).await.unwrap();
        assert!(ready);
        assert_eq!(state, "no synchronous standby streams, 0 asynchronous");
    }
}
