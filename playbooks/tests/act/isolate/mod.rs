//! `isolate`: what goes over the wire, when it is said to be done, and how it is taken back.

mod cluster;
mod doubts;
mod races;
mod tiers;
mod undo;

use http::Method;
use playbooks::{
    act::{Api, Permission, Registry, Resources},
    decide::read_text,
};
use serde_json::json;

use self::cluster::{Cluster, POLICIES};
use crate::{
    fixtures::{Bench, POD, Setup, UID, event, words},
    wire::Wire,
};

const ISOLATE: &str = "mode: enforce\nactions: [isolate: {}]";
/// `stoop-quarantine-` and the label's value, which follow from the uid.
const ID: &str = "fc29c04496ac32f5";

/// A worker on a cluster whose network enforces policies.
fn enforcing(api: Api) -> Bench {
    let mut setup = Setup::new(api);
    setup.enforces_policies = true;
    setup.build()
}

fn isolate(config: &str) -> String {
    format!("mode: enforce\nactions: [isolate: {config}]")
}

fn quarantine() -> String {
    format!("stoop-quarantine-{ID}")
}

/// What was written, in order, and nothing but.
fn written(wire: &Wire) -> Vec<(Method, String)> {
    wire.writes().into_iter().map(|write| (write.method, write.path)).collect()
}

#[tokio::test]
async fn the_policy_is_there_before_the_pod_leaves_those_that_held_it() {
    let cluster = Cluster::new();
    let (api, wire) = cluster.serve();
    let report = enforcing(api).run(ISOLATE, &event()).await;
    assert_eq!(words(&report), ["isolate applied"]);
    let policy = format!("{POLICIES}/{}", quarantine());
    assert_eq!(written(&wire), [(Method::PATCH, policy), (Method::PATCH, POD.to_owned())]);
    let [apply, relabel] = &wire.writes()[..] else { panic!("two writes") };

    assert!(apply.query.contains("fieldManager=stoop-isolate"), "{}", apply.query);
    let meta = &apply.body["metadata"];
    assert_eq!(
        meta["labels"],
        json!({"app.kubernetes.io/managed-by": "stoop", "stoop.dev/pod-uid": UID})
    );
    assert_eq!(meta["ownerReferences"][0]["uid"], UID, "it goes when the pod goes");
    assert_eq!(
        apply.body["spec"],
        json!({"podSelector": {"matchLabels": {"stoop.dev/quarantine": ID}}, "policyTypes": ["Ingress", "Egress"], "ingress": [], "egress": []})
    );

    let meta = &relabel.body["metadata"];
    assert_eq!((&meta["uid"], &meta["resourceVersion"]), (&json!(UID), &json!("100")));
    assert_eq!(meta["labels"], json!({"app": null, "hash": null, "stoop.dev/quarantine": ID}));
    assert_eq!(cluster.labels(), json!({"note": "x", "stoop.dev/quarantine": ID}));
    let detail = report.overall.detail();
    for words in [
        "ingress and egress",
        "Service web",
        "ReplicaSet web-5d",
        "Effective",
        "already open may live on",
    ] {
        assert!(detail.contains(words), "{words}: {detail}");
    }
}

#[tokio::test]
async fn a_redelivery_finds_it_done_and_the_whole_takes_few_requests() {
    let cluster = Cluster::new();
    let (api, wire) = cluster.serve();
    let bench = enforcing(api);
    bench.run(ISOLATE, &event()).await;
    assert!(wire.requests().len() < 20, "{}", wire.requests().len());
    let before = cluster.state().clone();
    assert_eq!(words(&bench.run(ISOLATE, &event()).await), ["isolate already-done"]);
    assert_eq!(*cluster.state(), before);
    assert_eq!(wire.writes().len(), 2);
}

#[tokio::test]
async fn egress_alone_leaves_the_pod_where_it_serves() {
    let cluster = Cluster::new();
    let (api, wire) = cluster.serve();
    let report = enforcing(api).run(&isolate("{egressOnly: true}"), &event()).await;
    assert_eq!(words(&report), ["isolate applied"]);
    assert_eq!(cluster.state().policies[&quarantine()]["spec"]["policyTypes"], json!(["Egress"]));
    assert_eq!(
        cluster.labels(),
        json!({"app": "web", "hash": "5d", "note": "x", "stoop.dev/quarantine": ID})
    );
    assert!(wire.requests().iter().all(|request| !request.path.ends_with("/services")));
}

#[tokio::test]
async fn an_allow_list_becomes_rules_and_the_proof_respects_it() {
    let cluster = Cluster::new()
        .with_policy("dns", json!({
            "podSelector": {"matchLabels": {"note": "x"}}, "policyTypes": ["Egress"],
            "egress": [{"to": [{"ipBlock": {"cidr": "10.1.2.0/24"}}], "ports": [{"protocol": "UDP", "port": 53}]}]
        }))
        .with_policy("forensics", json!({
            "podSelector": {}, "policyTypes": ["Ingress"],
            "ingress": [{"from": [{
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "forensics"}},
                "podSelector": {"matchLabels": {"app": "collector"}}
            }]}]
        }));
    let (api, _) = cluster.serve();
    let config = "{allow: {cidrs: ['10.1.0.0/16', 'fd00::/8'], namespaces: [forensics]}}";
    let report = enforcing(api).run(&isolate(config), &event()).await;
    assert_eq!(words(&report), ["isolate applied"], "{}", report.overall);
    let told = "but for 10.1.0.0/16, fd00::/8, namespace forensics, of pod shop/web";
    assert!(report.overall.detail().contains(told), "{}", report.overall.detail());
    let peers = json!([
        {"ipBlock": {"cidr": "10.1.0.0/16"}},
        {"ipBlock": {"cidr": "fd00::/8"}},
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "forensics"}}}
    ]);
    let spec = cluster.state().policies[&quarantine()]["spec"].clone();
    assert_eq!(
        (&spec["ingress"], &spec["egress"]),
        (&json!([{"from": peers}]), &json!([{"to": peers}]))
    );
    assert_eq!(cluster.labels()["note"], "x", "what allows no more than we do is not left");
}

#[tokio::test]
async fn the_simple_form_touches_no_pod_and_says_whom_it_hits() {
    let cluster = Cluster::new();
    let before = cluster.state().pod.clone();
    let (api, wire) = cluster.serve();
    let bench = enforcing(api);
    let spec = isolate("{denyEgressByLabel: app}");
    let described = bench.plan(&spec).describe();
    assert!(described[0].contains("EVERY pod"), "{described:?}");
    let report = bench.run(&spec, &event()).await;
    assert_eq!(words(&report), ["isolate applied"]);
    assert!(
        report.overall.detail().contains("EVERY pod of shop with app=web"),
        "{}",
        report.overall
    );
    let [apply] = &wire.writes()[..] else { panic!("{:?}", written(&wire)) };
    assert!(apply.path.contains("/stoop-deny-egress-"), "{}", apply.path);
    assert_eq!(
        apply.body["spec"],
        json!({"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Egress"], "ingress": [], "egress": []})
    );
    assert_eq!(
        apply.body["metadata"]["ownerReferences"],
        json!(null),
        "its pod's end would free the others"
    );
    assert_eq!(cluster.state().pod, before);
    assert_eq!(words(&bench.run(&spec, &event()).await), ["isolate already-done"]);

    let report = bench.run(&isolate("{denyEgressByLabel: tier}"), &event()).await;
    assert_eq!(words(&report), ["isolate failed (permanent)"]);
    assert!(report.overall.detail().contains("no label `tier`"));
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_foresees_the_proof() {
    let open = json!({"podSelector": {}, "ingress": [{}]});
    for (cluster, words_of_it) in [
        (Cluster::new(), "accepted: Effective"),
        (Cluster::new().with_policy("open", open), "would fail: Partial: the NetworkPolicy open"),
    ] {
        let before = cluster.state().clone();
        let (api, wire) = cluster.serve();
        let report = enforcing(api).run("mode: dryRun\nactions: [isolate: {}]", &event()).await;
        assert_eq!(words(&report), ["isolate skipped (dry-run)"]);
        assert!(report.overall.detail().contains(words_of_it), "{}", report.overall);
        assert_eq!(wire.writes().len(), 2);
        assert!(wire.writes().iter().all(|write| write.query.contains("dryRun=All")));
        assert_eq!(*cluster.state(), before);
    }
}

#[tokio::test]
async fn what_no_policy_reaches_is_refused_before_any_change() {
    let mirrored = |pod: &mut serde_json::Value| {
        pod["metadata"]["annotations"]["kubernetes.io/config.mirror"] = json!("h")
    };
    let on_host = |pod: &mut serde_json::Value| pod["spec"]["hostNetwork"] = json!(true);
    for (cluster, refusal) in [
        (Cluster::new().with_pod(on_host), "isolate refused (host-network)"),
        (
            Cluster::new().with_pod(mirrored).with_pod(|pod| {
                pod["metadata"]["annotations"]["kubernetes.io/config.hash"] = json!(UID)
            }),
            "isolate refused (mirror-pod)",
        ),
    ] {
        for spec in [isolate("{accept: [Partial, Unproven]}"), isolate("{denyEgressByLabel: app}")]
        {
            let (api, wire) = cluster.serve();
            let report = enforcing(api).run(&spec, &event()).await;
            assert_eq!(words(&report), [refusal]);
            assert_eq!(written(&wire), []);
        }
    }
}

#[tokio::test]
async fn what_follows_for_the_owner_is_said() {
    let owned_by = |api_version: &str, kind: &str| {
        let owner = json!([{"apiVersion": api_version, "kind": kind, "name": "db", "uid": "o", "controller": true}]);
        Cluster::new().with_pod(|pod| pod["metadata"]["ownerReferences"] = owner)
    };
    for (cluster, said) in [
        (owned_by("apps/v1", "StatefulSet"), "StatefulSet db can't replace it"),
        (
            owned_by("apps.kruise.io/v1", "CloneSet"),
            "CloneSet db is of a kind whose selector is not known",
        ),
    ] {
        let (api, _) = cluster.serve();
        let report = enforcing(api).run(ISOLATE, &event()).await;
        assert_eq!(words(&report), ["isolate applied"]);
        assert!(report.overall.detail().contains(said), "{}", report.overall);
    }
}

#[test]
fn the_documented_playbook_can_be_read() {
    let text = include_str!("../../../../docs/actions/isolate.md");
    let yaml = text.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    let playbooks = read_text("isolate.md", yaml.expect("an example"));
    let playbook = playbooks.map_err(|error| error.to_string()).expect("a playbook").remove(0);
    let plan = Registry::standard().bind(&playbook, &Resources::default());
    let plan = plan.map_err(|error| error.to_string()).expect("a plan");
    assert_eq!(
        plan.describe()[0],
        "isolate the pod: cut ingress and egress, but for 10.20.0.0/24, namespace forensics"
    );
}

#[tokio::test]
async fn the_rights_are_those_of_what_is_configured() {
    let bench = |enforces| {
        let (api, _) = Cluster::new().serve();
        let mut setup = Setup::new(api);
        setup.enforces_policies = enforces;
        setup.build()
    };
    let policies = |verb| Permission::new("networking.k8s.io", "networkpolicies", verb);
    let all = bench(false).plan(ISOLATE).permissions();
    for needed in [
        policies("list"),
        policies("create"),
        policies("patch"),
        policies("delete"),
        Permission::new("", "pods", "patch"),
    ] {
        assert!(all.contains(&needed), "{needed}");
    }
    let simple = bench(false).plan(&isolate("{denyEgressByLabel: app}")).permissions();
    assert!(!simple.contains(&Permission::new("", "pods", "patch")));
    assert!(!simple.contains(&Permission::new("", "services", "list")));
    let cilium = Permission::new("cilium.io", "ciliumnetworkpolicies", "list");
    assert!(!all.contains(&cilium));
    assert!(bench(true).plan(ISOLATE).permissions().contains(&cilium));
}
