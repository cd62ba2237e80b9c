//! Rules for how objects refer to one another. In brackets, the default checks of kube-linter that a rule stands for.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};
use tiffin_testkit::workspace;

use crate::objects::{Objects, Workload, list, map, text, title};

/// Who reaches what holds data.
const REACHES: [(&str, u64, &[&str]); 2] = [
    ("nats", 4222, &["api", "orders", "notifier"]),
    ("postgres", 5432, &["api", "orders", "notifier", "migrate"]),
];

/// Everything is known as a part of Tiffin, and each workload as what it is.
pub(crate) fn labels(objects: &Objects) -> Vec<String> {
    let mut broken = Vec::new();
    for object in objects.all() {
        let labels = map(&object["metadata"]["labels"]);
        let is = |key: &str, value: &str| labels.get(key).is_some_and(|found| found == value);
        // What is generated of the observability folder is for others to find.
        let found = is("app.kubernetes.io/part-of", "tiffin") || labels.contains_key("grafana_dashboard");
        if !found && object["kind"] != "Namespace" {
            broken.push(format!("{} is not a part of Tiffin", title(object)));
        }
    }
    for workload in objects.workloads() {
        let name = text(&workload.object["metadata"]["name"]);
        let is = |key: &str, value: &str| workload.labels.get(key).is_some_and(|found| found == value);
        if !(is("app.kubernetes.io/name", "tiffin") && is("app.kubernetes.io/component", name)) {
            broken.push(format!("the pods of {} have other labels than it", workload.name));
        }
    }
    broken
}

/// What selects, selects something, and a workload its own pods. [mismatching-selector, dangling-service,
/// dangling-networkpolicy, dangling-networkpolicypeer-podselector]
pub(crate) fn selectors(objects: &Objects) -> Vec<String> {
    let workloads: Vec<Workload> = objects.workloads().collect();
    let any = |selector: &Value| workloads.iter().any(|workload| workload.is_selected(selector));
    let mut broken = Vec::new();
    for workload in workloads.iter().filter(|workload| workload.kind != "Job") {
        if !workload.is_selected(&workload.object["spec"]["selector"]) {
            broken.push(format!("{} does not select its own pods", workload.name));
        }
    }
    for service in objects.of_kind("Service") {
        if !any(&json!({ "matchLabels": service["spec"]["selector"] })) {
            broken.push(format!("{} selects no pods", title(service)));
        }
    }
    for policy in objects.of_kind("NetworkPolicy") {
        let peers =
            peers(policy).filter(|peer| peer["namespaceSelector"].is_null() && peer["ipBlock"].is_null());
        let selectors = peers
            .map(|peer| &peer["podSelector"])
            .chain([&policy["spec"]["podSelector"]]);
        if !selectors.into_iter().all(any) {
            broken.push(format!("{} selects no pods", title(policy)));
        }
    }
    broken
}

/// A port that is referred to is open. [invalid-target-ports, dangling-ingress]
pub(crate) fn ports(objects: &Objects) -> Vec<String> {
    let workloads: Vec<Workload> = objects.workloads().collect();
    let mut broken = Vec::new();
    for service in objects.of_kind("Service") {
        let selector = json!({ "matchLabels": service["spec"]["selector"] });
        for workload in workloads
            .iter()
            .filter(|workload| workload.is_selected(&selector))
        {
            for port in list(&service["spec"]["ports"])
                .iter()
                .filter(|port| !workload.opens(&port["targetPort"]))
            {
                broken.push(format!(
                    "{}: {} does not open {port}",
                    title(service),
                    workload.name
                ));
            }
        }
    }
    for policy in objects.of_kind("NetworkPolicy") {
        for (targets, port) in policed(policy).filter(|(_, port)| *port != 53) {
            let mut targets = workloads
                .iter()
                .filter(|workload| targets.iter().any(|it| workload.is_selected(it)));
            if !targets.all(|target| target.opens(&json!(port))) {
                broken.push(format!("{}: nobody opens {port}", title(policy)));
            }
        }
    }
    for (object, service, port) in backends(objects) {
        let found = objects
            .of_kind("Service")
            .filter(|found| found["metadata"]["name"] == *service);
        let mut ports = found.flat_map(|service| list(&service["spec"]["ports"]));
        if !ports.any(|open| open["name"] == *port || open["port"] == *port) {
            broken.push(format!("{object}: there is no {service}:{port}"));
        }
    }
    broken
}

/// The gateway is told Services that stand for each replica, and not for all of them at one address.
pub(crate) fn replicas(objects: &Objects) -> Vec<String> {
    let headless = |name: &Value| {
        let mut services = objects.of_kind("Service");
        services.any(|it| it["metadata"]["name"] == *name && it["spec"]["clusterIP"] == "None")
    };
    let mut broken = Vec::new();
    for gateway in objects.workloads().filter(|it| it.name == "Deployment/gateway") {
        for setting in ["TIFFIN_API", "TIFFIN_NOTIFIER"] {
            let mut told = gateway.containers().flat_map(|container| list(&container["env"]));
            if !told.any(|variable| variable["name"] == setting && headless(&variable["value"])) {
                broken.push(format!("{}: {setting} does not name each replica", gateway.name));
            }
        }
    }
    broken
}

/// Which services and ports the ways in lead to.
fn backends(objects: &Objects) -> Vec<(String, &Value, &Value)> {
    let mut found = Vec::new();
    for ingress in objects.of_kind("Ingress") {
        for path in list(&ingress["spec"]["rules"])
            .iter()
            .flat_map(|rule| list(&rule["http"]["paths"]))
        {
            let service = &path["backend"]["service"];
            found.push((title(ingress), &service["name"], &service["port"]["name"]));
        }
    }
    for route in objects.of_kind("HTTPRoute") {
        for backend in list(&route["spec"]["rules"])
            .iter()
            .flat_map(|rule| list(&rule["backendRefs"]))
        {
            found.push((title(route), &backend["name"], &backend["port"]));
        }
    }
    found
}

/// What pods refer to is there, or is a Secret of which it is written down what has to be in it.
pub(crate) fn references(objects: &Objects) -> Vec<String> {
    let production = workspace().join("deploy/k8s/overlays/production");
    let page = fs::read_to_string(production.join("README.md")).expect("the page");
    let written_down = |name: &str| page.contains(&format!("the Secret `{name}`"));
    let example = |name: &str| production.join(format!("secrets/{name}.env.example")).exists();
    let mut broken = Vec::new();
    for workload in objects.workloads() {
        let (mut maps, mut secrets) = (BTreeSet::new(), BTreeSet::new());
        for from in workload
            .containers()
            .flat_map(|container| list(&container["envFrom"]))
        {
            maps.insert(text(&from["configMapRef"]["name"]));
            secrets.insert(text(&from["secretRef"]["name"]));
        }
        for volume in list(&workload.pod["volumes"]) {
            maps.insert(text(&volume["configMap"]["name"]));
            secrets.insert(text(&volume["secret"]["secretName"]));
        }
        let maps = maps
            .into_iter()
            .filter(|name| !name.is_empty() && !objects.has("ConfigMap", name));
        let secrets = secrets
            .into_iter()
            .filter(|name| !name.is_empty() && !objects.has("Secret", name))
            .filter(|name| !written_down(name) && !example(name));
        broken.extend(
            maps.chain(secrets)
                .map(|name| format!("{}: there is no {name}", workload.name)),
        );
        for container in workload.containers() {
            for mount in list(&container["volumeMounts"]) {
                let claims = list(&workload.object["spec"]["volumeClaimTemplates"]).iter();
                let claims = claims.map(|claim| &claim["metadata"]["name"]);
                let mut names = list(&workload.pod["volumes"])
                    .iter()
                    .map(|volume| &volume["name"])
                    .chain(claims);
                if !names.any(|name| *name == mount["name"]) {
                    broken.push(format!("{}: there is no volume {}", workload.name, mount["name"]));
                }
            }
        }
    }
    broken
}

/// Each workload has one budget, which lets a node be emptied; a job is cleared away. [pdb-max-unavailable,
/// pdb-min-available, pdb-unhealthy-pod-eviction-policy, job-ttl-seconds-after-finished]
pub(crate) fn budgets(objects: &Objects) -> Vec<String> {
    let mut broken = Vec::new();
    for workload in objects.workloads() {
        let spec = &workload.object["spec"];
        let good = if workload.kind == "Job" {
            spec["ttlSecondsAfterFinished"].is_u64()
        } else {
            let mine = |budget: &&Value| workload.is_selected(&budget["spec"]["selector"]);
            let budgets: Vec<&Value> = objects.of_kind("PodDisruptionBudget").filter(mine).collect();
            let [budget] = budgets[..] else {
                broken.push(format!("{} has {} budgets", workload.name, budgets.len()));
                continue;
            };
            budget["spec"]["maxUnavailable"] == 1
                && budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
        };
        if !good {
            broken.push(format!("{} cannot be moved or cleared away", workload.name));
        }
    }
    broken
}

/// Nothing is let in or out but by name, and only the services reach NATS and PostgreSQL.
pub(crate) fn policies(objects: &Objects) -> Vec<String> {
    let mut broken = Vec::new();
    let policies: Vec<&Value> = objects.of_kind("NetworkPolicy").collect();
    let all = json!({});
    let denies = |policy: &&&Value| {
        let spec = &policy["spec"];
        let types = spec["policyTypes"] == json!(["Ingress", "Egress"]);
        spec["podSelector"] == all && types && spec["ingress"].is_null() && spec["egress"].is_null()
    };
    if policies.iter().filter(denies).count() != 1 {
        broken.push("what no policy names is allowed".to_owned());
    }
    for (component, port, clients) in REACHES {
        let Some(server) = objects
            .workloads()
            .find(|it| it.object["metadata"]["name"] == component)
        else {
            continue;
        };
        for policy in policies
            .iter()
            .filter(|policy| server.is_selected(&policy["spec"]["podSelector"]))
        {
            for rule in list(&policy["spec"]["ingress"]) {
                let named = list(&rule["ports"]);
                if !named.is_empty() && named.iter().all(|it| it["port"] != port) {
                    continue;
                }
                let from = list(&rule["from"]);
                let ours = |peer: &Value| {
                    let named = |it: &Workload| {
                        it.is_selected(&peer["podSelector"])
                            && !clients.contains(&text(&it.object["metadata"]["name"]))
                    };
                    map(peer).keys().eq(["podSelector"]) && !objects.workloads().any(|it| named(&it))
                };
                if from.is_empty() || !from.iter().all(ours) {
                    broken.push(format!(
                        "{} lets others than {clients:?} reach {component}",
                        title(policy)
                    ));
                }
            }
        }
    }
    broken
}

/// All who are named in a policy.
fn peers(policy: &Value) -> impl Iterator<Item = &Value> {
    let ingress = list(&policy["spec"]["ingress"])
        .iter()
        .flat_map(|rule| list(&rule["from"]));
    let egress = list(&policy["spec"]["egress"])
        .iter()
        .flat_map(|rule| list(&rule["to"]));
    ingress.chain(egress)
}

/// The ports that a policy names, each with the selectors of the pods of ours at which it is.
fn policed(policy: &Value) -> impl Iterator<Item = (Vec<&Value>, u64)> {
    let numbers = |rule: &Value| -> Vec<u64> {
        list(&rule["ports"])
            .iter()
            .filter_map(|it| it["port"].as_u64())
            .collect()
    };
    let own = vec![&policy["spec"]["podSelector"]];
    let ingress = list(&policy["spec"]["ingress"])
        .iter()
        .map(move |rule| (own.clone(), numbers(rule)));
    let egress = list(&policy["spec"]["egress"]).iter().map(move |rule| {
        let ours = list(&rule["to"])
            .iter()
            .filter(|peer| map(peer).keys().eq(["podSelector"]));
        (ours.map(|peer| &peer["podSelector"]).collect(), numbers(rule))
    });
    ingress.chain(egress).flat_map(|(selectors, ports)| {
        ports
            .into_iter()
            .map(move |port| (selectors.clone(), port))
            .collect::<Vec<_>>()
    })
}
