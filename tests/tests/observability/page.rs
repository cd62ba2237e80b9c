//! What docs/metrics.md says of each metric, and what a service shows, in the same words.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use tiffin_testkit::workspace;

/// A metric, without what it counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Metric {
    pub(crate) kind: String,
    pub(crate) labels: BTreeSet<String>,
    pub(crate) services: BTreeSet<String>,
}

/// Metrics by name.
pub(crate) type Metrics = BTreeMap<String, Metric>;

/// What the page says.
pub(crate) fn documented() -> Metrics {
    let page = fs::read_to_string(workspace().join("docs/metrics.md")).expect("the page");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, name, kind, labels, services, meaning, _normal, _] = cells[..] else {
            panic!("not a row of six cells: {row}");
        };
        assert!(!meaning.is_empty(), "{name} means nothing");
        let services = match services {
            "all" => "api, orders, notifier",
            some => some,
        };
        let metric = Metric {
            kind: kind.to_owned(),
            labels: words(labels),
            services: words(services),
        };
        (name.trim_matches('`').to_owned(), metric)
    })
    .collect()
}

fn words(text: &str) -> BTreeSet<String> {
    let words = text.split(", ").filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// Adds what a service shows to what others do. A metric that comes twice would be refused by Prometheus.
pub(crate) fn add(shown: &mut Metrics, service: &str, text: &str) {
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        let Some(described) = line.strip_prefix("# TYPE ") else {
            continue;
        };
        let (name, kind) = described.split_once(' ').expect("a name and a type");
        let name = match kind {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.to_owned(),
        };
        assert!(seen.insert(name.clone()), "{service} shows {name} twice");
        let metric = shown.entry(name.clone()).or_default();
        kind.clone_into(&mut metric.kind);
        metric.services.insert(service.to_owned());
        let samples = text.lines().filter_map(|line| sample(line, &name));
        metric.labels.extend(samples.flatten());
    }
}

/// The names of the labels of a line that shows this metric.
fn sample<'a>(line: &'a str, name: &str) -> Option<impl Iterator<Item = String> + use<'a>> {
    let rest = line.strip_prefix(name)?;
    let rest = rest.strip_prefix("_bucket").unwrap_or(rest);
    let (labels, _) = rest.strip_prefix('{')?.split_once('}')?;
    let names = labels
        .split("\",")
        .filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
    Some(names.filter(|name| name != "le"))
}
