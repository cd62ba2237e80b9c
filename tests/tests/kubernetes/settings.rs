//! What programs are told by their environment, and what they know.

use std::{collections::BTreeSet, fs};

use serde_json::Value;
use tiffin_testkit::{command, program, workspace};

use crate::objects::{Objects, Workload, list, map, text};

/// What OpenTelemetry's library reads, which no help names.
const OF_OPEN_TELEMETRY: [&str; 5] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_SERVICE_NAME",
];

/// The variables that a container is given and its program does not know.
pub(crate) fn unknown(objects: &Objects) -> Vec<String> {
    let mut unknown = Vec::new();
    for workload in objects.workloads() {
        for container in workload.containers() {
            let image = text(&container["image"]).rsplit('/').next().unwrap_or_default();
            let name = image.split(':').next().unwrap_or_default();
            if !name.starts_with("tiffin") {
                continue;
            }
            let known = known(name, list(&container["args"]));
            let told = told(objects, &workload, container);
            let wrong = told
                .into_iter()
                .filter(|key| !known.contains(key) && !OF_OPEN_TELEMETRY.contains(&key.as_str()));
            unknown.extend(wrong.map(|key| format!("{} is told {key}", workload.name)));
        }
    }
    unknown
}

/// The variables that a program's help names, and those that name a file in their place.
fn known(name: &str, arguments: &[Value]) -> BTreeSet<String> {
    let mut help = command(program(name));
    help.args(arguments.iter().map(text)).arg("--help");
    let output = help.output().expect("the program can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let names = text
        .split("[env: ")
        .skip(1)
        .filter_map(|rest| rest.split(['=', ']']).next());
    let known: BTreeSet<String> = names
        .flat_map(|name| [name.to_owned(), format!("{name}_FILE")])
        .collect();
    assert!(
        known.contains("DATABASE_URL"),
        "{name} says of no variable in {text}"
    );
    known
}

fn told(objects: &Objects, workload: &Workload, container: &Value) -> BTreeSet<String> {
    let own = list(&container["env"])
        .iter()
        .map(|variable| text(&variable["name"]).to_owned());
    let mut told: BTreeSet<String> = own.collect();
    for from in list(&container["envFrom"]) {
        for (kind, key) in [("ConfigMap", "configMapRef"), ("Secret", "secretRef")] {
            let name = text(&from[key]["name"]);
            if name.is_empty() {
                continue;
            }
            let keys = keys_of(objects, kind, name);
            assert!(!keys.is_empty(), "{}: {kind} {name} is empty", workload.name);
            told.extend(keys);
        }
    }
    told
}

/// The keys of a `ConfigMap` or Secret; of a Secret that has to be there already, those of its example.
fn keys_of(objects: &Objects, kind: &str, name: &str) -> BTreeSet<String> {
    let found = objects
        .of_kind(kind)
        .find(|object| object["metadata"]["name"] == name);
    if let Some(found) = found {
        return map(&found["data"]).keys().cloned().collect();
    }
    let path = format!("deploy/k8s/overlays/production/secrets/{name}.env.example");
    let text = fs::read_to_string(workspace().join(&path)).expect(&path);
    let lines = text.lines().filter_map(|line| line.split_once('='));
    lines.map(|(key, _)| key.to_owned()).collect()
}

/// The keys of the Secret that the pods of a component are given.
pub(crate) fn keys(objects: &Objects, component: &str) -> BTreeSet<String> {
    let workload = objects
        .workloads()
        .find(|it| it.object["metadata"]["name"] == component);
    let workload = workload.expect("the component is there");
    let from = &workload.pod["containers"][0]["envFrom"][0];
    keys_of(objects, "Secret", text(&from["secretRef"]["name"]))
}

/// The variables that stand in NATS' configuration.
pub(crate) fn asked_by_nats(files: &[&str]) -> BTreeSet<String> {
    let mut asked = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(workspace().join("deploy/nats").join(file)).expect(file);
        let code = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        asked.extend(code.flat_map(|line| variables(line, "$NATS_")));
    }
    asked
}

/// The passwords that the server and its roles are made with.
pub(crate) fn asked_by_postgres() -> BTreeSet<String> {
    let script = fs::read_to_string(workspace().join("deploy/postgres/roles.sh")).expect("the script");
    let words = script.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let passwords = words.filter(|word| word.starts_with("POSTGRES_") && word.ends_with("_PASSWORD"));
    passwords
        .chain(["POSTGRES_PASSWORD"])
        .map(str::to_owned)
        .collect()
}

fn variables(line: &str, prefix: &str) -> Vec<String> {
    let starts = line.match_indices(prefix).map(|(at, _)| &line[at + 1..]);
    let name = |rest: &str| {
        rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .next()
            .map(str::to_owned)
    };
    starts.filter_map(name).collect()
}
