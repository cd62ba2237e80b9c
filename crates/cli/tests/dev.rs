//! `tiffin dev` as a process: it comes up, heals, and leaves nothing behind.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tiffin_testkit::{
    GraphQl, NatsServer, Service, ServiceSpec, command, eventually, free_port, nats_server, scratch_folder,
};

const TIFFIN: &str = env!("CARGO_BIN_EXE_tiffin");
const KEY: &str = "da2-tiffindevelopmentkey000000";
const CREATE: &str =
    "mutation { createOrder(input: { products: [{ name: \"Dal\", quantity: 1 }] }) { status } }";
const PATIENCE: Duration = Duration::from_secs(30);

/// A `tiffin dev` with ports and data of its own.
struct Dev {
    service: Service,
    nats: String,
    data: PathBuf,
}

fn spec(data: &Path) -> ServiceSpec {
    ServiceSpec::of("tiffin", TIFFIN)
        .argument("dev")
        .set("TIFFIN_DATA", data.to_string_lossy())
        .set("TIFFIN_SPEED", "20")
        .set("PATH", path())
}

/// The `PATH` with the nats-server that the tests use.
fn path() -> String {
    let here = std::env::var("PATH").unwrap_or_default();
    match nats_server().parent() {
        Some(folder) if folder.is_absolute() => format!("{}:{here}", folder.display()),
        _ => here,
    }
}

async fn dev() -> Dev {
    let data = scratch_folder("data");
    let nats = format!("127.0.0.1:{}", free_port());
    let service = spec(&data).set("TIFFIN_NATS_LISTEN", &nats).start().await;
    Dev { service, nats, data }
}

impl Dev {
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = command(TIFFIN);
        command.args(arguments).env("TIFFIN_SERVER", self.service.url());
        command.env("TIFFIN_NATS_URL", format!("nats://{}", self.nats));
        command.output().expect("tiffin can be started")
    }

    /// The process id of its nats-server, which starts every line of its log.
    fn nats_pid(&self) -> String {
        let log = fs::read_to_string(self.data.join("nats-server.log")).unwrap_or_default();
        let last = log.lines().last().unwrap_or_default();
        last.trim_start_matches('[')
            .split(']')
            .next()
            .unwrap_or_default()
            .to_owned()
    }

    fn nats_is_up(&self) -> bool {
        TcpStream::connect(&self.nats).is_ok()
    }
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect()
}

fn id(order: &Value) -> String {
    order["id"].as_str().expect("an order").to_owned()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn an_order_is_placed_watched_to_its_end_and_looked_at() {
    let dev = dev().await;
    let placed = dev.run(&["--json", "order", "place", "Dal:2", "Naan", "--watch"]);
    assert!(placed.status.success(), "{}", said(&placed));
    let lines = lines(&placed);
    assert_eq!(
        lines[0]["products"],
        json!([{ "name": "Dal", "quantity": 2 }, { "name": "Naan", "quantity": 1 }])
    );
    let seen: Vec<_> = lines
        .iter()
        .map(|line| (line["version"].as_i64(), line["status"].as_str()))
        .collect();
    let expected = ["PENDING", "PAID", "PREPARING", "OUT_FOR_DELIVERY", "DELIVERED"];
    let expected: Vec<_> = (1..).map(Some).zip(expected.map(Some)).collect();
    assert_eq!(seen, expected);

    let id = lines[0]["id"].as_str().unwrap();
    let shown = dev.run(&["order", "get", id]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(
        shown.starts_with(&format!("{id} DELIVERED\n  2 x Dal\n  1 x Naan\n1 ")),
        "{shown}"
    );
    let history = dev.run(&["--json", "order", "watch", id, "--after-version", "3"]);
    assert_eq!(String::from_utf8_lossy(&history.stdout).lines().count(), 2);
}

#[tokio::test]
async fn the_operator_lists_orders_by_status_and_time_and_customers_do_not() {
    let dev = dev().await;
    let place = || {
        let placed = dev.run(&["--json", "order", "place", "Dal", "--watch"]);
        lines(&placed)[0].clone()
    };
    let (first, second) = (place(), place());
    let key = fs::read_to_string(dev.data.join("operator.key")).unwrap();
    let list = |arguments: &[&str]| -> Vec<String> {
        let all = [
            &["--json", "order", "list", "--operator-key", key.trim()],
            arguments,
        ]
        .concat();
        let output = dev.run(&all);
        assert!(output.status.success(), "{}", said(&output));
        lines(&output).iter().map(id).collect()
    };
    let (old, new) = (id(&first), id(&second));
    eventually!(list(&["--status", "delivered"]), |ids| *ids == [&*new, &*old]);
    assert_eq!(list(&["--limit", "1"]), [&*new]);
    assert_eq!(list(&["--status", "PENDING,CANCELLED"]), Vec::<String>::new());
    let at = second["createdAt"].as_str().unwrap();
    assert_eq!(list(&["--from", at]), [&*new]);
    assert_eq!(list(&["--to", at]), [&*old]);

    let shown = dev.run(&["order", "list", "--operator-key", key.trim()]);
    let expected = format!("{at} {new} DELIVERED\n");
    assert!(String::from_utf8_lossy(&shown.stdout).starts_with(&expected));
    assert_eq!(dev.run(&["order", "list"]).status.code(), Some(4));
    assert_eq!(
        dev.run(&["order", "list", "--status", "LOST"]).status.code(),
        Some(2)
    );
    assert_eq!(
        dev.run(&["order", "list", "--from", "yesterday"]).status.code(),
        Some(2)
    );
}

#[tokio::test]
async fn the_list_of_orders_is_built_anew_and_is_the_same() {
    let dev = dev().await;
    dev.run(&["order", "place", "Dal", "--watch"]);
    let key = fs::read_to_string(dev.data.join("operator.key")).unwrap();
    let list = || {
        let listed = dev.run(&["order", "list", "--operator-key", key.trim()]);
        String::from_utf8(listed.stdout).unwrap()
    };
    let before = eventually!(list(), |list| list.contains("DELIVERED"));
    let rebuilt = dev.run(&["rebuild", "orders"]);
    let text = String::from_utf8_lossy(&rebuilt.stdout);
    assert!(
        text.starts_with("orders: built anew from 7 events in "),
        "{text}{}",
        said(&rebuilt)
    );
    assert_eq!(list(), before);
    let rebuilt = dev.run(&["--json", "rebuild", "orders"]);
    let line = &lines(&rebuilt)[0];
    assert_eq!(line["rebuilt"], "orders");
    // An order of four waits, and its workflow.
    assert_eq!(line["events"], 7);
    assert!(said(&rebuilt).is_empty());
    assert_eq!(
        dev.run(&["rebuild", "orders", "--nats-url", "nats://127.0.0.1:1"])
            .status
            .code(),
        Some(5)
    );
}

#[tokio::test]
async fn each_kind_of_failure_has_its_exit_code() {
    let dev = dev().await;
    let code = |arguments: &[&str]| dev.run(arguments).status.code();
    let unknown = "01900000-0000-7000-8000-000000000000";
    assert_eq!(code(&["order", "get", unknown]), Some(3));
    assert_eq!(code(&["order", "watch", unknown]), Some(3));
    assert_eq!(code(&["order", "cancel", unknown]), Some(3));
    assert_eq!(code(&["order", "place", "Dal:0"]), Some(2));
    assert_eq!(code(&["order", "place"]), Some(2));
    assert_eq!(code(&["order", "get", unknown, "--api-key", "wrong"]), Some(4));
    assert_eq!(
        code(&["order", "get", unknown, "--server", "http://127.0.0.1:1"]),
        Some(5)
    );

    let placed = dev.run(&["--json", "order", "place", "Dal", "--watch"]);
    let id = lines(&placed)[0]["id"].as_str().unwrap().to_owned();
    let late = dev.run(&["--json", "order", "cancel", &id]);
    assert_eq!(late.status.code(), Some(4));
    let error: Value = serde_json::from_str(&said(&late)).unwrap();
    assert_eq!(error["error"]["code"], "ORDER_NOT_CANCELLABLE");
}

#[tokio::test]
async fn an_idempotency_key_makes_one_order_of_many_requests() {
    let dev = dev().await;
    let place = |product| {
        dev.run(&[
            "--json",
            "order",
            "place",
            product,
            "--idempotency-key",
            "a-key-of-16-letters",
        ])
    };
    let (first, second) = (place("Dal"), place("Dal"));
    assert_eq!(lines(&first), lines(&second));
    assert_eq!(place("Naan").status.code(), Some(4));
}

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

#[tokio::test]
async fn a_watch_goes_on_when_the_server_comes_back_and_the_operators_key_stays_the_same() {
    let data = scratch_folder("data");
    let nats = format!("127.0.0.1:{}", free_port());
    let slow = spec(&data)
        .set("TIFFIN_NATS_LISTEN", &nats)
        .set("TIFFIN_SPEED", "5");
    let service = slow.start().await;
    let operator = fs::read_to_string(data.join("operator.key")).unwrap();
    let output = data.join("watch");
    let mut watching = command(TIFFIN);
    watching
        .args(["--json", "order", "place", "Dal", "--watch"])
        .env("TIFFIN_SERVER", service.url());
    let watching = tiffin_testkit::Process::start("watch", watching, &output);
    eventually!(within PATIENCE, watching.output(), |seen| seen.contains("PENDING"));
    service.process.kill();
    let service = service.again();
    service.ready().await;
    assert_eq!(watching.wait(PATIENCE).code(), Some(0));
    let seen = watching.output();
    let seen: Vec<Value> = seen
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let versions: Vec<i64> = seen.iter().filter_map(|line| line["version"].as_i64()).collect();
    assert_eq!(versions, [1, 2, 3, 4, 5]);
    let news: Vec<&str> = seen.iter().filter_map(|line| line["news"].as_str()).collect();
    assert_eq!(news, ["connection lost, trying again", "the connection is back"]);
    assert_eq!(fs::read_to_string(data.join("operator.key")).unwrap(), operator);
    let operator = GraphQl::new(service.url(), operator.trim());
    let answer = operator.post("{ __typename }", json!({})).await.unwrap();
    assert_eq!(answer["data"]["__typename"], "Query");
}

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
