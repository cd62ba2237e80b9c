//! The crates depend on one another as the architecture says, and on nothing that is another's to use.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use tiffin_testkit::workspace;

/// What services build on.
const COMMON: &[&str] = &[
    "bus",
    "eventstore",
    "graphql",
    "graphql-transport",
    "order",
    "proto",
    "runtime",
];

/// Which crates each crate may depend on, without the `tiffin-` of their names.
fn allowed() -> BTreeMap<&'static str, Vec<&'static str>> {
    BTreeMap::from([
        ("order", vec![]),
        ("eventstore", vec![]),
        ("graphql-transport", vec![]),
        ("runtime", vec![]),
        ("proto", vec!["order"]),
        ("graphql", vec!["order"]),
        ("bus", vec!["eventstore"]),
        ("api", COMMON.to_vec()),
        ("orders", COMMON.to_vec()),
        ("notifier", COMMON.to_vec()),
        ("cli", [COMMON, &["api", "orders", "notifier"]].concat()),
        ("testkit", vec!["runtime"]),
    ])
}

fn metadata() -> Metadata {
    MetadataCommand::new()
        .current_dir(workspace())
        .no_deps()
        .exec()
        .expect("cargo knows the workspace")
}

fn short(package: &Package) -> &str {
    package.name.strip_prefix("tiffin-").unwrap_or(&package.name)
}

/// All packages but those that are nothing but tests.
fn packages(metadata: &Metadata) -> impl Iterator<Item = &Package> {
    let packages = metadata.workspace_packages().into_iter();
    packages.filter(|package| short(package) != "tests")
}

/// The packages that a package needs when it is not under test.
fn needs(package: &Package) -> BTreeSet<&str> {
    let real = package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind != DependencyKind::Development);
    real.map(|dependency| dependency.name.as_str()).collect()
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
    for package in packages(&metadata()) {
        let name = short(package);
        let may = allowed
            .get(name)
            .unwrap_or_else(|| panic!("{name} has no line in this test"));
        for need in needs(package) {
            if let Some(need) = need.strip_prefix("tiffin-") {
                assert!(may.contains(&need), "{name} may not depend on {need}");
            }
        }
    }
}

#[test]
fn nats_and_sql_are_used_where_they_belong() {
    for package in packages(&metadata()) {
        let name = short(package);
        let needs = needs(package);
        assert!(
            !needs.contains("async-nats") || ["bus", "tests"].contains(&name),
            "{name} may not use async-nats"
        );
        let may_use_sql = ["eventstore", "api", "orders"].contains(&name);
        assert!(!needs.contains("sqlx") || may_use_sql, "{name} may not use sqlx");
    }
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
