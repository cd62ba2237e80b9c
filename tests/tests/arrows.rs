//! The crates depend on one another as the architecture says, and on nothing that is another's to use.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tiffin_testkit::workspace;

/// What services build on.
const COMMON: &[&str] = &[
    "bus",
    "eventstore",
    "graphql",
    "graphql-transport",
    "order",
    "platform",
    "proto",
    "runtime",
    "trace",
];

/// Which crates each crate may depend on, without the `tiffin-` of their names.
fn allowed() -> BTreeMap<&'static str, Vec<&'static str>> {
    BTreeMap::from([
        ("order", vec![]),
        ("eventstore", vec![]),
        ("trace", vec![]),
        ("graphql-transport", vec!["trace"]),
        ("runtime", vec!["trace"]),
        ("proto", vec!["order", "trace"]),
        ("graphql", vec!["order", "trace"]),
        ("bus", vec!["eventstore", "trace"]),
        ("platform", vec!["bus", "eventstore", "proto", "runtime", "trace"]),
        ("api", COMMON.to_vec()),
        ("orders", COMMON.to_vec()),
        ("notifier", COMMON.to_vec()),
        ("cli", [COMMON, &["api", "orders", "notifier"]].concat()),
        ("testkit", vec!["runtime"]),
    ])
}

/// Every crate but those of tests and benchmarks, which use everything, without the `tiffin-` of its name, and the
/// packages that it needs when it is not under test.
fn crates() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(workspace())
        .output()
        .expect("cargo can be started");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo answers with JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    let crates = packages
        .iter()
        .map(|package| (short(name(package)).to_owned(), needs(package)));
    crates
        .filter(|(name, _)| name != "tests" && name != "bench")
        .collect()
}

fn name(value: &Value) -> &str {
    value["name"].as_str().expect("a name")
}

fn short(name: &str) -> &str {
    name.strip_prefix("tiffin-").unwrap_or(name)
}

fn needs(package: &Value) -> BTreeSet<String> {
    let dependencies = package["dependencies"]
        .as_array()
        .expect("a list of dependencies");
    let real = dependencies
        .iter()
        .filter(|dependency| dependency["kind"] != "dev");
    real.map(|dependency| name(dependency).to_owned()).collect()
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the workspace") {
        let path = entry.expect("an entry of it").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn crates_depend_on_one_another_as_allowed() {
    let allowed = allowed();
    for (name, needs) in crates() {
        let may = allowed
            .get(name.as_str())
            .unwrap_or_else(|| panic!("{name} has no line in this test"));
        for need in needs.iter().filter_map(|need| need.strip_prefix("tiffin-")) {
            assert!(may.contains(&need), "{name} may not depend on {need}");
        }
    }
}

#[test]
fn nats_and_sql_are_used_where_they_belong() {
    let users = |package: &str| {
        let crates = crates().into_iter().filter(|(_, needs)| needs.contains(package));
        crates.map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(users("async-nats"), ["bus"]);
    assert_eq!(users("sqlx"), ["api", "eventstore", "orders"]);
}

#[test]
fn services_use_sql_in_their_module_tables_alone() {
    let mut looked_at = 0;
    for service in fs::read_dir(workspace().join("services")).unwrap() {
        let source = service.unwrap().path().join("src");
        let mut files = Vec::new();
        rust_files(&source, &mut files);
        for file in files {
            looked_at += 1;
            let inside = file.strip_prefix(&source).unwrap();
            let tables = inside == Path::new("tables.rs") || inside.starts_with("tables");
            let sql = fs::read_to_string(&file).unwrap().contains("sqlx");
            assert!(tables || !sql, "{} may not use sqlx", file.display());
        }
    }
    assert!(looked_at >= 3, "the services are gone");
}
