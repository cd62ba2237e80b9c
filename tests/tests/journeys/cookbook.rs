//! The commands of the page on NATS print what it says, against `tiffin dev` and against servers with passwords.

use std::{env, path::Path, process::Stdio, time::Duration};

use anyhow::{Result, ensure};
use tiffin_testkit::{NatsServer, command, eventually, nats_cli, program, scratch_folder, workspace};
use tiffin_tests::{
    client::{Client, Outcome, id},
    guarded::Guarded,
    stack::{API_KEY, Dev, waits},
};
use tokio::time::{interval, timeout};
use uuid::Uuid;

/// How long the whole page may take.
const PAGE: Duration = Duration::from_mins(2);

/// How often an order is placed beside the one that is looked at.
const OTHERS: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread")]
async fn the_cookbook_works_against_tiffin_dev() {
    let nats = NatsServer::start().await;
    let waits = waits(["0s", "1s", "1s", "1s"]);
    let dev = Dev::start(&nats, &waits).await.unwrap();
    // The page makes a context for this address.
    let environment = [("NATS_ADDRESS", nats.url())];
    try_page(&dev.client(), &nats.url(), &environment).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookbook_works_for_an_operator_with_a_password() {
    let guarded = Guarded::start().await.unwrap();
    let waits = waits(["0s", "1s", "1s", "1s"]);
    let start = |name| guarded.service(name, &waits);
    let services = futures::join!(start("api"), start("orders"), start("notifier"));
    let (api, _orders, notifier) = (services.0.unwrap(), services.1.unwrap(), services.2.unwrap());
    let client = Client::new(&[api.url()], &[notifier.url()], API_KEY);
    let operator = guarded.nats_url("operator");
    let environment = ["NATS_URL", "NATS_ADDRESS"].map(|name| (name, operator.clone()));
    try_page(&client, &guarded.nats_url("api"), &environment)
        .await
        .unwrap();
}

/// Runs the page's commands for a new order while others are placed, after a message that is parked.
async fn try_page(client: &Client, writer: &str, environment: &[(&str, String)]) -> Result<()> {
    let order = client
        .place("Dal", &format!("cookbook-{}", Uuid::now_v7()))
        .await?;
    // Its message is the stream's first: it is what had the order taken up.
    eventually!(client.order(id(&order)).await, |seen| {
        matches!(seen, Outcome::Done(seen) if seen["status"] != "PENDING")
    });
    let mut publish = command(nats_cli());
    publish.args(["--server", writer, "pub", "order.created.x", "rubbish"]);
    let published = tokio::task::spawn_blocking(move || publish.output()).await??;
    ensure!(published.status.success(), "{published:?}");
    let mut script = command(workspace().join("scripts/cookbook"));
    let own = [nats_cli(), &program("tiffin")].map(|program| program.parent().map(Path::to_owned));
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(own.into_iter().flatten().chain(env::split_paths(&path)))?;
    script
        .arg(id(&order))
        .env("PATH", path)
        .env("XDG_CONFIG_HOME", scratch_folder("nats-contexts"))
        .envs(environment.iter().cloned())
        .stdin(Stdio::null());
    let page = tokio::task::spawn_blocking(move || script.output());
    let others = async {
        let mut turns = interval(OTHERS);
        loop {
            turns.tick().await;
            client
                .place("Naan", &format!("cookbook-{}", Uuid::now_v7()))
                .await?;
        }
    };
    let output = tokio::select! {
        output = timeout(PAGE, page) => output???,
        ended = others => return ended,
    };
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    Ok(())
}
