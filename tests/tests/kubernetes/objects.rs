//! The objects that a kustomization renders to, and the ways to their parts.

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use serde_json::{Map, Value};
use tiffin_testkit::workspace;

/// Where `scripts/tools` puts a program.
fn tool(path: &str) -> PathBuf {
    let path = workspace().join(".tools").join(path);
    assert!(
        path.exists(),
        "{} is not there; `make tools` provides it",
        path.display()
    );
    path
}

/// What a program said, on both of its outputs.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Runs a program with a text as its input.
pub(crate) fn pipe(command: &mut Command, text: &str) -> Output {
    let piped = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = piped.spawn().expect("the program can be started");
    let mut input = child.stdin.take().expect("its input is a pipe");
    let text = text.to_owned();
    let writing = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    // A program that ends before it has read everything has said why.
    let _broken_pipe = writing.join();
    output
}

/// The YAML of a kustomization.
pub(crate) fn render(folder: &str) -> String {
    let output = Command::new(tool("kustomize"))
        .arg("build")
        .arg(workspace().join(folder))
        .output();
    let output = output.expect("kustomize can be started");
    assert!(output.status.success(), "{folder}: {}", said(&output));
    String::from_utf8(output.stdout).expect("YAML is UTF-8")
}

/// Runs the script on the schemas: whether it was content, and what it said.
pub(crate) fn schemas(what: &str, yaml: &str) -> (bool, String) {
    let script = workspace().join("tests/kubernetes/schemas.py");
    let output = pipe(
        Command::new(tool("python/bin/python")).arg(script).arg(what),
        yaml,
    );
    (output.status.success(), said(&output))
}

/// All objects of a kustomization.
#[derive(Clone)]
pub(crate) struct Objects(Vec<Value>);

/// What makes pods, and the pods that it makes.
pub(crate) struct Workload<'a> {
    pub(crate) name: String,
    pub(crate) kind: &'a str,
    pub(crate) object: &'a Value,
    pub(crate) labels: &'a Map<String, Value>,
    pub(crate) pod: &'a Value,
}

impl Objects {
    pub(crate) fn of(folder: &str) -> Self {
        let (_, json) = schemas("json", &render(folder));
        Self(serde_json::from_str(&json).expect("the script writes an array"))
    }

    pub(crate) fn all(&self) -> &[Value] {
        &self.0
    }

    pub(crate) fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter(move |object| object["kind"] == kind)
    }

    /// Whether there is one of this kind with this name.
    pub(crate) fn has(&self, kind: &str, name: &str) -> bool {
        self.of_kind(kind)
            .any(|object| object["metadata"]["name"] == name)
    }

    /// What is of a kind that Kubernetes does not come with: its group has a domain of its own.
    pub(crate) fn custom(&self) -> impl Iterator<Item = String> {
        let own = |group: &str| ["networking.k8s.io"].contains(&group) || !group.contains('.');
        self.0.iter().filter_map(move |object| {
            let group = text(&object["apiVersion"])
                .split_once('/')
                .map_or("", |(group, _)| group);
            (!own(group)).then(|| title(object))
        })
    }

    pub(crate) fn workloads(&self) -> impl Iterator<Item = Workload<'_>> {
        let made = self
            .0
            .iter()
            .filter(|object| object["spec"]["template"]["spec"].is_object());
        made.map(|object| {
            let template = &object["spec"]["template"];
            Workload {
                name: title(object),
                kind: text(&object["kind"]),
                object,
                labels: map(&template["metadata"]["labels"]),
                pod: &template["spec"],
            }
        })
    }

    /// The same with a value put somewhere into an object, or taken away.
    pub(crate) fn with(&self, name: &str, place: &str, value: Value) -> Self {
        let mut objects = self.clone();
        let object = objects.0.iter_mut().find(|object| title(object) == name);
        let object = object.unwrap_or_else(|| panic!("there is no {name}"));
        let (parent, key) = place.rsplit_once('/').expect("a place in an object");
        let key = key.replace("~1", "/");
        match object.pointer_mut(parent) {
            Some(Value::Object(map)) if value.is_null() => {
                map.remove(&key).expect("it is there to be taken away");
            }
            Some(Value::Object(map)) => {
                map.insert(key, value);
            }
            Some(Value::Array(list)) => list[key.parse::<usize>().expect("a number")] = value,
            _ => panic!("{name} has no {parent}"),
        }
        objects
    }
}

impl<'a> Workload<'a> {
    pub(crate) fn containers(&self) -> impl Iterator<Item = &'a Value> + use<'a> {
        list(&self.pod["containers"])
            .iter()
            .chain(list(&self.pod["initContainers"]))
    }

    /// The numbers and names of the ports that its pods open.
    pub(crate) fn opens(&self, port: &Value) -> bool {
        let mut ports = self.containers().flat_map(|container| list(&container["ports"]));
        ports.any(|open| open["name"] == *port || open["containerPort"] == *port)
    }

    /// Whether a selector by labels and expressions selects its pods.
    pub(crate) fn is_selected(&self, selector: &Value) -> bool {
        let labels = map(&selector["matchLabels"]).iter();
        let by_expression = |expression: &Value| {
            let value = self.labels.get(text(&expression["key"]));
            assert_eq!(expression["operator"], "In", "no other operator is in use");
            value.is_some_and(|value| list(&expression["values"]).contains(value))
        };
        labels
            .into_iter()
            .all(|(key, value)| self.labels.get(key) == Some(value))
            && list(&selector["matchExpressions"]).iter().all(by_expression)
    }
}

/// An object's kind and name.
pub(crate) fn title(object: &Value) -> String {
    let name = text(&object["metadata"]["name"]);
    format!("{}/{name}", text(&object["kind"]))
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(crate) fn map(value: &Value) -> &Map<String, Value> {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    value.as_object().unwrap_or(&NONE)
}
