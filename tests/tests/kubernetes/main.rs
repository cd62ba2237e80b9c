//! What `kubectl apply` is given: it fits Kubernetes' schemas and the rules of those who run clusters, its parts fit one
//! another, and it tells the programs only what they know.
//!
//! The rules are kube-linter's default checks and more. Where kube-linter itself can be had, `cargo test -p tiffin-tests
//! --test kubernetes -- --ignored` runs it, too.

mod damages;
mod objects;
mod pods;
mod settings;
mod wiring;

use std::process::Command;

use serde_json::{Value, json};
use tiffin_testkit::workspace;

use crate::{
    damages::DAMAGES,
    objects::{Objects, said, schemas},
};

/// Everything that is rendered: for trying out, for production, and with the components that neither has.
const OVERLAYS: [&str; 3] = [
    "deploy/k8s",
    "deploy/k8s/overlays/production",
    "tests/kubernetes/others",
];

/// Finds what breaks a rule, a sentence each.
type Rule = fn(&Objects) -> Vec<String>;

const RULES: [Rule; 15] = [
    pods::resources,
    pods::restricted,
    pods::no_host,
    pods::images,
    pods::probes,
    pods::drain,
    pods::spread,
    pods::accounts,
    wiring::labels,
    wiring::selectors,
    wiring::ports,
    wiring::replicas,
    wiring::references,
    wiring::budgets,
    wiring::policies,
];

#[test]
fn every_object_fits_the_schemas_of_the_three_newest_kubernetes_and_of_the_custom_kinds() {
    for overlay in OVERLAYS {
        let (fits, said) = schemas("check", &objects::render(overlay));
        assert!(fits, "{overlay}: {said}");
    }
}

#[test]
fn a_field_that_no_schema_knows_is_found_in_kinds_of_both_sorts() {
    let text = objects::render("deploy/k8s/overlays/production");
    for (right, wrong) in [
        ("preStop:", "preStopp:"),
        ("sourceLabels:", "sourceLabel:"),
        ("gatewayClassName:", "gatewayClass:"),
        ("kind: Gateway\n", "kind: Gatewway\n"),
    ] {
        let (fits, _) = schemas("check", &text.replacen(right, wrong, 1));
        assert!(text.contains(right) && !fits, "{wrong}");
    }
}

#[test]
fn every_object_keeps_every_rule() {
    for overlay in OVERLAYS {
        let objects = Objects::of(overlay);
        let broken: Vec<String> = RULES.iter().flat_map(|rule| rule(&objects)).collect();
        assert!(broken.is_empty(), "{overlay}: {broken:#?}");
    }
}

#[test]
fn a_rule_that_is_broken_says_so() {
    let whole = Objects::of("deploy/k8s");
    for (name, place, value, rule) in DAMAGES {
        let value = if value.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(value).expect(value)
        };
        let broken = rule(&whole.with(name, place, value));
        assert!(!broken.is_empty(), "{name} {place} may be anything");
    }
}

#[test]
fn the_local_overlay_and_all_that_is_no_component_use_built_in_kinds_only() {
    let parts = ["base", "nats", "postgres", "gateway", "overlays/local", ""];
    for part in parts {
        let objects = Objects::of(&format!("deploy/k8s/{part}"));
        let custom: Vec<String> = objects.custom().collect();
        assert!(custom.is_empty(), "{part}: {custom:?}");
    }
    assert!(
        Objects::of(OVERLAYS[1]).custom().count() >= 4,
        "the components have some"
    );
}

#[test]
fn what_is_made_of_other_files_is_up_to_date() {
    let output = Command::new(workspace().join("scripts/render-k8s"))
        .arg("--check")
        .output();
    let output = output.expect("the script can be started");
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn programs_are_told_only_what_they_know() {
    for overlay in OVERLAYS {
        let objects = Objects::of(overlay);
        let unknown = settings::unknown(&objects);
        assert!(unknown.is_empty(), "{overlay}: {unknown:#?}");
    }
    let place = "/spec/template/spec/containers/0/env/0/name";
    let damaged = Objects::of("deploy/k8s").with("Deployment/api", place, json!("TIFFIN_LISTENS"));
    assert_eq!(settings::unknown(&damaged).len(), 1);
}

#[test]
fn the_servers_are_told_each_password_that_their_configuration_asks_for() {
    let (local, production) = (Objects::of(OVERLAYS[0]), Objects::of(OVERLAYS[1]));
    assert_eq!(
        settings::keys(&local, "nats"),
        settings::asked_by_nats(&["nats.conf", "users.conf"])
    );
    let everything = ["nats.conf", "users.conf", "cluster.conf", "tls.conf"];
    assert_eq!(
        settings::keys(&production, "nats"),
        settings::asked_by_nats(&everything)
    );
    assert_eq!(settings::keys(&local, "postgres"), settings::asked_by_postgres());
}

#[test]
#[ignore = "needs kube-linter on the PATH"]
fn kube_linter_has_nothing_to_say() {
    for overlay in OVERLAYS {
        let text = objects::render(overlay);
        let output = objects::pipe(Command::new("kube-linter").args(["lint", "-"]), &text);
        assert!(output.status.success(), "{overlay}: {}", said(&output));
    }
}
