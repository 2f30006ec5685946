//! The chart's roles are those that `stoop rbac` prints for the same configuration and playbooks: not a verb less, not one more.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::{Value, json};

use crate::{
    chart::{Worker, documents, refused, rendered},
    ways,
};

/// A verb on a resource: namespace (empty for all), group, resource, name, verb.
type Grant = [String; 5];

/// Everything that the roles among these objects grant.
fn grants(objects: &[Value]) -> BTreeSet<Grant> {
    let texts = |value: &Value| -> Vec<String> {
        let all = value.as_array().cloned().unwrap_or_default();
        all.iter().map(|text| text.as_str().expect("text").to_owned()).collect()
    };
    let mut all = BTreeSet::new();
    for role in objects.iter().filter(|it| it["kind"] == "Role" || it["kind"] == "ClusterRole") {
        let place = role["metadata"]["namespace"].as_str().unwrap_or_default();
        for rule in role["rules"].as_array().expect("rules") {
            let mut names = texts(&rule["resourceNames"]);
            if names.is_empty() {
                names.push(String::new());
            }
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    for name in &names {
                        all.extend(texts(&rule["verbs"]).into_iter().map(|verb| {
                            [place, &group, &resource, name, &verb].map(str::to_owned)
                        }));
                    }
                }
            }
        }
    }
    all
}

fn agrees(values: &Value) {
    let objects = rendered(&values.to_string());
    let printed = Worker::of(&objects).prints(&["rbac"]);
    let printed = match printed.starts_with('#') {
        true => Vec::new(),
        false => documents(&printed),
    };
    let (chart, program) = (grants(&objects), grants(&printed));
    let more: Vec<_> = chart.difference(&program).collect();
    let less: Vec<_> = program.difference(&chart).collect();
    assert!(more.is_empty() && less.is_empty(), "{values}\nmore: {more:?}\nless: {less:?}");
}

/// A configuration in which every action can be bound.
fn config() -> Value {
    json!({
        "subscriptions": {"falco": {"kafka": {
            "brokers": ["kafka:9092"], "topic": "falco", "group": "stoop", "deadLetters": "falco.dead",
        }}},
        "destinations": {
            "d": {"kafka": {"brokers": ["kafka:9092"], "topic": "sensitive"}},
            "sensitive": {"kafka": {"brokers": ["kafka:9092"], "topic": "falco.sensitive"}},
            "others": {"kafka": {"brokers": ["kafka:9092"], "topic": "falco.others"}},
        },
        "functions": {"f": {"url": "http://f.example/"}},
        "notifiers": {
            "security-slack": {"slack": {"url": {"env": "TOKEN"}}},
            "findings": {"securityCommandCenter": {"source": "organizations/1/sources/2"}},
        },
        "evidence": {"url": "s3://bucket/prefix"},
        "captureNamespace": "captures",
        "captureImage": format!("registry.example/capture@sha256:{}", "a".repeat(64)),
    })
}

#[test]
fn for_every_playbook_of_the_examples_in_every_mode() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/playbooks");
    let mut seen = 0;
    for file in fs::read_dir(examples).expect("examples") {
        let path = file.expect("a file").path();
        if path.file_name().is_some_and(|name| name == "stoop.yaml") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("text");
        assert!(text.contains("mode: observe"), "{}", path.display());
        for mode in ["observe", "dryRun", "enforce"] {
            let text = text.replace("mode: observe", &format!("mode: {mode}"));
            agrees(&json!({"config": config(), "playbooks": {"example": text}}));
            seen += 1;
        }
    }
    assert!(seen >= 15, "{seen}");
}

#[test]
fn for_every_way_of_every_action() {
    let steps = [
        "delete",
        "{delete: {evict: true, minHealthy: 50%, owners: [ReplicaSet, StatefulSet, DaemonSet, Standalone]}}",
        "{delete: {owners: [Job, CloneSet.apps.kruise.io]}}",
        "{isolate: {}}",
        "{isolate: {egressOnly: true}}",
        "{isolate: {denyEgressByLabel: app}}",
        "{isolate: {tier: auto, expireAfter: 1h}}",
        "{isolate: {tier: auto, allow: {cidrs: [10.0.0.0/8]}}}",
        "{isolate: {tier: cilium, egressOnly: true}}",
        "{isolate: {tier: clusterNetworkPolicy}}",
        "{label: {key: a.example/b, value: c}}",
        "{annotate: {key: a.example/b, value: c, expireAfter: 1h}}",
        "{taint: {}}",
        "{taint: {hostEvents: true, expireAfter: 1h}}",
        "{cordon: {hostEvents: true}}",
        "{drain: {evictsPods: true, hostEvents: true}}",
        "{scale: {}}",
        "{scale: {autoscaled: true, expireAfter: 1h}}",
        "{capture: {snapshot: {}}}",
        "{capture: {packets: {duration: 20s}}}",
        "{capture: {files: {paths: [/etc/passwd]}}, onFailure: [{delete: {}, onFailure: [cordon]}]}",
        "{isolate: {}, onFailure: continue}",
        "{call: {function: f}}",
        "{forward: {to: d}}",
        "{notify: {to: [log]}}",
        ways::JOB,
        ways::PIPELINE_RUN,
        "{run: {namespace: elsewhere, serviceAccount: a, parameters: {EVENT_POD: target.pod}, template: {apiVersion: \
          batch/v1, kind: Job, spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: b}]}}}}}}",
    ];
    for step in steps {
        let text = playbook(&format!("{{mode: enforce, match: {{rules: R}}, actions: [{step}]}}"));
        agrees(&json!({"config": config(), "playbooks": {"p": text}}));
    }
}

#[test]
fn for_everything_else_that_a_playbook_or_the_configuration_can_ask_for() {
    let specs = [
        "{match: {rules: R, namespaces: {exclude: [ci-*]}}, actions: [notify: {to: [log]}]}",
        "{match: {rules: R, namespaces: [shop]}, actions: [call: {function: f}]}",
        "{match: {rules: R, target: {namespaceLabels: {a: b}}}, actions: [notify: {to: [log]}]}",
        "{match: {rules: R, target: {owners: [Deployment/a]}}, actions: [notify: {to: [log]}]}",
        "{mode: enforce, match: {rules: R}, actions: [delete], limits: {budget: 1 per 1m}}",
        "{mode: enforce, match: {rules: R}, actions: [delete], limits: {budget: 1 per 1m per cluster}}",
        "{mode: enforce, match: {rules: R}, actions: [delete], limits: {budget: 1 per 1m per owner}}",
        "{mode: dryRun, match: {rules: R}, actions: [delete], limits: {budget: 1 per 1m per owner}}",
        "{mode: enforce, match: {rules: R}, actions: [notify: {to: [log]}], limits: {budget: 1 per 1m}}",
        "{mode: enforce, match: {rules: R}, actions: [delete, cordon: {hostEvents: true}], approval: required}",
        "{match: {rules: R}, actions: [delete, isolate: {expireAfter: 1h}]}",
    ];
    for spec in specs {
        agrees(&json!({"config": config(), "playbooks": {"p": playbook(spec)}}));
    }
    let isolates =
        playbook("{mode: dryRun, match: {rules: R}, actions: [isolate: {expireAfter: 1h}]}");
    let mut enforcing = config();
    enforcing["cluster"] = json!({"enforcesNetworkPolicies": true});
    enforcing["notifiers"]["events"] = json!({"kubernetesEvents": {}});
    agrees(
        &json!({"config": enforcing, "playbooks": {"p": isolates, "q": playbook(specs[4]).replace("name: p", "name: q")}}),
    );
    let tells = playbook("{mode: enforce, match: {rules: R}, actions: [notify: {to: [log]}]}");
    let mut with_objects = config();
    with_objects["playbookObjects"] = json!(true);
    agrees(&json!({"config": with_objects, "playbooks": {"p": playbook(specs[4])}}));
    agrees(&json!({"config": with_objects, "playbooks": {}}));
    let mut switched = config();
    switched["killSwitch"] = json!({"configMap": "the-switch"});
    agrees(
        &json!({"config": switched, "playbooks": {"p": tells}, "killSwitch": {"create": false}}),
    );
    agrees(
        &json!({"config": config(), "playbooks": {"p": tells}, "killSwitch": {"create": false}}),
    );
}

#[test]
fn an_object_gets_what_its_text_does() {
    let object = json!({"spec": {
        "mode": "enforce", "match": {"rules": ["R"]},
        "actions": ["delete", {"isolate": {"tier": "cilium"}, "onFailure": ["cordon"]}],
        "limits": {"budget": "5 per 10m per namespace"},
    }});
    agrees(&json!({"config": config(), "playbooks": {"shell": object}}));
    let both = format!(
        "{}---\n{}",
        playbook("{match: {rules: R}, actions: [delete]}"),
        playbook("{mode: enforce, match: {rules: R}, actions: [cordon]}")
            .replace("name: p", "name: q")
    );
    agrees(&json!({"config": config(), "playbooks": {"several": both}}));
}

#[test]
fn what_is_not_known_is_refused_and_never_guessed() {
    let of = |step: &str| {
        let text = playbook(&format!("{{mode: enforce, match: {{rules: R}}, actions: [{step}]}}"));
        refused(&json!({"config": config(), "playbooks": {"p": text}}).to_string())
    };
    let why = of("{obliterate: {}}");
    assert!(why.contains("p: the chart does not know what `obliterate` takes"), "{why}");
    let why = of("{run: {namespace: run, serviceAccount: a, templateFile: /etc/job.yaml}}");
    assert!(why.contains("write it below `template`, or give rbac.rules"), "{why}");
    let why = of("{run: {serviceAccount: a, template: {kind: Job}}}");
    assert!(why.contains("the namespace of run is not known"), "{why}");
    let elsewhere = json!({"config": config(), "existingPlaybooks": "theirs"});
    let why = refused(&elsewhere.to_string());
    assert!(why.contains("give the rules that `stoop rbac` prints"), "{why}");
}

#[test]
fn rules_that_are_given_are_all_there_are() {
    let rule = json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]});
    let rules = json!({"cluster": [rule], "namespaces": {"security": [rule]}});
    let values =
        json!({"config": config(), "existingPlaybooks": "theirs", "rbac": {"rules": rules}});
    let grant = |place: &str| [place, "", "pods", "", "get"].map(str::to_owned);
    let found = grants(&rendered(&values.to_string()));
    assert_eq!(found, BTreeSet::from([grant(""), grant("security")]));
    let none =
        json!({"config": config(), "existingPlaybooks": "theirs", "rbac": {"create": false}});
    assert!(grants(&rendered(&none.to_string())).is_empty());
}

#[test]
fn what_objects_take_is_granted_beside_what_is_found() {
    let rule = json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["delete"]});
    let objects = json!({"cluster": [rule], "namespaces": {"shop": [rule]}});
    let mut config = config();
    let refusal = json!({"config": config, "playbooks": {"p": playbook(OBSERVES)}, "rbac": {"objects": objects}});
    assert!(refused(&refusal.to_string()).contains("config.playbookObjects"));
    config["playbookObjects"] = json!(true);
    let without = json!({"config": config, "playbooks": {"p": playbook(OBSERVES)}});
    let mut with = without.clone();
    with["rbac"] = json!({"objects": objects});
    let [without, with] = [without, with].map(|values| grants(&rendered(&values.to_string())));
    let more: Vec<_> = with.difference(&without).cloned().collect();
    let grant = |place: &str| [place, "", "pods", "", "delete"].map(str::to_owned);
    assert_eq!(more, [grant(""), grant("shop")]);
    assert!(without.is_subset(&with));
}

const OBSERVES: &str = "{match: {rules: R}, actions: [delete]}";

fn playbook(spec: &str) -> String {
    format!("apiVersion: stoop.dev/v1alpha1\nkind: Playbook\nmetadata: {{name: p}}\nspec: {spec}\n")
}
