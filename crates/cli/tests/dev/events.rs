//! The log as an operator follows it from the command line.

use serde_json::Value;
use tiffin_testkit::{Process, command, eventually, free_port, scratch_folder};

use crate::running::{Dev, PATIENCE, TIFFIN, dev, lines, said, spec};

/// The position and kind of each event that a tail with `--json` has printed.
fn told(text: &str) -> Vec<(u64, String)> {
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .filter_map(|line| Some((line["position"].as_u64()?, line["kind"].as_str()?.to_owned())))
        .collect()
}

fn tail(dev: &Dev, arguments: &[&str]) -> Process {
    let mut tail = command(TIFFIN);
    tail.args(["--json", "events", "tail"]).args(arguments);
    tail.env("TIFFIN_NATS_URL", format!("nats://{}", dev.nats));
    Process::start("tail", tail, &dev.data.join("tail"))
}

#[tokio::test]
async fn the_log_is_shown_from_its_beginning_from_a_time_and_of_one_order() {
    let dev = dev().await;
    let placed = dev.run(&["--json", "order", "place", "Dal", "--watch"]);
    let placed = &lines(&placed)[0];
    let (id, at) = (
        placed["id"].as_str().unwrap(),
        placed["createdAt"].as_str().unwrap(),
    );
    let shown = |arguments: &[&str]| {
        let output = dev.run(&[&["events", "tail"], arguments].concat());
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let all = shown(&["--from", "start", "--limit", "7"]);
    let lines: Vec<&str> = all.lines().collect();
    assert_eq!(lines.len(), 7);
    assert!(
        lines[0].contains(" 1 workflow-") && lines[0].ends_with(" workflow-defined"),
        "{all}"
    );
    assert_eq!(
        lines[1],
        format!("{at} 2 {id} order-created 1 PENDING by customer")
    );
    assert!(
        lines[6].ends_with(&format!(" 7 {id} order-advanced 5 DELIVERED")),
        "{all}"
    );
    let since = shown(&["--from", at, "--limit", "1"]);
    assert_eq!(since.trim_end(), lines[1]);
    let of_it = shown(&["--from", "start", "--order", id, "--limit", "6"]);
    assert_eq!(of_it.lines().collect::<Vec<_>>(), lines[1..]);
    for wrong in [&["--from", "yesterday"][..], &["--order", "x"], &["--limit", "0"]] {
        let output = dev.run(&[&["events", "tail"], wrong].concat());
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", said(&output));
    }
}

#[tokio::test]
async fn a_tail_goes_on_after_its_service_and_nats_were_killed_with_no_gap_and_never_twice() {
    let data = scratch_folder("data");
    let nats = format!("127.0.0.1:{}", free_port());
    let service = spec(&data).set("TIFFIN_NATS_LISTEN", &nats).start().await;
    let mut dev = Dev { service, nats, data };
    let following = tail(&dev, &["--from", "start", "--limit", "19"]);
    dev.run(&["order", "place", "Dal", "--watch"]);
    eventually!(within PATIENCE, told(&following.output()).len(), |seen| *seen == 7);
    dev.service.process.kill();
    let news = |text: &str| following.output().contains(text);
    eventually!(within PATIENCE, news("connection lost"), |told| *told);
    dev.service = dev.service.again();
    dev.service.ready().await;
    for _ in 0..2 {
        dev.run(&["order", "place", "Dal", "--watch"]);
    }
    assert_eq!(following.wait(PATIENCE).code(), Some(0), "{}", following.output());
    let positions: Vec<u64> = told(&following.output())
        .into_iter()
        .map(|(position, _)| position)
        .collect();
    assert_eq!(positions, (1..=19).collect::<Vec<_>>());
    assert!(news("the connection is back"));
}
