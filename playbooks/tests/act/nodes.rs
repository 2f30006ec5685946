//! `taint` and `cordon`: which node, what holds them back, and that nothing of others is touched.

use playbooks::act::{Advance, Holder, ObjectRef, Outcome, OwnNode, Uid, revert};
use serde_json::{Value, json};

use crate::{
    fixtures::{POD, Setup, UID, ago, event, pod, pod_with, words},
    store::{Store, losing, pinned, without_version},
    wire::error,
};

pub(crate) const NODE: &str = "/api/v1/nodes/node-1";
const NODE_UID: &str = "4c0e-node-1";
const TAINT: &str = "mode: enforce\nactions: [taint: {key: acme.example/suspect, value: shell}]";
const CORDON: &str = "mode: enforce\nactions: [cordon]";
const BOTH: [(&str, &str); 2] = [("taint", TAINT), ("cordon", CORDON)];

pub(crate) fn node(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": name, "uid": format!("4c0e-{name}"),
            "creationTimestamp": "2020-01-01T00:00:00Z",
            "labels": {"kubernetes.io/hostname": name}
        },
        "spec": {"podCIDR": "10.0.0.0/24"},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]}
    })
}

fn path(name: &str) -> String {
    format!("/api/v1/nodes/{name}")
}

/// The verified pod, its node, and so many others.
pub(crate) fn cluster(others: usize) -> Store {
    let nodes =
        (1..=others + 1).map(|n| format!("node-{n}")).map(|name| (path(&name), node(&name)));
    Store::of(nodes.chain([(POD.to_owned(), pod())]))
}

async fn run(store: &Store, spec: &str) -> Vec<String> {
    words(&store.run_as("test", spec, &event()).await)
}

async fn take_back(store: &Store, playbook: &str, uid: &str) -> Vec<&'static str> {
    let holder = Holder::new(playbook, &Uid::new(uid));
    let done = revert(&store.serve().0, &ObjectRef::node("node-1"), &holder, false).await;
    done.expect("reverted").iter().map(Outcome::as_str).collect()
}

/// As the real server would show it: without mappings that are empty.
fn plain(node: Value) -> Value {
    let mut node = without_version(node);
    let metadata = node["metadata"].as_object_mut().expect("metadata");
    metadata.retain(|_, value| *value != json!({}));
    node
}

fn taints(store: &Store) -> Value {
    store.get(NODE)["spec"]["taints"].clone()
}

#[tokio::test]
async fn the_pods_node_is_marked_once_and_revert_leaves_it_as_it_was() {
    for (action, spec) in BOTH {
        let store = cluster(2);
        let before = store.get(NODE);
        assert_eq!(run(&store, spec).await, [format!("{action} applied")]);
        let marked = store.get(NODE);
        match action {
            "taint" => assert_eq!(
                marked["spec"]["taints"],
                json!([{"key": "acme.example/suspect", "value": "shell", "effect": "NoSchedule"}])
            ),
            _ => assert_eq!(marked["spec"]["unschedulable"], true),
        }
        assert_eq!(run(&store, spec).await, [format!("{action} already-done")]);
        assert_eq!(store.get(NODE), marked, "a redelivery writes nothing");
        for other in ["node-2", "node-3"] {
            assert_eq!(without_version(store.get(&path(other))), node(other));
        }

        assert!(take_back(&store, "test", UID).await.contains(&"applied"));
        assert_eq!(plain(store.get(NODE)), plain(before));
        let reverted = store.get(NODE);
        assert_eq!(take_back(&store, "test", UID).await, ["already-done", "already-done"]);
        assert_eq!(store.get(NODE), reverted);
    }
}

#[tokio::test]
async fn every_write_is_pinned_and_names_nothing_of_others() {
    let theirs = json!([
        {"key": "dedicated", "value": "gpu", "effect": "NoSchedule", "timeAdded": "2026-01-01T00:00:00Z", "future": [1]},
        {"key": "acme.example/suspect", "value": "shell", "effect": "NoExecute"}
    ]);
    let store = cluster(2);
    store.lock().change(NODE, |node| {
        node["spec"]["taints"] = theirs.clone();
        node["metadata"]["annotations"] = json!({"theirs": "1"});
    });
    let before = store.get(NODE);
    let (api, wire) = store.serve();
    Setup::new(api).build().run(TAINT, &event()).await;
    let [write] = &wire.writes()[..] else { panic!("{:?}", wire.writes()) };
    let operations = pinned(write, NODE_UID);
    let changes: Vec<_> = operations.iter().map(|operation| &operation["path"]).collect();
    assert_eq!(changes, ["/spec/taints/-", "/metadata/annotations/stoop.dev~1taints"]);
    let now = taints(&store);
    assert_eq!(now.as_array().map(|all| all[..2].to_vec()), theirs.as_array().cloned());

    // Theirs move about while ours is there.
    store.lock().change(NODE, |node| {
        node["spec"]["taints"].as_array_mut().expect("taints").reverse();
    });
    take_back(&store, "test", UID).await;
    store.lock().change(NODE, |node| {
        node["spec"]["taints"].as_array_mut().expect("taints").reverse();
    });
    assert_eq!(plain(store.get(NODE)), plain(before));
}

#[tokio::test]
async fn a_taint_that_others_add_meanwhile_survives() {
    let store = cluster(2);
    let theirs = json!({"key": "theirs", "effect": "NoSchedule"});
    let added = theirs.clone();
    store.outrun(NODE, move |node| node["spec"]["taints"] = json!([added]));
    assert_eq!(run(&store, TAINT).await, ["taint applied"]);
    assert_eq!(taints(&store)[0], theirs);
    assert_eq!(taints(&store).as_array().map(Vec::len), Some(2));

    // And the other way round, while ours is taken back.
    let theirs = json!({"key": "later", "effect": "NoSchedule"});
    let added = theirs.clone();
    store.outrun(NODE, move |node| {
        node["spec"]["taints"].as_array_mut().expect("taints").insert(0, added);
    });
    take_back(&store, "test", UID).await;
    let keys: Vec<_> = taints(&store)
        .as_array()
        .expect("taints")
        .iter()
        .map(|taint| taint["key"].clone())
        .collect();
    assert_eq!(keys, ["later", "theirs"]);
}

#[tokio::test]
async fn what_others_have_put_there_or_changed_is_not_taken_off() {
    // There before us.
    let store = cluster(2);
    store.lock().change(NODE, |node| {
        node["spec"] = json!({
            "unschedulable": true,
            "taints": [{"key": "acme.example/suspect", "value": "theirs", "effect": "NoSchedule"}]
        });
    });
    let before = store.get(NODE);
    for (action, spec) in BOTH {
        assert_eq!(run(&store, spec).await, [format!("{action} already-done")]);
    }
    assert_eq!(take_back(&store, "test", UID).await, ["already-done", "already-done"]);
    assert_eq!(store.get(NODE), before);

    // Changed since.
    let store = cluster(2);
    run(&store, TAINT).await;
    store.lock().change(NODE, |node| node["spec"]["taints"][0]["value"] = json!("theirs"));
    let changed = taints(&store);
    take_back(&store, "test", UID).await;
    assert_eq!(taints(&store), changed);
}

#[tokio::test]
async fn a_mark_stays_until_the_last_response_lets_go() {
    for (action, spec) in BOTH {
        let store = cluster(2);
        run(&store, spec).await;
        let marked = store.get(NODE)["spec"].clone();
        let second = store.run_as("second", spec, &event()).await;
        assert_eq!(words(&second), [format!("{action} applied")]);
        take_back(&store, "third", UID).await;
        take_back(&store, "test", "another-pod").await;
        take_back(&store, "test", UID).await;
        assert_eq!(store.get(NODE)["spec"], marked, "the second still holds it");
        take_back(&store, "second", UID).await;
        assert_eq!(plain(store.get(NODE)), plain(node("node-1")));
    }
}

#[tokio::test]
async fn a_node_that_must_not_be_touched_is_refused() {
    type Change = fn(&mut Value);
    let table: [(&str, Change, &str); 5] = [
        (
            "a control plane's label",
            |node| node["metadata"]["labels"]["node-role.kubernetes.io/control-plane"] = json!(""),
            "refused (control-plane)",
        ),
        (
            "its older label",
            |node| node["metadata"]["labels"]["node-role.kubernetes.io/master"] = json!("true"),
            "refused (control-plane)",
        ),
        (
            "its taint",
            |node| {
                node["spec"]["taints"] = json!([{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}])
            },
            "refused (control-plane)",
        ),
        (
            "a younger machine of its name",
            |node| node["metadata"]["creationTimestamp"] = json!(ago(30).to_string()),
            "skipped (gone)",
        ),
        (
            "on its way out",
            |node| node["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"),
            "skipped (gone)",
        ),
    ];
    for (what, change, expected) in table {
        for (action, spec) in BOTH {
            let store = cluster(2);
            store.lock().change(NODE, change);
            let before = store.get(NODE);
            assert_eq!(run(&store, spec).await, [format!("{action} {expected}")], "{what}");
            assert_eq!(store.get(NODE), before);
        }
    }
}

#[tokio::test]
async fn the_last_node_that_takes_pods_and_one_above_the_share_are_refused() {
    for (action, spec) in BOTH {
        let alone = cluster(0);
        assert_eq!(run(&alone, spec).await, [format!("{action} refused (last-node)")]);
        let closed = cluster(1);
        closed
            .lock()
            .change("/api/v1/nodes/node-2", |node| node["spec"]["unschedulable"] = json!(true));
        assert_eq!(run(&closed, spec).await, [format!("{action} refused (last-node)")]);

        let store = cluster(4);
        assert_eq!(run(&store, spec).await, [format!("{action} applied")]);
        store.lock().change(POD, |pod| pod["spec"]["nodeName"] = json!("node-2"));
        let mut event = event();
        event["hostname"] = json!("node-2");
        let second = words(&store.run_as("test", spec, &event).await);
        assert_eq!(second, [format!("{action} refused (node-share)")]);
        let more = match action {
            "taint" => {
                "mode: enforce\nactions: [taint: {key: acme.example/suspect, maxShare: 40%}]"
            }
            _ => "mode: enforce\nactions: [cordon: {maxShare: 40%}]",
        };
        let second = words(&store.run_as("test", more, &event).await);
        assert_eq!(second, [format!("{action} applied")]);
    }
}

#[tokio::test]
async fn a_taint_and_a_cordon_count_against_one_share() {
    let store = cluster(4);
    assert_eq!(run(&store, CORDON).await, ["cordon applied"]);
    store.lock().change(POD, |pod| pod["spec"]["nodeName"] = json!("node-2"));
    let mut event = event();
    event["hostname"] = json!("node-2");
    let second = words(&store.run_as("test", TAINT, &event).await);
    assert_eq!(second, ["taint refused (node-share)"]);
}

#[tokio::test]
async fn a_node_that_another_worker_takes_in_the_same_moment_makes_us_let_go_again() {
    for (_, spec) in BOTH {
        let store = cluster(1);
        store.outrun("/api/v1/nodes/node-2", |node| node["spec"]["unschedulable"] = json!(true));
        let bench = Setup::new(store.serve().0).build();
        let mut response = bench.begin(spec, &event()).await;
        let Advance::Retry(failure) = bench.advance(&mut response).await else {
            panic!("not to be retried")
        };
        assert!(failure.why.contains("another worker"), "{failure}");
        assert_eq!(plain(store.get(NODE)), plain(node("node-1")));
    }
}

#[tokio::test]
async fn one_worker_takes_no_more_nodes_than_it_may_however_many_events_come_at_once() {
    for (action, spec) in BOTH {
        let store = cluster(4);
        let bench = Setup::new(store.serve().0).build();
        let mut responses = Vec::new();
        for n in 1..=5 {
            let (node, mut event) = (format!("node-{n}"), event());
            store.lock().change(POD, |pod| pod["spec"]["nodeName"] = json!(node));
            event["hostname"] = json!(node);
            responses.push(bench.begin(spec, &event).await);
        }
        let advances = responses.iter_mut().map(|response| bench.advance(response));
        let mut ends: Vec<_> = futures::future::join_all(advances)
            .await
            .into_iter()
            .flat_map(|advance| match advance {
                Advance::Finished(report) => words(&report),
                other => panic!("not finished: {other:?}"),
            })
            .collect();
        ends.sort();
        let refused = format!("{action} refused (node-share)");
        assert_eq!(ends[0], format!("{action} applied"));
        assert!(ends[1..].iter().all(|end| *end == refused), "{ends:?}");
    }
}

#[tokio::test]
async fn what_takes_pods_off_never_does_so_on_the_workers_own_node() {
    let evict = "mode: enforce\nactions: [taint: {effect: NoExecute, evictsPods: true}]";
    let table = [
        (OwnNode::Named("node-1".into()), evict, "taint refused (own-node)"),
        (OwnNode::Unknown, evict, "taint refused (own-node)"),
        (OwnNode::Named("node-2".into()), evict, "taint applied"),
        (OwnNode::Outside, evict, "taint applied"),
        // Or an attacker would hide beside us.
        (OwnNode::Named("node-1".into()), TAINT, "taint applied"),
        (OwnNode::Unknown, TAINT, "taint applied"),
        (OwnNode::Named("node-1".into()), CORDON, "cordon applied"),
    ];
    for (own_node, spec, expected) in table {
        let store = cluster(2);
        let mut setup = Setup::new(store.serve().0);
        setup.guardrails.own_node = own_node.clone();
        let report = setup.build().run(spec, &event()).await;
        assert_eq!(words(&report), [expected], "{own_node:?} {spec}");
        let is_marked = store.get(NODE)["metadata"].get("annotations").is_some();
        assert_eq!(is_marked, expected.ends_with("applied"));
    }
}

#[tokio::test]
async fn a_pod_without_a_node_and_a_node_that_is_gone_change_nothing() {
    for (action, spec) in BOTH {
        let store = cluster(2);
        store.lock().put(POD, pod_with(|pod| pod["spec"]["nodeName"] = json!(null)));
        let mut homeless = event();
        homeless["hostname"] = json!(null);
        let report = store.run_as("test", spec, &homeless).await;
        assert_eq!(words(&report), [format!("{action} refused (identity)")]);

        let store = cluster(2);
        store.lock().remove(NODE);
        assert_eq!(run(&store, spec).await, [format!("{action} skipped (gone)")]);
    }
}

#[tokio::test]
async fn nodes_that_cannot_be_counted_are_not_marked() {
    for (_, spec) in BOTH {
        let store = cluster(2);
        let (api, wire) = store.serve_but(|request, carry_out| match request.path.as_str() {
            "/api/v1/nodes" => error(503, "ServiceUnavailable", "away"),
            _ => carry_out(),
        });
        let bench = Setup::new(api).build();
        let mut response = bench.begin(spec, &event()).await;
        assert!(matches!(bench.advance(&mut response).await, Advance::Retry(_)));
        assert!(wire.writes().is_empty());
    }
}

#[tokio::test]
async fn a_dry_run_says_so_and_changes_nothing() {
    for (_, spec) in BOTH {
        let store = cluster(2);
        let before = store.get(NODE);
        let (api, wire) = store.serve();
        let report =
            Setup::new(api).build().run(&spec.replace("enforce", "dryRun"), &event()).await;
        assert_eq!(report.overall.reason(), Some("dry-run"));
        assert!(wire.writes().iter().all(|write| write.query.contains("dryRun=All")));
        assert_eq!((wire.writes().len(), store.get(NODE)), (1, before));
    }
}

#[tokio::test]
async fn a_crash_anywhere_ends_in_the_same_state() {
    for (_, spec) in BOTH {
        for number in 0..7 {
            let store = cluster(2);
            let bench = Setup::new(store.serve_but(losing(number)).0).build();
            let report = loop {
                let Some(mut response) = bench.try_begin(spec, &event()).await else { continue };
                if let Advance::Finished(report) = bench.advance(&mut response).await {
                    break report;
                }
            };
            assert!(report.overall.ended_well(), "{number}: {:?}", words(&report));
            take_back(&store, "test", UID).await;
            assert_eq!(plain(store.get(NODE)), plain(node("node-1")), "{number}");
        }
    }
}
