//! The commands that need no running system.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tiffin_testkit::Postgres;

fn tiffin(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tiffin"))
        .args(arguments)
        .env_remove("DATABASE_URL")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("tiffin can be started");
    // A program that ends without reading all of it is no fault.
    let _unread = child.stdin.take().expect("a pipe").write_all(input);
    child.wait_with_output().expect("a child of ours")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_message_of_the_bus_becomes_a_line_of_json_and_rubbish_an_error() {
    let message = b"\x1a\x0a\x0a\x01x\x12\x05start\xa2\x06\x02\x08\x01";
    let decoded = tiffin(&["decode"], message);
    let json: Value = serde_json::from_str(&out(&decoded)).unwrap();
    assert_eq!(json["orderParked"]["what"], "start");
    let rubbish = tiffin(&["decode"], b"rubbish");
    assert_eq!(rubbish.status.code(), Some(1));
    assert_eq!(out(&rubbish), "");
}

#[test]
fn a_new_key_is_printed_with_its_line() {
    let made = tiffin(&["--json", "keys", "new", "shop", "--role", "customer"], b"");
    let json: Value = serde_json::from_str(&out(&made)).unwrap();
    assert!(json["key"].as_str().unwrap().starts_with("tiffin_"));
    assert!(json["line"].as_str().unwrap().starts_with("shop customer "));
    let text = tiffin(
        &[
            "keys",
            "new",
            "shop",
            "--role",
            "kitchen",
            "--expires",
            "2030-01-31T00:00:00Z",
        ],
        b"",
    );
    let text = out(&text);
    let (key, line) = text.trim_end().split_once('\n').unwrap();
    assert!(!line.contains(key));
    assert!(line.ends_with(" 2030-01-31T00:00:00Z"), "{line}");
    assert_eq!(
        tiffin(&["keys", "new", "shop", "--role", "king"], b"")
            .status
            .code(),
        Some(2)
    );
}

#[test]
fn a_command_line_that_makes_no_sense_is_one_line_and_exit_code_2() {
    for arguments in [
        &["--json"][..],
        &["dance"],
        &["order"],
        &["migrate"],
        &["migrate", "--database-url", "mysql:x"],
    ] {
        let output = tiffin(arguments, b"");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(
            String::from_utf8_lossy(&output.stderr).lines().count(),
            1,
            "{output:?}"
        );
    }
    assert!(out(&tiffin(&["--help"], b"")).contains("Exit codes: 0 done;"));
}

#[tokio::test]
async fn migrations_can_be_repeated_and_a_database_that_is_away_is_exit_code_5() {
    let database = Postgres::shared().await.database().await;
    let migrate = |url: &str| tiffin(&["--json", "migrate", "--database-url", url], b"");
    for _ in 0..2 {
        let output = migrate(&database.url);
        assert_eq!(out(&output), "{\"migrated\":true}\n", "{output:?}");
    }
    assert_eq!(
        migrate("postgres://nobody@127.0.0.1:1/nothing").status.code(),
        Some(5)
    );
}
