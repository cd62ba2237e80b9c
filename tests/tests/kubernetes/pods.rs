//! Rules for what pods are made of. In brackets, the default checks of kube-linter that a rule stands for.

use serde_json::{Value, json};

use crate::objects::{Objects, Workload, list, map, text};

/// For each container of each workload, what it breaks.
fn each(objects: &Objects, look: impl Fn(&Workload, &Value) -> Vec<String>) -> Vec<String> {
    let mut broken = Vec::new();
    for workload in objects.workloads() {
        for container in workload.containers() {
            let found = look(&workload, container).into_iter();
            broken.extend(found.map(|what| format!("{}: {what}", workload.name)));
        }
    }
    broken
}

/// The sentences whose conditions do not hold.
fn unless(conditions: &[(bool, &str)]) -> Vec<String> {
    let broken = conditions.iter().filter(|(holds, _)| !holds);
    broken.map(|(_, what)| (*what).to_owned()).collect()
}

/// Memory is limited, since it cannot be taken back; processor time is asked for and not limited. [unset-cpu-requirements,
/// unset-memory-requirements]
pub(crate) fn resources(objects: &Objects) -> Vec<String> {
    each(objects, |_, container| {
        let resources = &container["resources"];
        unless(&[
            (
                resources["requests"]["cpu"].is_string(),
                "asks for no processor time",
            ),
            (resources["requests"]["memory"].is_string(), "asks for no memory"),
            (
                resources["limits"]["memory"].is_string(),
                "has no limit of memory",
            ),
            (
                resources["limits"]["cpu"].is_null(),
                "has a limit of processor time",
            ),
        ])
    })
}

/// The restricted standard, and a root that cannot be written. [run-as-non-root, privilege-escalation-container,
/// privileged-container, drop-net-raw-capability, no-read-only-root-fs, unsafe-sysctls]
pub(crate) fn restricted(objects: &Objects) -> Vec<String> {
    each(objects, |workload, container| {
        let (pod, own) = (&workload.pod["securityContext"], &container["securityContext"]);
        let added = list(&own["capabilities"]["add"]);
        // The one exception: Caddy's image marks its program with this capability, without which it cannot be started.
        let may_add =
            |added: &Value| text(&container["image"]).starts_with("caddy:") && added == "NET_BIND_SERVICE";
        unless(&[
            (
                pod["runAsNonRoot"] == true && pod["runAsUser"].as_u64() > Some(0),
                "may run as root",
            ),
            (
                own["runAsUser"].is_null() && own["runAsNonRoot"].is_null(),
                "overrules its pod's user",
            ),
            (
                pod["seccompProfile"]["type"] == "RuntimeDefault",
                "has no seccomp profile",
            ),
            (own["allowPrivilegeEscalation"] == false, "may gain privileges"),
            (own["privileged"].is_null(), "is privileged"),
            (own["readOnlyRootFilesystem"] == true, "may write to its root"),
            (
                own["capabilities"]["drop"] == json!(["ALL"]),
                "keeps capabilities",
            ),
            (added.iter().all(may_add), "adds capabilities"),
            (pod["sysctls"].is_null(), "changes the kernel's settings"),
        ])
    })
}

/// Nothing of the node is shared. [host-ipc, host-network, host-pid, docker-sock, sensitive-host-mounts, ssh-port]
pub(crate) fn no_host(objects: &Objects) -> Vec<String> {
    each(objects, |workload, container| {
        let shares = ["hostNetwork", "hostPID", "hostIPC"]
            .iter()
            .any(|key| !workload.pod[*key].is_null());
        let kinds = [
            "name",
            "configMap",
            "secret",
            "emptyDir",
            "persistentVolumeClaim",
            "projected",
        ];
        let known = |volume: &Value| map(volume).keys().all(|key| kinds.contains(&key.as_str()));
        let ports = list(&container["ports"]);
        unless(&[
            (!shares, "shares a namespace of the node"),
            (
                list(&workload.pod["volumes"]).iter().all(known),
                "mounts something of the node",
            ),
            (
                ports.iter().all(|port| port["hostPort"].is_null()),
                "opens a port of the node",
            ),
            (
                ports
                    .iter()
                    .all(|port| port["containerPort"].as_u64() >= Some(1024)),
                "opens a privileged port",
            ),
        ])
    })
}

/// Images have a version, and ours have that of the workspace. [latest-tag]
pub(crate) fn images(objects: &Objects) -> Vec<String> {
    each(objects, |_, container| {
        let image = text(&container["image"]);
        let name = image.rsplit('/').next().unwrap_or_default();
        let (name, tag) = name.split_once(':').unwrap_or((name, ""));
        let ours = name == "tiffin" || name.starts_with("tiffin-");
        unless(&[
            (
                tag.starts_with(|first: char| first.is_ascii_digit()),
                "has an image without a version",
            ),
            (
                !ours || tag == env!("CARGO_PKG_VERSION"),
                "has an image of another version",
            ),
            (
                container["imagePullPolicy"] == "IfNotPresent",
                "pulls images that are there",
            ),
        ])
    })
}

/// Each probe there is, at a port there is. [liveness-port, readiness-port, startup-port]
pub(crate) fn probes(objects: &Objects) -> Vec<String> {
    each(objects, |workload, container| {
        if workload.kind == "Job" {
            return Vec::new();
        }
        let asks = |probe: &str| {
            let probe = &container[probe];
            let port = [&probe["httpGet"]["port"], &probe["tcpSocket"]["port"]]
                .into_iter()
                .find(|port| !port.is_null());
            port.map_or(probe["exec"]["command"].is_array(), |port| workload.opens(port))
        };
        unless(&[
            (asks("startupProbe"), "is not asked whether it has started"),
            (asks("readinessProbe"), "is not asked whether it is ready"),
            (asks("livenessProbe"), "is not asked whether it lives"),
            (
                container["livenessProbe"]["httpGet"]["path"] != "/readyz",
                "dies with what it depends on",
            ),
        ])
    })
}

/// The seconds that a setting in a file of a `ConfigMap` gives, such as `30` of `lame_duck_duration: 30s`.
fn seconds(objects: &Objects, file: &str, setting: &str) -> Option<u64> {
    let text = objects
        .of_kind("ConfigMap")
        .find_map(|map| map["data"][file].as_str())?;
    let mut words = text
        .lines()
        .map(|line| line.split([' ', '\t', ':']).filter(|word| !word.is_empty()));
    let value = words.find_map(|mut words| (words.next() == Some(setting)).then(|| words.next()).flatten());
    value?.trim_end_matches('s').parse().ok()
}

/// A pod that is going takes connections until everybody knows, and has the time to end what it has begun. A Deployment
/// is replaced without having fewer.
pub(crate) fn drain(objects: &Objects) -> Vec<String> {
    let mut broken = Vec::new();
    let of_services = objects
        .of_kind("ConfigMap")
        .find_map(|map| map["data"]["TIFFIN_GRACE"].as_str()?.parse().ok());
    let of_gateway = seconds(objects, "Caddyfile", "grace_period");
    let of_nats = seconds(objects, "nats.conf", "lame_duck_duration");
    let has = |workload: &Workload, needed: Option<u64>| {
        let allowed = workload.pod["terminationGracePeriodSeconds"]
            .as_u64()
            .unwrap_or(30);
        needed.is_some_and(|needed| needed + 5 <= allowed)
    };
    let nats = objects.workloads().find(|it| it.name == "StatefulSet/nats");
    if !nats.is_none_or(|nats| has(&nats, of_nats)) {
        broken.push("StatefulSet/nats: is killed before its clients have gone elsewhere".to_owned());
    }
    for workload in objects
        .workloads()
        .filter(|workload| workload.kind == "Deployment")
    {
        let container = &workload.pod["containers"][0];
        let sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]
            .as_u64()
            .unwrap_or_default();
        let grace = if text(&container["image"]).starts_with("caddy:") {
            of_gateway
        } else {
            of_services
        };
        let update = &workload.object["spec"]["strategy"]["rollingUpdate"];
        let found = unless(&[
            (sleep >= 5, "goes before everybody knows"),
            (
                has(&workload, grace.map(|grace| sleep + grace)),
                "is killed while it finishes",
            ),
            (
                update["maxUnavailable"] == 0,
                "has fewer replicas during an update",
            ),
            (
                workload.object["spec"]["minReadySeconds"].as_u64() > Some(0),
                "counts before everybody knows",
            ),
        ]);
        broken.extend(found.into_iter().map(|what| format!("{}: {what}", workload.name)));
    }
    broken
}

/// Replicas are on different nodes, and in different zones, where there are any. [no-anti-affinity]
pub(crate) fn spread(objects: &Objects) -> Vec<String> {
    let several = objects
        .workloads()
        .filter(|workload| workload.object["spec"]["replicas"].as_u64() > Some(1));
    let mut broken = Vec::new();
    for workload in several {
        let affinity = &workload.pod["affinity"]["podAntiAffinity"];
        let preferred = list(&affinity["preferredDuringSchedulingIgnoredDuringExecution"]).iter();
        let required = list(&affinity["requiredDuringSchedulingIgnoredDuringExecution"]).iter();
        let mut terms = preferred.map(|term| &term["podAffinityTerm"]).chain(required);
        let by_node = |term: &Value| {
            term["topologyKey"] == "kubernetes.io/hostname" && workload.is_selected(&term["labelSelector"])
        };
        let mut zones = list(&workload.pod["topologySpreadConstraints"]).iter();
        let found = unless(&[
            (terms.any(by_node), "may have all replicas on one node"),
            (
                zones.any(|zone| workload.is_selected(&zone["labelSelector"])),
                "may have all replicas in one zone",
            ),
        ]);
        broken.extend(found.into_iter().map(|what| format!("{}: {what}", workload.name)));
    }
    broken
}

/// Each workload has an account of its own, without a token. [non-existent-service-account,
/// deprecated-service-account-field]
pub(crate) fn accounts(objects: &Objects) -> Vec<String> {
    each(objects, |workload, _| {
        let account = text(&workload.pod["serviceAccountName"]);
        unless(&[
            (objects.has("ServiceAccount", account), "has no account"),
            (
                workload.pod["serviceAccount"].is_null(),
                "names its account in the old way",
            ),
            (
                workload.pod["automountServiceAccountToken"] == false,
                "has a token for the API server",
            ),
            (
                workload.pod["enableServiceLinks"] == false,
                "gets variables from other services",
            ),
        ])
    })
}
