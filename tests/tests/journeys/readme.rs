//! The README's lines do what it says, copied as they stand.

use std::fs;

use tiffin_testkit::{NatsServer, command, workspace};
use tiffin_tests::stack::{API_KEY, Dev, waits};

/// The key and the address that the README has from `make run`.
const KEY: &str = "da2-tiffindevelopmentkey000000";
const ADDRESS: &str = "http://127.0.0.1:8080";

/// The fenced blocks of a Markdown text, in order, with their languages.
fn blocks(text: &str) -> Vec<(&str, &str)> {
    let fenced = text.split("```").skip(1).step_by(2);
    fenced.filter_map(|block| block.split_once('\n')).collect()
}

/// The text in one line, without what differs from run to run: ids, and the pause before a reconnection. An answer over
/// HTTP ends without a new line.
fn the_same_in_every_run(text: &str) -> String {
    let uuid = |word: &str| word.len() == 36 && word.matches('-').count() == 4;
    let mut text: String = text.split_whitespace().collect();
    if let Some((before, after)) = text.split_once("retry:") {
        text = [
            before,
            after.trim_start_matches(|letter: char| letter.is_ascii_digit()),
        ]
        .concat();
    }
    let words: Vec<_> = text
        .split('"')
        .map(|word| if uuid(word) { "ID" } else { word })
        .collect();
    words.join("\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_placed_and_watched_by_the_lines_of_the_readme() {
    let nats = NatsServer::start().await;
    let dev = Dev::start(&nats, &waits(["1s", "1s", "1s", "1s"])).await.unwrap();
    let readme = fs::read_to_string(workspace().join("README.md")).unwrap();
    let blocks = blocks(&readme);
    let lines = |wanted: &str| {
        let of = blocks.iter().filter(move |(language, body)| {
            *language == wanted && (wanted != "sh" || body.contains("curl "))
        });
        of.map(|(_, body)| *body).collect::<String>()
    };
    let script = lines("sh")
        .replace(ADDRESS, &dev.service.url())
        .replace(KEY, API_KEY);
    let mut shell = command("bash");
    shell.args(["-euc", &format!("exec 2>&1\n{script}")]);
    let output = tokio::task::spawn_blocking(move || shell.output())
        .await
        .unwrap()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let expected = [lines("json"), lines("text")].concat();
    assert_eq!(the_same_in_every_run(&printed), the_same_in_every_run(&expected));
}
