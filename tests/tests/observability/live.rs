//! A real Prometheus that scrapes services under load answers every query of the dashboards and of the alerts.

use std::{fmt::Write as _, fs, time::Duration};

use anyhow::{Context, Result};
use serde_json::Value;
use tiffin_testkit::{
    Process, Service, command, eventually, free_port, prometheus_tool, scratch_folder, workspace,
};
use tiffin_tests::stack::{Setting, Stack};

use crate::{
    dashboards::{dashboards, observability, queries},
    load::load,
};

/// How long an answer may take to come: a rate needs two scrapes.
const PATIENCE: Duration = Duration::from_secs(20);

/// The operators by which an alert compares.
const COMPARISONS: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];

/// A Prometheus with the configuration that is deployed, but for where the services are and how often it looks.
struct Prometheus {
    url: String,
    _process: Process,
}

impl Prometheus {
    async fn start(stack: &Stack) -> Self {
        let (folder, port) = (scratch_folder("prometheus"), free_port());
        let configuration = folder.join("prometheus.yml");
        fs::write(&configuration, configured(stack, port)).expect("our own folder");
        fs::copy(observability("alerts.yml"), folder.join("alerts.yml")).expect("the alerts");
        let mut prometheus = command(prometheus_tool("prometheus"));
        prometheus
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let this = Self {
            url: format!("http://127.0.0.1:{port}"),
            _process: Process::start("prometheus", prometheus, &folder.join("log")),
        };
        let ready = async || {
            reqwest::get(format!("{}/-/ready", this.url))
                .await
                .ok()?
                .error_for_status()
                .ok()
        };
        eventually!(within PATIENCE, ready().await, Option::is_some);
        this
    }

    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value> {
        let url = reqwest::Url::parse_with_params(&format!("{}/api/v1/{path}", self.url), parameters)?;
        let answer: Value = reqwest::get(url).await?.json().await?;
        answer.get("data").cloned().with_context(|| answer.to_string())
    }

    /// The values that a query has now, those that are no numbers left out.
    async fn values(&self, query: &str) -> Result<Vec<f64>> {
        let data = self.get("query", &[("query", query)]).await?;
        let result = data["result"].as_array().context("no vector")?;
        let value = |sample: &Value| sample["value"][1].as_str()?.parse().ok();
        Ok(result
            .iter()
            .filter_map(value)
            .filter(|value: &f64| !value.is_nan())
            .collect())
    }

    /// Waits until a query has a value.
    async fn answers(&self, query: &str) {
        println!("{query}");
        let values = async || self.values(query).await.map_err(|error| error.to_string());
        let values = eventually!(within PATIENCE, values().await, |values| *values != Ok(Vec::new()));
        values.unwrap_or_else(|error| panic!("{query}: {error}"));
    }

    /// The rules of all groups.
    async fn alerts(&self) -> Result<Vec<Value>> {
        let data = self.get("rules", &[]).await?;
        let groups = data["groups"].as_array().context("no groups")?;
        let rules = groups.iter().filter_map(|group| group["rules"].as_array());
        Ok(rules.flatten().cloned().collect())
    }
}

/// The configuration that is deployed, with other targets.
fn configured(stack: &Stack, port: u16) -> String {
    let mut text = String::new();
    let deployed = fs::read_to_string(observability("prometheus.yml")).expect("the configuration");
    for line in deployed.lines() {
        let targets = [
            ("api", &stack.api),
            ("orders", &stack.orders),
            ("notifier", &stack.notifier),
        ];
        let replaced = targets.into_iter().find_map(|(name, replicas)| {
            let found = line.contains(&format!("dns_sd_configs: [{{ names: [{name}], "));
            found.then(|| format!("    static_configs: [{{ targets: [{}] }}]", addresses(replicas)))
        });
        let line =
            replaced.unwrap_or_else(|| line.replace("15s", "500ms").replace("9090", &port.to_string()));
        writeln!(text, "{line}").expect("a string");
    }
    assert_eq!(text.matches("static_configs").count(), 4, "{text}");
    text
}

fn addresses(replicas: &[Service]) -> String {
    let hosts = replicas
        .iter()
        .map(|replica| replica.admin_url().replace("http://", ""));
    hosts.collect::<Vec<_>>().join(", ")
}

/// What an alert looks at, without the numbers to which it compares and without what stands for an answer where there
/// is none.
fn without_thresholds(query: &str) -> String {
    let query = query.replace(" or vector(0)", "");
    let mut kept: Vec<&str> = Vec::new();
    let mut words = query.split(' ').peekable();
    while let Some(word) = words.next() {
        let number = words.peek().map(|next| next.trim_end_matches(')'));
        let compares =
            COMPARISONS.contains(&word) && number.is_some_and(|number| number.parse::<f64>().is_ok());
        if compares {
            let closing = words.next().unwrap_or_default();
            kept.push(closing.trim_start_matches(|letter| letter != ')'));
        } else {
            kept.push(word);
        }
    }
    kept.join(" ")
}

#[test]
fn an_alert_is_looked_at_without_its_thresholds() {
    let query = "(count(up{job=~\"a == 1\"} == 1) or vector(0)) < 3 and on () max(needed) == 1";
    let bare = "(count(up{job=~\"a == 1\"} ))  and on () max(needed) ";
    assert_eq!(without_thresholds(query), bare);
}

#[test]
fn promtool_has_nothing_to_say_against_the_configuration() {
    for (what, file) in [("config", "prometheus.yml"), ("rules", "alerts.yml")] {
        let output = command(prometheus_tool("promtool"))
            .args(["check", what, "--lint-fatal"])
            .arg(observability(file))
            .output()
            .expect("promtool can be started");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn alerts_fire_for_what_they_are_meant() {
    let folder = scratch_folder("alerts");
    let cases = "tests/tests/observability/alerts.test.yml";
    for file in [observability("alerts.yml"), workspace().join(cases)] {
        let name = file.file_name().expect("a file");
        fs::copy(&file, folder.join(name)).expect("our own folder");
    }
    let output = command(prometheus_tool("promtool"))
        .args(["test", "rules"])
        .arg(folder.join("alerts.test.yml"))
        .output()
        .expect("promtool can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_dashboards_and_alerts_has_an_answer_under_load() {
    let stack = Stack::start(&Setting::default()).await.unwrap();
    let prometheus = Prometheus::start(&stack).await;
    let asking = async {
        for (file, dashboard) in dashboards() {
            for query in queries(&dashboard) {
                println!("{file}:");
                let query = query.replace("$__rate_interval", "10s");
                prometheus.answers(&query).await;
            }
        }
        let alerts = prometheus.alerts().await.unwrap();
        assert!(alerts.len() > 20, "{alerts:?}");
        for alert in alerts {
            check(&prometheus, &alert).await;
        }
    };
    let loading = async {
        for round in 0.. {
            load(&stack, round).await;
        }
    };
    tokio::select! {
        () = asking => {}
        () = loading => {}
    }
}

async fn check(prometheus: &Prometheus, alert: &Value) {
    let name = alert["name"].as_str().expect("a name");
    assert_eq!(alert["health"], "ok", "{alert}");
    assert_ne!(alert["state"], "firing", "nothing is wrong, and yet: {alert}");
    let severity = alert["labels"]["severity"].as_str();
    assert!(matches!(severity, Some("critical" | "warning")), "{name}");
    let says = |what: &str| alert["annotations"][what].as_str().unwrap_or_default();
    assert!(
        !says("summary").is_empty() && !says("description").is_empty(),
        "{name}"
    );
    assert_eq!(
        says("runbook"),
        format!("docs/operations.md#{}", name.to_lowercase())
    );
    let query = without_thresholds(alert["query"].as_str().expect("a query"));
    println!("{name}:");
    prometheus.answers(&query).await;
}
