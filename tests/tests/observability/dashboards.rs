//! Dashboards, alerts and the provisioning of Grafana are well formed, as far as that can be told without Grafana.

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde_json::Value;
use tiffin_testkit::workspace;

use crate::page::documented;

/// A file or folder of the deployment.
pub(crate) fn observability(path: &str) -> PathBuf {
    workspace().join("deploy/observability").join(path)
}

/// All dashboards, with the names of their files.
pub(crate) fn dashboards() -> Vec<(String, Value)> {
    let files = fs::read_dir(observability("dashboards")).expect("the dashboards");
    let files = files.map(|file| file.expect("a file").path());
    let read = |path: PathBuf| {
        let name = path.file_name()?.to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).expect("a text");
        let dashboard = serde_json::from_str(&text);
        let dashboard = dashboard.unwrap_or_else(|error| panic!("{error}: {}", path.display()));
        Some((name, dashboard))
    };
    files
        .filter(|path| path.extension().is_some_and(|it| it == "json"))
        .filter_map(read)
        .collect()
}

/// The panels of a dashboard that show something.
fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    let panels = dashboard["panels"].as_array().expect("panels");
    panels.iter().filter(|panel| panel["type"] != "row")
}

/// The queries of a dashboard.
pub(crate) fn queries(dashboard: &Value) -> Vec<String> {
    let targets = panels(dashboard).flat_map(|panel| panel["targets"].as_array().expect("targets"));
    targets
        .map(|target| target["expr"].as_str().expect("a query").to_owned())
        .collect()
}

/// The names of metrics in a text, as the page on metrics writes them.
fn metrics(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let names = words.filter(|word| word.starts_with("tiffin_") || word.starts_with("process_"));
    names
        .map(|name| {
            let part = ["_bucket", "_sum", "_count"];
            part.iter()
                .find_map(|part| name.strip_suffix(part))
                .unwrap_or(name)
        })
        .collect()
}

#[test]
fn dashboards_and_alerts_name_only_metrics_that_are_documented() {
    let documented = documented();
    let alerts = fs::read_to_string(observability("alerts.yml")).expect("the alerts");
    let queries = dashboards()
        .iter()
        .flat_map(|(_, dashboard)| queries(dashboard))
        .collect::<Vec<_>>()
        .join("\n");
    for (what, text) in [("an alert", &alerts), ("a dashboard", &queries)] {
        let metrics = metrics(text);
        assert!(metrics.len() > 10, "{metrics:?}");
        for metric in metrics {
            assert!(documented.contains_key(metric), "{what} names {metric}");
        }
    }
}

#[test]
fn whoever_an_alert_wakes_finds_what_to_do() {
    let page = fs::read_to_string(workspace().join("docs/operations.md")).expect("the page");
    let alerts = fs::read_to_string(observability("alerts.yml")).expect("the alerts");
    let names = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let silent: Vec<_> = names
        .filter(|name| !page.contains(&format!("\n### {name}\n")))
        .collect();
    assert!(silent.is_empty(), "{silent:?}");
    assert_eq!(
        alerts.matches("- alert: ").count(),
        page.matches("\n### ").count()
    );
}

#[test]
fn every_panel_has_what_a_reader_needs() {
    let mut uids = BTreeSet::new();
    for (file, dashboard) in dashboards() {
        let text = |pointer: &str| {
            let text = dashboard.pointer(pointer).and_then(Value::as_str);
            text.unwrap_or_else(|| panic!("{file} has no {pointer}"))
                .to_owned()
        };
        assert!(uids.insert(text("/uid")), "{file}: the uid is another's");
        assert!(
            !text("/title").is_empty() && !text("/description").is_empty(),
            "{file}"
        );
        assert_eq!(text("/templating/list/0/name"), "datasource");
        assert_eq!(text("/templating/list/0/type"), "datasource");
        assert_eq!(text("/templating/list/0/query"), "prometheus");
        let mut ids = BTreeSet::new();
        for panel in panels(&dashboard) {
            let title = panel["title"].as_str().expect("a title");
            assert!(
                ids.insert(panel["id"].as_u64().expect("an id")),
                "{file}: {title}"
            );
            assert!(
                panel
                    .pointer("/fieldConfig/defaults/unit")
                    .is_some_and(Value::is_string),
                "{file}: {title} has no unit"
            );
            let targets = panel["targets"].as_array().expect("targets");
            assert!(!targets.is_empty(), "{file}: {title} asks nothing");
            for source in targets.iter().chain([panel]).map(|it| &it["datasource"]) {
                assert_eq!(source["uid"], "${datasource}", "{file}: {title}");
                assert_eq!(source["type"], "prometheus", "{file}: {title}");
            }
            let refs: BTreeSet<_> = targets.iter().map(|target| target["refId"].as_str()).collect();
            assert!(
                refs.len() == targets.len() && !refs.contains(&None),
                "{file}: {title}"
            );
        }
    }
}

#[test]
fn panels_lie_beside_each_other_and_not_over_each_other() {
    for (file, dashboard) in dashboards() {
        let all = dashboard["panels"].as_array().expect("panels");
        let place = |panel: &Value| {
            ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().expect("a place"))
        };
        for (nth, one) in all.iter().enumerate() {
            let [x, y, w, h] = place(one);
            assert!(x + w <= 24, "{file}: {} is too far to the right", one["title"]);
            for other in &all[nth + 1..] {
                let [left, top, width, height] = place(other);
                let apart = x + w <= left || left + width <= x || y + h <= top || top + height <= y;
                assert!(apart, "{file}: {} lies over {}", one["title"], other["title"]);
            }
        }
    }
}

#[test]
fn the_provisioning_of_grafana_names_what_is_there() {
    let read = |path: &str| fs::read_to_string(observability(path)).expect(path);
    let source = read("grafana/provisioning/datasources/prometheus.yaml");
    for line in [
        "apiVersion: 1",
        "    type: prometheus",
        "    url: http://prometheus:9090",
        "    isDefault: true",
    ] {
        assert!(source.lines().any(|found| found == line), "{line}");
    }
    let provider = read("grafana/provisioning/dashboards/tiffin.yaml");
    for line in [
        "apiVersion: 1",
        "    type: file",
        "      path: /var/lib/grafana/dashboards",
    ] {
        assert!(provider.lines().any(|found| found == line), "{line}");
    }
    let kustomization = read("dashboards/kustomization.yaml");
    let dashboards = dashboards();
    assert_eq!(dashboards.len(), 4);
    for (file, _) in dashboards {
        assert!(kustomization.contains(&file), "{file} is in no ConfigMap");
    }
}
