//! A `tiffin dev`, and what it said.

use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use serde_json::Value;
use tiffin_testkit::{Service, ServiceSpec, command, free_port, nats_server, scratch_folder};

pub(crate) const TIFFIN: &str = env!("CARGO_BIN_EXE_tiffin");
pub(crate) const KEY: &str = "da2-tiffindevelopmentkey000000";
pub(crate) const CREATE: &str =
    "mutation { createOrder(input: { products: [{ name: \"Dal\", quantity: 1 }] }) { status } }";
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A `tiffin dev` with ports and data of its own.
pub(crate) struct Dev {
    pub(crate) service: Service,
    pub(crate) nats: String,
    pub(crate) data: PathBuf,
}

pub(crate) fn spec(data: &Path) -> ServiceSpec {
    ServiceSpec::of("tiffin", TIFFIN)
        .argument("dev")
        .set("TIFFIN_DATA", data.to_string_lossy())
        .set("TIFFIN_SPEED", "20")
        .set("PATH", path())
}

/// The `PATH` with the nats-server that the tests use.
pub(crate) fn path() -> String {
    let here = std::env::var("PATH").unwrap_or_default();
    match nats_server().parent() {
        Some(folder) if folder.is_absolute() => format!("{}:{here}", folder.display()),
        _ => here,
    }
}

pub(crate) async fn dev() -> Dev {
    let data = scratch_folder("data");
    let nats = format!("127.0.0.1:{}", free_port());
    let service = spec(&data).set("TIFFIN_NATS_LISTEN", &nats).start().await;
    Dev { service, nats, data }
}

impl Dev {
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let mut command = command(TIFFIN);
        command.args(arguments).env("TIFFIN_SERVER", self.service.url());
        command.env("TIFFIN_NATS_URL", format!("nats://{}", self.nats));
        command.output().expect("tiffin can be started")
    }

    /// The process id of its nats-server, which starts every line of its log.
    pub(crate) fn nats_pid(&self) -> String {
        let log = fs::read_to_string(self.data.join("nats-server.log")).unwrap_or_default();
        let last = log.lines().last().unwrap_or_default();
        last.trim_start_matches('[')
            .split(']')
            .next()
            .unwrap_or_default()
            .to_owned()
    }

    pub(crate) fn nats_is_up(&self) -> bool {
        TcpStream::connect(&self.nats).is_ok()
    }
}

pub(crate) fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect()
}

pub(crate) fn id(order: &Value) -> String {
    order["id"].as_str().expect("an order").to_owned()
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
