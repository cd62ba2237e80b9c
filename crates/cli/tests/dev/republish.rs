//! Events published once more, as an operator asks for it.

use std::process::Output;

use serde_json::Value;
use tiffin_testkit::{command, nats_cli};

use crate::running::{Dev, dev, lines, said};

fn nats(dev: &Dev, arguments: &[&str]) -> Output {
    let mut nats = command(nats_cli());
    nats.args(["-s", &dev.nats]).args(arguments);
    nats.output().expect("the nats program can be started")
}

/// How many messages `ORDER_AGAIN` holds.
fn held(dev: &Dev) -> u64 {
    let info = nats(dev, &["stream", "info", "ORDER_AGAIN", "--json"]);
    let info: Value = serde_json::from_slice(&info.stdout).unwrap_or_default();
    info["state"]["messages"].as_u64().unwrap_or_default()
}

#[tokio::test]
async fn events_are_published_once_more_under_a_name_and_a_name_is_used_once() {
    let dev = dev().await;
    let placed = dev.run(&["--json", "order", "place", "Dal", "--watch"]);
    let placed = &lines(&placed)[0];
    let (id, at) = (
        placed["id"].as_str().unwrap(),
        placed["createdAt"].as_str().unwrap(),
    );
    let done = dev.run(&["--json", "republish", "shop", "--from", "start"]);
    assert!(done.status.success(), "{}", said(&done));
    let line = &lines(&done)[0];
    assert_eq!(line["messages"], 5);
    assert_eq!(
        (&line["stream"], &line["subjects"]),
        (&"ORDER_AGAIN".into(), &"again.shop.>".into())
    );
    let done = dev.run(&["republish", "mine", "--from", at, "--order", id]);
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(
        text.starts_with("5 messages are in the stream ORDER_AGAIN on again.mine.> after "),
        "{text}{}",
        said(&done)
    );
    assert_eq!(held(&dev), 10);
    let last = nats(
        &dev,
        &[
            "stream",
            "get",
            "ORDER_AGAIN",
            "-S",
            "again.shop.order.updated.*",
            "--json",
        ],
    );
    assert!(String::from_utf8_lossy(&last.stdout).contains(id), "{last:?}");
    for wrong in [
        &["shop", "--from", "start"][..],
        &["a.b", "--from", "start"],
        &["x"],
        &["x", "--from", ""],
        &["x", "--from", "yesterday"],
    ] {
        let output = dev.run(&[&["republish"], wrong].concat());
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", said(&output));
    }
}
