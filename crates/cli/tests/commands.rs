//! The commands that need no running system.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use axum::Router;
use serde_json::Value;
use tiffin_runtime::{HttpServer, HttpSettings, Lifecycle};
use tiffin_testkit::{Postgres, command, scratch_folder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

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

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
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
        &["keys", "new", "", "--role", "kitchen"],
        &[
            "keys",
            "new",
            "bob",
            "--role",
            "kitchen",
            "--expires",
            "2020-01-01T00:00:00Z",
        ],
        &["order", "place", "Dal:x"],
        &["order", "get", "ID", "--api-key", "no key"],
        &["order", "watch", "ID", "--after-version", "-1"],
    ] {
        let output = tiffin(arguments, b"");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(error(&output).lines().count(), 1, "{output:?}");
    }
    assert!(out(&tiffin(&["--help"], b"")).contains("Exit codes: 0 done;"));
}

#[test]
fn a_server_that_is_no_address_is_named_with_its_setting_and_an_address_that_is_one() {
    for server in ["127.0.0.1:8080", "localhost:8080", ""] {
        let said = error(&tiffin(&["order", "get", "ID", "--server", server], b""));
        assert!(said.contains("(TIFFIN_SERVER)"), "{said}");
        assert!(said.contains("http://127.0.0.1:8080"), "{said}");
    }
}

#[test]
fn a_refused_connection_has_a_code_and_the_same_hint_for_every_command() {
    for order in [&["get", "ID"], &["place", "Dal"], &["cancel", "ID"]] {
        let server = ["--json", "--server", "http://127.0.0.1:1"];
        let output = tiffin(&[&["order"][..], order, &server].concat(), b"");
        assert_eq!(output.status.code(), Some(5));
        let json: Value = serde_json::from_str(&error(&output)).unwrap();
        assert_eq!(json["error"]["code"], "UNAVAILABLE");
        let hint = json["error"]["hint"].as_str().unwrap();
        assert!(hint.starts_with("Start everything with `tiffin dev`"), "{hint}");
    }
}

#[tokio::test]
async fn a_port_that_speaks_no_tls_is_told_from_one_that_is_away() {
    let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = plain.local_addr().unwrap();
    let answer = tokio::spawn(async move {
        let (mut client, _) = plain.accept().await.unwrap();
        client
            .write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        // Until it has read the answer and gone.
        let _gone = client.read_to_end(&mut Vec::new()).await;
    });
    let server = format!("https://{address}");
    let get = move || tiffin(&["order", "get", "ID", "--server", &server], b"");
    let said = error(&tokio::task::spawn_blocking(get).await.unwrap());
    answer.await.unwrap();
    let expected = format!("it does not speak TLS; try http://{address}");
    assert!(said.contains(&expected), "{said}");
}

#[tokio::test]
async fn a_port_that_speaks_tls_and_a_certificate_that_nobody_knows_are_told_with_what_to_do() {
    let folder = scratch_folder("tls");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.join("certificate"), folder.join("key"));
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let settings = HttpSettings {
        listen: ([127, 0, 0, 1], 0).into(),
        max_connections: 10,
        tls_cert: Some(certificate.clone()),
        tls_key: Some(key),
    };
    let server = HttpServer::bind(&settings).unwrap();
    let port = server.address().unwrap().port();
    let lifecycle = Lifecycle::new(Duration::from_secs(1));
    server.serve(Router::new(), &lifecycle);
    let place = async |scheme: &str, trusted: Option<&Path>| {
        let mut place = command(env!("CARGO_BIN_EXE_tiffin"));
        let server = format!("{scheme}://localhost:{port}");
        place.args(["order", "place", "Dal", "--server", &server]);
        if let Some(trusted) = trusted {
            place.env("SSL_CERT_FILE", trusted);
        }
        let output = tokio::task::spawn_blocking(move || place.output())
            .await
            .unwrap()
            .unwrap();
        error(&output)
    };
    let said = place("http", None).await;
    assert!(said.contains(&format!("try https://localhost:{port}")), "{said}");
    assert!(!said.contains("may have been placed"), "{said}");
    let said = place("https", None).await;
    assert!(
        said.contains("its certificate is not trusted: ") && said.contains("SSL_CERT_FILE"),
        "{said}"
    );
    // It is spoken to, and has nothing to say.
    let said = place("https", Some(&certificate)).await;
    assert!(said.contains("does not answer queries and mutations"), "{said}");
}

#[test]
fn whoever_has_read_enough_is_no_error() {
    for arguments in [&["--help"][..], &["keys", "new", "shop", "--role", "customer"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(env!("CARGO_BIN_EXE_tiffin"));
        let output = command
            .args(arguments)
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(!error(&output).contains("error"), "{output:?}");
    }
}

#[tokio::test]
async fn migrations_can_be_repeated_and_a_database_that_is_away_is_exit_code_5() {
    let database = Postgres::shared().await.database().await;
    let migrate = |url: &str| tiffin(&["--json", "migrate", "--database-url", url], b"");
    for _ in 0..2 {
        let output = migrate(&database.url);
        assert_eq!(out(&output), "{\"migrated\":true}\n", "{output:?}");
    }
    let away = migrate("postgres://nobody:secret@127.0.0.1:1/nothing");
    assert_eq!(away.status.code(), Some(5));
    let json: Value = serde_json::from_str(&error(&away)).unwrap();
    let message = json["error"]["message"].as_str().unwrap();
    assert!(message.contains("postgres://127.0.0.1:1/nothing: "), "{message}");
}

#[tokio::test]
async fn whoever_migrates_is_told_at_once_that_the_database_is_away_and_otherwise_what_to_do() {
    let mut waiting = Command::new(env!("CARGO_BIN_EXE_tiffin"))
        .args([
            "migrate",
            "--database-url",
            "postgres://nobody@127.0.0.1:1/nothing",
        ])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    let mut line = String::new();
    BufReader::new(waiting.stderr.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(started.elapsed() < Duration::from_secs(5), "it took its time");
    waiting.kill().unwrap();
    waiting.wait().unwrap();
    assert!(
        line.contains("the database does not answer; trying again"),
        "{line}"
    );

    let database = Postgres::shared().await.database().await;
    let url = format!("{}-that-is-not-there", database.url);
    let output = tiffin(&["migrate", "--database-url", &url], b"");
    let text = error(&output);
    assert_eq!(text.matches("does not exist").count(), 1, "{text}");
    assert!(!text.contains("at line"), "{text}");
    assert!(text.contains("hint: Create the database"), "{text}");
}
