//! How it ends, and its nats-server with it.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;
use tiffin_testkit::{eventually, free_port, scratch_folder};

use crate::running::{Dev, PATIENCE, dev, spec};

#[tokio::test]
async fn a_nats_server_that_dies_is_started_again() {
    let dev = dev().await;
    let first = dev.nats_pid();
    assert!(
        Command::new("kill")
            .args(["-KILL", &first])
            .status()
            .unwrap()
            .success()
    );
    eventually!(within PATIENCE, dev.nats_pid(), |pid| !pid.is_empty() && *pid != first);
    let ready = format!("{}/readyz", dev.service.admin_url());
    let connected = async || {
        anyhow::Ok(reqwest::get(&ready).await?.json::<Value>().await?["checks"]["nats"]["ok"] == true)
    };
    eventually!(within PATIENCE, connected().await.unwrap_or(false), |connected| *connected);
}

#[tokio::test]
async fn its_nats_server_ends_with_it_even_when_it_is_killed() {
    let dev = dev().await;
    assert!(dev.nats_is_up());
    dev.service.process.kill();
    eventually!(within PATIENCE, dev.nats_is_up(), |up| !up);
}

#[tokio::test]
async fn a_sigterm_stops_everything_in_good_order() {
    let dev = dev().await;
    dev.service.process.terminate();
    assert_eq!(dev.service.process.wait(PATIENCE).code(), Some(0));
    assert!(!dev.nats_is_up());
    let log = fs::read_to_string(dev.data.join("nats-server.log")).unwrap();
    assert!(log.contains("JetStream Shutdown"), "{log}");
}

#[tokio::test]
async fn a_nats_server_that_does_not_end_is_killed_within_the_grace() {
    let data = scratch_folder("data");
    let nats = format!("127.0.0.1:{}", free_port());
    let grace = Duration::from_secs(2);
    let spec = spec(&data).set("TIFFIN_NATS_LISTEN", &nats);
    let service = spec.set("TIFFIN_GRACE", "2").start().await;
    let dev = Dev { service, nats, data };
    let frozen = dev.nats_pid();
    let signal = |name: &str| {
        let sent = Command::new("kill").args([name, &frozen]).output();
        sent.unwrap().status.success()
    };
    assert!(signal("-STOP"));
    let asked = Instant::now();
    dev.service.process.terminate();
    assert_eq!(dev.service.process.wait(PATIENCE).code(), Some(0));
    assert!(
        asked.elapsed() < grace + Duration::from_secs(1),
        "{:?}",
        asked.elapsed()
    );
    assert!(!signal("-0"), "it is still there");
}
