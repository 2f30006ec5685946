//! The ways of the actions, and what each takes on the API server: `files/rights.yaml` of the chart, from the code.
//!
//! The chart's templates choose among them; `rights.rs` compares what comes of it with what the program asks for.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
};

use playbooks::act::{Permission, PlaybookKind, Registry};
use stoop::{config, worker::assemble};

/// The name of a way, an action that goes it, and the way whose rights it adds to, where it is no way of its own.
const WAYS: [(&str, &str, Option<&str>); 26] = [
    ("annotate", "{annotate: {key: a.example/b, value: c}}", None),
    ("call", "{call: {function: f}}", None),
    ("capture/job", "{capture: {files: {paths: [/etc/passwd]}}}", None),
    ("capture/snapshot", "{capture: {snapshot: {}}}", None),
    ("cordon", "{cordon: {}}", None),
    ("delete", "{delete: {}}", None),
    ("delete/evict", "{delete: {evict: true}}", None),
    (
        "delete/minHealthy/DaemonSet",
        "{delete: {minHealthy: 1, owners: [DaemonSet]}}",
        Some("delete"),
    ),
    (
        "delete/minHealthy/ReplicaSet",
        "{delete: {minHealthy: 1, owners: [ReplicaSet]}}",
        Some("delete"),
    ),
    (
        "delete/minHealthy/StatefulSet",
        "{delete: {minHealthy: 1, owners: [StatefulSet]}}",
        Some("delete"),
    ),
    ("drain", "{drain: {evictsPods: true}}", None),
    ("forward", "{forward: {to: d}}", None),
    ("isolate", "{isolate: {}}", None),
    ("isolate/byLabel", "{isolate: {denyEgressByLabel: app}}", None),
    ("isolate/egress", "{isolate: {egressOnly: true}}", None),
    ("isolate/tier/cilium", "{isolate: {tier: cilium}}", Some("isolate")),
    (
        "isolate/tier/clusterNetworkPolicy",
        "{isolate: {tier: clusterNetworkPolicy}}",
        Some("isolate"),
    ),
    ("label", "{label: {key: a.example/b, value: c}}", None),
    ("notify", "{notify: {to: [log]}}", None),
    ("run/Job", JOB, None),
    ("run/PipelineRun", PIPELINE_RUN, None),
    ("scale", "{scale: {}}", None),
    ("scale/autoscaled", "{scale: {autoscaled: true}}", None),
    ("taint", "{taint: {}}", None),
    ("isolate/enforced", "{isolate: {}}", Some("isolate")),
    ("isolate/expireAfter", "{isolate: {expireAfter: 1h}}", None),
];

pub(crate) const JOB: &str = "{run: {namespace: run, serviceAccount: a, template: {apiVersion: batch/v1, kind: Job, \
     spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: b}]}}}}}}";
pub(crate) const PIPELINE_RUN: &str = "{run: {namespace: run, serviceAccount: a, template: {apiVersion: tekton.dev/v1, \
     kind: PipelineRun, spec: {pipelineRef: {name: a}}}}}";

/// What the guardrails and the verification of targets take: the name, a playbook that needs it, and for what.
const AROUND: [(&str, &str, &str); 7] = [
    (
        "budget",
        "{mode: enforce, match: {rules: R}, actions: [delete], limits: {budget: 1 per 1m}}",
        "its budget",
    ),
    ("killSwitch", "{match: {rules: R}, actions: [notify: {to: [log]}]}", "the kill switch"),
    (
        "notifier/kubernetesEvents",
        "{match: {rules: R}, actions: [notify: {to: [log]}]}",
        "notifier events",
    ),
    (
        "target",
        "{match: {rules: R, target: {podLabels: {a: b}}}, actions: [notify: {to: [log]}]}",
        "its target",
    ),
    (
        "target/namespace",
        "{match: {rules: R, target: {namespaceLabels: {a: b}}}, actions: [notify: {to: [log]}]}",
        "its target",
    ),
    (
        "target/owners",
        "{match: {rules: R, target: {owners: [Deployment/a]}}, actions: [notify: {to: [log]}]}",
        "its target",
    ),
    ("target/node", "{match: {rules: R}, actions: [cordon: {hostEvents: true}]}", "its target"),
];

/// What a way takes, and what follows from going it.
struct Way {
    changes: bool,
    target: bool,
    rights: BTreeSet<Permission>,
}

/// The file's text.
pub(crate) fn text() -> String {
    let mut ways = BTreeMap::new();
    for (name, action, _) in WAYS {
        ways.insert(name, of_action(name, action));
    }
    for (name, _, base) in WAYS {
        let Some(base) = base else { continue };
        let known = ways[base].rights.clone();
        let way = ways.get_mut(name).expect("it was put there");
        way.rights.retain(|right| !known.contains(right));
    }
    for (name, spec, purpose) in AROUND {
        ways.insert(name, probe(spec, false, |by| by.ends_with(purpose)));
    }
    let known = ways["target"].rights.clone();
    for name in ["target/namespace", "target/owners", "target/node"] {
        let way = ways.get_mut(name).expect("it was put there");
        way.rights.retain(|right| !known.contains(right));
    }
    // Whether the namespace is exempted is asked before any change, and no matter of the node.
    let namespace = ways["target/namespace"].rights.clone();
    let node = ways.get_mut("target/node").expect("it was put there");
    node.rights.retain(|right| !namespace.contains(right));
    let responses = playbooks::act::Records::permissions("own").into_iter().collect();
    ways.insert("responses", Way { changes: false, target: false, rights: responses });
    let objects = PlaybookKind::rights().into_iter().map(|right| right.permission).collect();
    ways.insert("objects", Way { changes: false, target: false, rights: objects });
    written(&ways)
}

fn of_action(name: &str, action: &str) -> Way {
    let spec = format!("{{mode: enforce, match: {{rules: R}}, actions: [{action}]}}");
    let by = match name {
        "isolate/expireAfter" => "expireAfter",
        _ => name.split('/').next().unwrap_or_default(),
    };
    probe(&spec, name == "isolate/enforced", |needed_by| needed_by == format!("p: {by}"))
}

fn probe(spec: &str, enforced: bool, wanted: impl Fn(&str) -> bool) -> Way {
    let folder = tempfile::tempdir().expect("a folder");
    let playbook = folder.path().join("p.yaml");
    let document = format!(
        "apiVersion: stoop.dev/v1alpha1\nkind: Playbook\nmetadata: {{name: p}}\nspec: {spec}\n"
    );
    fs::write(&playbook, document).expect("a file");
    let image = format!("registry.example/capture@sha256:{}", "a".repeat(64));
    // The names of namespaces stand for those that the chart knows.
    let settings = serde_json::json!({
        "namespace": "own", "playbooks": [playbook],
        "captureNamespace": "captures", "captureImage": image,
        "evidence": {"url": "s3://bucket/prefix"},
        "cluster": {"enforcesNetworkPolicies": enforced},
        "killSwitch": {"configMap": "named"},
        "notifiers": {"events": {"kubernetesEvents": {}}},
        "functions": {"f": {"url": "http://f.example/"}},
        "destinations": {"d": {"kafka": {"brokers": ["b:9092"], "topic": "t"}}},
    });
    let config = config::parse("stoop.yaml", &settings.to_string(), []).expect(spec);
    let resources = assemble::resources(&config).expect(spec);
    let rules = assemble::rules(&config, &Registry::standard(), &resources).expect(spec);
    let guardrails = assemble::guardrails(&config).expect(spec);
    let mut rights = rules.rights(&guardrails);
    rights.extend(resources.notifiers.rights());
    let plan = rules.plans().first().expect("a plan");
    Way {
        changes: plan.contains(),
        target: plan.needs_target(),
        rights: rights
            .into_iter()
            .filter(|right| wanted(&right.needed_by))
            .map(|right| right.permission)
            .collect(),
    }
}

fn written(ways: &BTreeMap<&str, Way>) -> String {
    let mut text = String::from(
        "# What each way of each action takes on the API server, and whether it changes the cluster or needs a target.\n\
         # Generated from the code (STOOP_BLESS=1 cargo test --features servers --test deploy); templates/_rights.tpl chooses.\n",
    );
    for (name, way) in ways {
        let Way { changes, target, rights } = way;
        // Writing to a String can't fail.
        let _ = writeln!(text, "{name}:\n  changes: {changes}\n  target: {target}");
        let mut rules = BTreeMap::<_, Vec<_>>::new();
        for right in rights {
            let resource = match &right.subresource {
                Some(subresource) => format!("{}/{subresource}", right.resource),
                None => right.resource.clone(),
            };
            let key = (&right.namespace, &right.group, resource, right.name.is_some());
            rules.entry(key).or_default().push(right.verb.as_str());
        }
        let _ = writeln!(text, "  rights:{}", if rules.is_empty() { " []" } else { "" });
        for ((namespace, group, resource, named), verbs) in rules {
            let place = namespace.iter().map(|it| format!("namespace: {it}, ")).collect::<String>();
            let named = if named { "named: true, " } else { "" };
            let _ = writeln!(
                text,
                "    - {{{place}{named}group: {group:?}, resource: {resource}, verbs: [{}]}}",
                verbs.join(", ")
            );
        }
    }
    text
}
