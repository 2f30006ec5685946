//! `drain`: who goes, who stays, and that it is bounded.

use playbooks::act::{Advance, Exemptions, Holder, ObjectRef, OwnNode, Uid, revert};
use serde_json::{Value, json};

use crate::{
    fixtures::{POD, Setup, UID, ago, event, pod_with, word, words},
    nodes::{NODE, cluster, node},
    store::{Store, losing},
    wire::error,
};

const DRAIN: &str = "mode: enforce\nactions: [drain: {evictsPods: true}]";

fn path(name: &str) -> String {
    format!("/api/v1/namespaces/shop/pods/{name}")
}

/// A pod of the same ReplicaSet on the same node.
fn sibling(name: &str) -> Value {
    pod_with(|pod| {
        pod["metadata"]["name"] = json!(name);
        pod["metadata"]["uid"] = json!(format!("uid-{name}"));
    })
}

/// Two other nodes, the verified pod and a sibling.
fn store() -> Store {
    let store = cluster(2);
    store.lock().put(&path("other"), sibling("other"));
    store
}

fn is_ending(store: &Store, path: &str) -> bool {
    store.get(path)["metadata"].get("deletionTimestamp").is_some()
}

/// What one pass is left waiting for.
async fn pass(store: &Store, spec: &str) -> String {
    let bench = Setup::new(store.serve().0).build();
    let mut response = bench.begin(spec, &event()).await;
    match bench.advance(&mut response).await {
        Advance::Retry(failure) => failure.why,
        Advance::Finished(report) => word(&report.overall),
        Advance::Lost => panic!("lost"),
    }
}

#[tokio::test]
async fn the_node_is_cordoned_and_its_pods_are_evicted_until_none_is_left() {
    let store = store();
    let (api, wire) = store.serve();
    let bench = Setup::new(api).build();
    let mut response = bench.begin(DRAIN, &event()).await;
    let Advance::Retry(waits) = bench.advance(&mut response).await else { panic!("not pending") };
    assert!(waits.why.contains("2 pods of node node-1 are still to go"), "{waits}");
    assert_eq!(store.get(NODE)["spec"]["unschedulable"], true);
    assert!(is_ending(&store, POD) && is_ending(&store, &path("other")));
    let evictions: Vec<_> =
        wire.writes().into_iter().filter(|write| write.path.ends_with("eviction")).collect();
    for eviction in &evictions {
        let uid = match eviction.body["metadata"]["name"].as_str() {
            Some("web") => UID,
            _ => "uid-other",
        };
        let options = &eviction.body["deleteOptions"];
        assert_eq!(*options, json!({"gracePeriodSeconds": 30, "preconditions": {"uid": uid}}));
    }
    assert_eq!(evictions.len(), 2);

    // Still ending: nothing is asked for twice.
    assert!(matches!(bench.advance(&mut response).await, Advance::Retry(_)));
    assert_eq!(wire.writes().len(), 3);
    for path in [POD.to_owned(), path("other")] {
        store.lock().remove(&path);
    }
    let Advance::Finished(report) = bench.advance(&mut response).await else {
        panic!("not finished")
    };
    assert_eq!(words(&report), ["drain applied"]);

    let holder = Holder::new("test", &Uid::new(UID));
    revert(&store.serve().0, &ObjectRef::node("node-1"), &holder, false).await.expect("reverted");
    assert_eq!(store.get(NODE)["spec"], node("node-1")["spec"]);
}

#[tokio::test]
async fn a_node_that_is_empty_and_cordoned_is_done() {
    let store = store();
    store.lock().change(NODE, |node| node["spec"]["unschedulable"] = json!(true));
    store.lock().change(POD, |pod| pod["metadata"]["ownerReferences"] = json!([]));
    store.lock().remove(&path("other"));
    assert_eq!(pass(&store, DRAIN).await, "already-done");
}

#[tokio::test]
async fn what_is_protected_or_would_come_back_stays() {
    type Change = fn(&mut Value);
    let table: [(&str, Change); 7] = [
        ("a protected namespace", |pod| pod["metadata"]["namespace"] = json!("kube-system")),
        ("the worker's own namespace", |pod| pod["metadata"]["namespace"] = json!("ours")),
        ("a mirror", |pod| {
            pod["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
        }),
        ("a system priority", |pod| {
            pod["spec"]["priorityClassName"] = json!("system-node-critical");
        }),
        ("ended", |pod| pod["status"]["phase"] = json!("Succeeded")),
        ("a DaemonSet's", |pod| {
            pod["metadata"]["ownerReferences"][0]["kind"] = json!("DaemonSet");
        }),
        ("nobody's", |pod| pod["metadata"]["ownerReferences"] = json!([])),
    ];
    for (what, change) in table {
        let (store, mut other) = (cluster(2), sibling("other"));
        change(&mut other);
        // Where the server would have it, so that an eviction would find it.
        let namespace = other["metadata"]["namespace"].as_str().expect("a namespace");
        let stays = format!("/api/v1/namespaces/{namespace}/pods/other");
        store.lock().put(&stays, other);
        let mut setup = Setup::new(store.serve().0);
        setup.guardrails.own_namespace = Some("ours".into());
        let bench = setup.build();
        let mut response =
            bench.begin("mode: enforce\nactions: [drain: {evictsPods: true, owners: [ReplicaSet, DaemonSet]}]", &event()).await;
        let _ = bench.advance(&mut response).await;
        assert!(is_ending(&store, POD), "{what}");
        assert!(!is_ending(&store, &stays), "{what}");
        store.lock().remove(POD);
        let Advance::Finished(report) = bench.advance(&mut response).await else {
            panic!("not finished: {what}")
        };
        assert!(report.overall.detail().contains("1 "), "{what}: {}", report.overall.detail());
    }
}

const SHOP: &str = "/api/v1/namespaces/shop";
const NEXT: &str = "/api/v1/namespaces/next";
const NEXT_POD: &str = "/api/v1/namespaces/next/pods/other";

/// The verified pod of `shop`, and one of `next` with these annotations, in a namespace with those.
fn shared_node(of_namespace: Value, of_pod: Value) -> Store {
    let store = cluster(2);
    let mut other = sibling("other");
    other["metadata"]["namespace"] = json!("next");
    other["metadata"]["annotations"] = of_pod;
    store.lock().put(NEXT_POD, other);
    store.lock().put(SHOP, json!({"metadata": {"name": "shop"}}));
    store.lock().put(NEXT, json!({"metadata": {"name": "next", "annotations": of_namespace}}));
    store
}

#[tokio::test]
async fn pods_that_others_have_exempted_stay_and_that_is_said() {
    use Exemptions::{Namespaces, NamespacesAndPods};
    let until = |seconds_ago: i64| json!({"stoop.dev/ignore-until": ago(seconds_ago).to_string()});
    let (ignore, none) = (json!({"stoop.dev/ignore": "true"}), json!({}));
    let table = [
        (Namespaces, ignore.clone(), none.clone(), Some("1 exempt stays")),
        (Namespaces, until(-60), none.clone(), Some("1 exempt stays")),
        (
            Namespaces,
            json!({"stoop.dev/ignore-until": "soon"}),
            none.clone(),
            Some("1 exempt by an annotation that can't be read stays"),
        ),
        (Namespaces, until(60), none.clone(), None),
        (Namespaces, none.clone(), ignore.clone(), None),
        (NamespacesAndPods, none.clone(), ignore, Some("1 exempt stays")),
    ];
    for (exemptions, of_namespace, of_pod, stays) in table {
        let store = shared_node(of_namespace.clone(), of_pod.clone());
        let (api, wire) = store.serve();
        let mut setup = Setup::new(api);
        setup.guardrails.exemptions = exemptions;
        let bench = setup.build();
        let mut response = bench.begin(DRAIN, &event()).await;
        let _ = bench.advance(&mut response).await;
        let case = format!("{of_namespace} {of_pod}");
        assert!(is_ending(&store, POD), "{case}");
        assert_eq!(is_ending(&store, NEXT_POD), stays.is_none(), "{case}");
        let reads = wire.requests().into_iter().filter(|request| request.path == NEXT).count();
        assert_eq!(reads, 1, "{case}");
        let Some(stays) = stays else { continue };
        store.lock().remove(POD);
        let Advance::Finished(report) = bench.advance(&mut response).await else {
            panic!("not finished: {case}")
        };
        assert!(report.overall.detail().contains(stays), "{}", report.overall.detail());
    }
}

#[tokio::test]
async fn where_it_cannot_be_told_who_is_exempted_nothing_is_done() {
    for (code, reason, retried) in
        [(503, "ServiceUnavailable", true), (404, "NotFound", true), (403, "Forbidden", false)]
    {
        let store = shared_node(json!({}), json!({}));
        let (api, wire) = store.serve_but(move |request, carry_out| match request.path == NEXT {
            true => error(code, reason, "namespaces \"next\""),
            false => carry_out(),
        });
        let mut setup = Setup::new(api);
        setup.guardrails.exemptions = Exemptions::Namespaces;
        let bench = setup.build();
        match bench.advance(&mut bench.begin(DRAIN, &event()).await).await {
            Advance::Retry(failure) => {
                assert!(retried && failure.why.contains("namespace next"), "{code}: {failure}");
            }
            Advance::Finished(report) => {
                assert_eq!(
                    (words(&report), retried),
                    (vec!["drain failed (permanent)".into()], false)
                );
                assert!(report.wants_redrive());
            }
            Advance::Lost => panic!("lost"),
        }
        assert!(wire.writes().is_empty(), "{code}");
    }
}

#[tokio::test]
async fn pods_of_other_nodes_stay_where_they_are() {
    let store = store();
    store.lock().change(&path("other"), |pod| pod["spec"]["nodeName"] = json!("node-2"));
    pass(&store, DRAIN).await;
    assert!(is_ending(&store, POD) && !is_ending(&store, &path("other")));
}

#[tokio::test]
async fn a_disruption_budget_is_waited_for_and_the_others_go() {
    let store = store();
    store.lock().change(POD, |pod| {
        pod["metadata"]["annotations"] = json!({"test/budget": "used-up"});
    });
    let waits = pass(&store, DRAIN).await;
    assert!(waits.contains("1 of them wait for a disruption budget"), "{waits}");
    assert!(!is_ending(&store, POD) && is_ending(&store, &path("other")));
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_never_gives_way_ends_with_the_playbooks_time() {
    let store = store();
    store.lock().change(POD, |pod| {
        pod["metadata"]["annotations"] = json!({"test/budget": "used-up"});
    });
    let bench = Setup::new(store.serve().0).build();
    let spec = format!("{DRAIN}\nlimits: {{timeout: 1m, attempts: 1}}");
    let mut response = bench.begin(&spec, &event()).await;
    assert!(matches!(bench.advance(&mut response).await, Advance::Retry(_)));
    assert!(
        matches!(bench.advance(&mut response).await, Advance::Retry(_)),
        "no attempt is used up"
    );
    tokio::time::advance(std::time::Duration::from_secs(61)).await;
    let Advance::Finished(report) = bench.advance(&mut response).await else {
        panic!("not finished")
    };
    assert_eq!(words(&report), ["drain failed (transient)"]);
    assert!(report.overall.detail().contains("limits.timeout"), "{}", report.overall.detail());
}

#[tokio::test]
async fn a_stale_eviction_is_not_sent() {
    let store = store();
    let mut listed = false;
    let inner = store.clone();
    let (api, wire) = store.serve_but(move |request, carry_out| {
        let answer = carry_out();
        if request.path == "/api/v1/pods" && !std::mem::replace(&mut listed, true) {
            inner.lock().change(&path("other"), |pod| pod["metadata"]["uid"] = json!("another"));
        }
        answer
    });
    let bench = Setup::new(api).build();
    let mut response = bench.begin(DRAIN, &event()).await;
    let _ = bench.advance(&mut response).await;
    assert!(!is_ending(&store, &path("other")));
    assert!(wire.writes().iter().all(|write| write.path != format!("{}/eviction", path("other"))));
}

#[tokio::test]
async fn a_node_that_must_not_be_emptied_is_refused_before_anything_is_done() {
    type Change = fn(&Store);
    let table: [(&str, OwnNode, Change, &str); 5] = [
        ("ours", OwnNode::Named("node-1".into()), |_| {}, "refused (own-node)"),
        ("perhaps ours", OwnNode::Unknown, |_| {}, "refused (own-node)"),
        (
            "the control plane's",
            OwnNode::Outside,
            |store| {
                store.lock().change(NODE, |node| {
                    node["metadata"]["labels"]["node-role.kubernetes.io/control-plane"] = json!("");
                });
            },
            "refused (control-plane)",
        ),
        (
            "the last",
            OwnNode::Outside,
            |store| {
                store.lock().remove("/api/v1/nodes/node-2");
                store.lock().remove("/api/v1/nodes/node-3");
            },
            "refused (last-node)",
        ),
        (
            "the last, and cordoned",
            OwnNode::Outside,
            |store| {
                store.lock().remove("/api/v1/nodes/node-2");
                store.lock().remove("/api/v1/nodes/node-3");
                store.lock().change(NODE, |node| node["spec"]["unschedulable"] = json!(true));
            },
            "refused (last-node)",
        ),
    ];
    for (what, own_node, change, expected) in table {
        let store = store();
        change(&store);
        let (api, wire) = store.serve();
        let mut setup = Setup::new(api);
        setup.guardrails.own_node = own_node;
        let report = setup.build().run(DRAIN, &event()).await;
        assert_eq!(words(&report), [format!("drain {expected}")], "{what}");
        assert!(wire.writes().is_empty(), "{what}");
    }
}

#[tokio::test]
async fn more_pods_than_the_playbook_allows_are_refused_and_nothing_is_done() {
    let (api, wire) = store().serve();
    let few = "mode: enforce\nactions: [drain: {evictsPods: true, maxPods: 1}]";
    let report = Setup::new(api).build().run(few, &event()).await;
    assert_eq!(words(&report), ["drain refused (pod-limit)"]);
    assert!(wire.writes().is_empty());
}

#[tokio::test]
async fn a_missing_right_is_permanent_and_keeps_no_other_from_going() {
    let store = store();
    let (api, _) = store.serve_but(|request, carry_out| {
        match request.path == "/api/v1/namespaces/shop/pods/web/eviction" {
            true => error(403, "Forbidden", "pods/eviction is forbidden"),
            false => carry_out(),
        }
    });
    let report = Setup::new(api).build().run(DRAIN, &event()).await;
    assert_eq!(words(&report), ["drain failed (permanent)"]);
    assert!(is_ending(&store, &path("other")));
}

#[tokio::test]
async fn a_dry_run_says_so_and_changes_nothing() {
    let store = store();
    let before = [NODE, POD].map(|path| store.get(path));
    let (api, wire) = store.serve();
    let report = Setup::new(api).build().run(&DRAIN.replace("enforce", "dryRun"), &event()).await;
    assert_eq!(report.overall.reason(), Some("dry-run"));
    assert!(wire.writes().iter().all(|write| write.query.contains("dryRun=All")));
    assert_eq!((wire.writes().len(), [NODE, POD].map(|path| store.get(path))), (3, before));
}

#[tokio::test]
async fn a_crash_anywhere_ends_in_the_same_state() {
    for number in 0..14 {
        let store = store();
        let bench = Setup::new(store.serve_but(losing(number)).0).build();
        for _ in 0..3 {
            if let Some(mut response) = bench.try_begin(DRAIN, &event()).await {
                let _ = bench.advance(&mut response).await;
            }
        }
        assert!(is_ending(&store, POD) && is_ending(&store, &path("other")), "{number}");
        assert_eq!(store.get(NODE)["spec"]["unschedulable"], true);
        let notes = &store.get(NODE)["metadata"]["annotations"]["stoop.dev/cordon"];
        assert!(notes.as_str().is_some_and(|notes| notes.contains(UID)), "{number}");
    }
}
