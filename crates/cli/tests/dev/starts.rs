//! What it starts with, and when it does not start.

use std::{fs, net::TcpListener};

use serde_json::{Value, json};
use tiffin_testkit::{GraphQl, NatsServer, command, eventually, free_port, scratch_folder};

use crate::running::{CREATE, KEY, PATIENCE, TIFFIN, path, said, spec};

#[tokio::test]
async fn a_port_in_use_is_one_clear_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for setting in ["TIFFIN_LISTEN", "TIFFIN_ADMIN_LISTEN", "TIFFIN_NATS_LISTEN"] {
        let data = scratch_folder("data").join("new");
        let mut command = command(TIFFIN);
        command.arg("dev").env("TIFFIN_DATA", &data).env("PATH", path());
        for other in ["TIFFIN_LISTEN", "TIFFIN_ADMIN_LISTEN", "TIFFIN_NATS_LISTEN"] {
            command.env(other, format!("127.0.0.1:{}", free_port()));
        }
        let output = command.env(setting, &address).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(!data.exists());
        let text = said(&output);
        let message = text.strip_prefix("error: ").unwrap().strip_suffix('\n').unwrap();
        let expected = format!("cannot listen on {address} ({setting}");
        assert!(message.starts_with(&expected), "{message}");
        assert!(
            message.ends_with("the port is in use by another program"),
            "{message}"
        );
        assert!(!message.contains('\n'), "{message}");
        let output = command.arg("--json").output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let expected = json!({ "error": { "message": message, "code": "FAILED", "hint": null } });
        assert_eq!(serde_json::from_str::<Value>(&said(&output)).unwrap(), expected);
    }
}

#[tokio::test]
async fn a_start_in_vain_leaves_nothing_behind() {
    let data = scratch_folder("data").join("new");
    let refused = |name: &str, value: &str| {
        let mut command = command(TIFFIN);
        command
            .arg("dev")
            .env("TIFFIN_DATA", &data)
            .env("TIFFIN_LISTEN", format!("127.0.0.1:{}", free_port()))
            .env("TIFFIN_ADMIN_LISTEN", format!("127.0.0.1:{}", free_port()))
            .env(name, value);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(said(&output).contains(name), "{output:?}");
        assert_eq!(said(&output).lines().count(), 1, "{output:?}");
        assert!(!data.exists());
    };
    refused("TIFFIN_NATS_LISTEN", "127.0.0.1:0");
    refused("TIFFIN_SAGA", "/nowhere/saga.toml");
    refused("TIFFIN_MAX_CONNECTIONS", "0");
    refused("TIFFIN_NATS_URL", "%%");
    refused("TIFFIN_KEYS", "/nowhere/keys");
    refused("TIFFIN_API_KEY", "short");
}

#[test]
fn a_parent_that_is_gone_before_the_first_look_ends_it() {
    let mut child = command("true").spawn().unwrap();
    let gone = child.id().to_string();
    child.wait().unwrap();
    let mut command = command(TIFFIN);
    command
        .args(["dev", "--end-with-parent", &gone])
        .env("TIFFIN_DATA", scratch_folder("data"))
        .env("TIFFIN_LISTEN", format!("127.0.0.1:{}", free_port()))
        .env("TIFFIN_ADMIN_LISTEN", format!("127.0.0.1:{}", free_port()))
        .env("TIFFIN_NATS_URL", "nats://127.0.0.1:1");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(said(&output).contains("the parent process is gone"), "{output:?}");
}

#[tokio::test]
async fn a_nats_server_that_is_named_is_used_and_none_is_started() {
    let nats = NatsServer::start().await;
    let data = scratch_folder("data");
    let service = spec(&data).set("TIFFIN_NATS_URL", nats.url()).start().await;
    assert!(!data.join("nats-server.log").exists());
    let client = GraphQl::new(service.url(), KEY);
    let answer = client.post(CREATE, json!({})).await.unwrap();
    assert_eq!(answer["data"]["createOrder"]["status"], "PENDING");
}

#[tokio::test]
async fn without_nats_it_is_up_at_once_says_so_and_takes_orders() {
    let spec = |url: &str| spec(&scratch_folder("data")).set("TIFFIN_NATS_URL", url);
    let service = spec("nats://me:secret@127.0.0.1:1").start().await;
    let output = || service.process.output();
    let output = eventually!(output(), |text| text.contains("Ctrl-C stops everything"));
    assert!(
        output.contains("nats://127.0.0.1:1  (not reached yet"),
        "{output}"
    );
    let warnings = output.matches("cannot connect to NATS").count();
    assert_eq!(warnings, 1, "{output}");
    assert!(!output.contains("secret"), "{output}");
    let client = GraphQl::new(service.url(), KEY);
    let answer = client.post(CREATE, json!({})).await.unwrap();
    assert_eq!(answer["data"]["createOrder"]["status"], "PENDING");

    let wrong = spec("%%").launch();
    assert_eq!(wrong.process.wait(PATIENCE).code(), Some(2));
    let output = wrong.process.output();
    assert!(output.ends_with("write nats://127.0.0.1:4222\n"), "{output}");
}

#[tokio::test]
async fn keys_come_from_files_too_and_the_default_key_then_opens_nothing() {
    let folder = scratch_folder("keys");
    let file = folder.join("api-key");
    fs::write(&file, "a-key-from-a-file\n").unwrap();
    let nats = format!("127.0.0.1:{}", free_port());
    let spec = spec(&folder.join("data")).set("TIFFIN_NATS_LISTEN", nats);
    let service = spec
        .set("TIFFIN_API_KEY_FILE", file.to_string_lossy())
        .start()
        .await;
    let known = GraphQl::new(service.url(), "a-key-from-a-file")
        .post("{ __typename }", json!({}))
        .await
        .unwrap();
    assert_eq!(known["data"]["__typename"], "Query");
    let unknown = GraphQl::new(service.url(), KEY)
        .post("{ __typename }", json!({}))
        .await
        .unwrap();
    assert_eq!(unknown["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
}
