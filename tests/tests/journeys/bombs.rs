//! Documents that other servers choke on cost next to nothing, and keep nobody waiting.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde_json::json;
use tiffin_testkit::Process;
use tiffin_tests::stack::{API_KEY, Setting, Stack};

/// `levels` fragments, of which each spreads the next `wide` times.
fn fragments(levels: usize, wide: usize) -> String {
    let spread = |level: usize| format!("...F{level} ").repeat(wide);
    let fragment = |level: usize| {
        let next = if level + 1 < levels {
            spread(level + 1)
        } else {
            "__typename".to_owned()
        };
        format!(" fragment F{level} on Query {{ {next} }}")
    };
    let all: Vec<String> = (0..levels).map(fragment).collect();
    format!("{{ {} }} {}", spread(0), all.concat())
}

/// As many pieces, each with its number in place of `#`.
fn numbered(count: usize, piece: &str) -> String {
    let pieces: Vec<String> = (0..count)
        .map(|number| piece.replace('#', &number.to_string()))
        .collect();
    pieces.concat()
}

/// What a bomb is refused as; that it overloaded the server or broke something is no refusal.
const REFUSALS: [&str; 3] = ["QUERY_TOO_COSTLY", "PAYLOAD_TOO_LARGE", "BAD_USER_INPUT"];

fn bombs() -> Vec<(&'static str, String)> {
    let fields = |count| format!("{{ {} }}", "__typename ".repeat(count));
    let operations = |count| numbered(count, "query q# { __typename } ");
    vec![
        ("28 levels of doubled fragments", fragments(28, 2)),
        ("five levels of 50 spreads", fragments(5, 50)),
        ("four levels of 60 spreads", fragments(4, 60)),
        ("50,000 fields", fields(50_000)),
        ("1,400 fields", fields(1_400)),
        ("50,000 operations", operations(50_000)),
        ("200 operations", operations(200)),
        (
            "1,000 aliases",
            format!("{{ {} }}", numbered(1_000, "a#: __typename ")),
        ),
        (
            "600 directives",
            format!("{{ __typename {} }}", "@include(if: true) ".repeat(600)),
        ),
        (
            "a deep list",
            format!("{{ order(id: {}) {{ id }} }}", "[".repeat(8_000)),
        ),
        (
            "deep selections",
            format!("{}{}", "{ order ".repeat(2_000), "}".repeat(2_000)),
        ),
        (
            "fragments in a ring",
            "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }".to_owned(),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_document_costs_more_than_ten_milliseconds_before_it_is_refused() {
    const REPEATS: u32 = 100;
    let stack = Stack::start(&Setting::default()).await.unwrap();
    for (service, path) in [
        (&stack.api[0], "/graphql"),
        (&stack.notifier[0], "/graphql/stream"),
    ] {
        let url = format!("{}{path}", service.url());
        for (name, document) in bombs() {
            let done = AtomicBool::new(false);
            let bombard = async {
                let before = cpu(&service.process).expect("/proc");
                for _ in 0..REPEATS {
                    let answer = send(&url, &document).await.expect("an answer");
                    let refused = REFUSALS.iter().any(|code| answer.contains(code));
                    assert!(refused, "{name}: {answer}");
                }
                done.store(true, Ordering::Relaxed);
                cpu(&service.process).expect("/proc").saturating_sub(before) / REPEATS
            };
            let meanwhile = async {
                while !done.load(Ordering::Relaxed) {
                    beside(&url).await.expect("an answer");
                }
            };
            let (cost, ()) = tokio::join!(bombard, meanwhile);
            println!("{name} at {path}: {cost:?}");
            // The requests beside them are paid from the same purse.
            assert!(cost < Duration::from_millis(10), "{name} at {path}: {cost:?}");
        }
    }
}

async fn send(url: &str, document: &str) -> Result<String> {
    let request = reqwest::Client::new().post(url).header("x-api-key", API_KEY);
    let request = request
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "*/*");
    Ok(request
        .body(json!({ "query": document }).to_string())
        .send()
        .await?
        .text()
        .await?)
}

/// An ordinary request; it has to be answered at once.
async fn beside(url: &str) -> Result<()> {
    let started = Instant::now();
    let answer = send(url, "{ __typename }").await?;
    ensure!(answer.contains("__typename"), "{answer}");
    ensure!(
        started.elapsed() < Duration::from_secs(1),
        "it took {:?}",
        started.elapsed()
    );
    tokio::time::sleep(Duration::from_millis(20)).await;
    Ok(())
}

/// The user and system time that a process has used.
fn cpu(process: &Process) -> Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{}/stat", process.id()))?;
    // The name of the program, in brackets, may hold spaces.
    let (_, fields) = text.rsplit_once(')').context("no name")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    // Linux tells it in hundredths of a second, whatever the kernel's own clock.
    Ok(Duration::from_millis(ticks * 10))
}
