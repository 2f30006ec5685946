//! A deny on top, where the cluster serves its kind: what it is worth, and that it goes when the isolation goes.

use http::Method;
use playbooks::act::{Permission, Reverted, Uid, revert_isolation};
use serde_json::{Value, json};

use super::{Cluster, ID, POLICIES, cluster::State, enforcing, isolate, quarantine};
use crate::{
    fixtures::{Bench, OTHER_UID, POD, Setup, UID, event, words},
    wire::{Answer, Request, Wire, error},
};

const CILIUM: &str = "/apis/cilium.io/v2/namespaces/shop/ciliumnetworkpolicies";
const ENDPOINTS: &str = "/apis/cilium.io/v2/namespaces/shop/ciliumendpoints";
const CLUSTER: &str = "/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies";
const AUTO: &str = "{tier: auto}";

/// A policy that every pod of the namespace is under, and can't leave.
fn open(directions: Value) -> Value {
    let mut spec = directions;
    spec["podSelector"] = json!({});
    spec
}

fn both() -> Value {
    open(json!({"ingress": [{}], "egress": [{}]}))
}

fn cilium() -> Cluster {
    Cluster::new().serving(CILIUM).serving(ENDPOINTS)
}

/// Cilium's agent, which takes up what the pod's labels are, and its operator, which has no fault to find with a policy;
/// `says` is the policy part of the agent's status.
fn agent(state: &mut State, request: &Request, says: &Value) -> Option<Answer> {
    for (_, policy) in state.customs.iter_mut().filter(|(path, _)| path.starts_with(CILIUM)) {
        if policy["status"].is_null() {
            policy["status"] = json!({"conditions": [{"type": "Valid", "status": "True"}]});
        }
    }
    if !request.is(&Method::GET, &format!("{ENDPOINTS}/web")) {
        return None;
    }
    let meta = &state.pod.as_ref()?["metadata"];
    let labels = meta["labels"].as_object()?.iter();
    let labels: Vec<_> =
        labels.map(|(key, value)| format!("k8s:{key}={}", value.as_str().unwrap_or(""))).collect();
    let owner = json!([{"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": meta["uid"]}]);
    Some(Answer::Json(
        200,
        json!({
            "apiVersion": "cilium.io/v2", "kind": "CiliumEndpoint",
            "metadata": {"name": "web", "namespace": "shop", "ownerReferences": owner},
            "status": {"identity": {"labels": labels}, "policy": {"ingress": says, "egress": says}}
        }),
    ))
}

fn enforces() -> Value {
    json!({"enforcing": true, "state": "enforcing"})
}

/// A worker whose configuration says that the network enforces policies of both Kubernetes' own kinds, or nothing.
fn worker(api: playbooks::act::Api, enforces: bool) -> Bench {
    let mut setup = Setup::new(api);
    setup.enforces_policies = enforces;
    setup.enforces_cluster_policies = enforces;
    setup.build()
}

fn asked(wire: &Wire, path: &str) -> usize {
    wire.requests().iter().filter(|request| request.is(&Method::GET, path)).count()
}

#[tokio::test]
async fn a_deny_that_the_pods_own_agent_holds_it_to_makes_every_allow_moot() {
    let cluster = cilium().with_policy("open", both());
    let says = enforces();
    let (api, wire) = cluster.serve_with(move |state, request| agent(state, request, &says));
    // Nobody has said anything about the network.
    let report = worker(api, false).run(&isolate(AUTO), &event()).await;
    assert_eq!(words(&report), ["isolate applied"], "{}", report.overall);
    for said in ["Effective", "CiliumNetworkPolicy"] {
        assert!(report.overall.detail().contains(said), "{}", report.overall);
    }
    let paths: Vec<_> = wire.writes().into_iter().map(|write| write.path).collect();
    let ours = format!("{CILIUM}/{}", quarantine());
    assert_eq!(paths, [format!("{POLICIES}/{}", quarantine()), ours.clone(), POD.to_owned()]);
    let apply = &wire.writes()[1];
    assert!(apply.query.contains("fieldManager=stoop-isolate"));
    assert_eq!(apply.body["metadata"]["ownerReferences"][0]["uid"], UID);
    assert_eq!(
        cluster.state().customs[&ours]["spec"],
        json!({
            "endpointSelector": {"matchLabels": {"stoop.dev/quarantine": ID}},
            "ingressDeny": [{"fromEntities": ["all"]}], "egressDeny": [{"toEntities": ["all"]}]
        })
    );
    assert!(wire.requests().len() < 20, "{}", wire.requests().len());
}

#[tokio::test(start_paused = true)]
async fn an_agent_is_given_time_to_take_the_label_up() {
    let cluster = cilium().with_policy("open", both());
    let (says, mut asked_before) = (enforces(), 0);
    let (api, _) = cluster.serve_with(move |state, request| {
        let answer = agent(state, request, &says)?;
        asked_before += 1;
        Some(match asked_before {
            1 | 2 => Answer::Json(200, json!({"metadata": {"name": "web", "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": UID}]}})),
            _ => answer,
        })
    });
    let report = worker(api, true).run(&isolate(AUTO), &event()).await;
    assert_eq!(words(&report), ["isolate applied"], "{}", report.overall);
}

#[tokio::test(start_paused = true)]
async fn what_was_in_force_before_our_policy_was_looked_at_proves_nothing_of_it() {
    for (enforced, ends) in [(false, "isolate failed (permanent)"), (true, "isolate applied")] {
        let cluster = cilium().with_policy("open", both());
        let ours = format!("{CILIUM}/{}", quarantine());
        let (api, _) = cluster.serve_with(move |state, request| {
            let answer = agent(state, request, &enforces());
            if let Some(policy) = state.customs.get_mut(&ours) {
                policy["status"] = json!({"conditions": []});
            }
            answer
        });
        let report = worker(api, enforced).run(&isolate(AUTO), &event()).await;
        assert_eq!(words(&report), [ends], "{}", report.overall);
        let doubts = report.overall.detail().contains("Cilium has not said");
        assert_eq!(doubts, !enforced, "{}", report.overall);
    }
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_is_served_proves_no_agent() {
    let mute = json!({"enforcing": false, "state": "<status disabled>"});
    let audits = json!({"enforcing": false, "state": "non-enforcing"});
    let table = [
        (None, true, "the pod has no CiliumEndpoint"),
        (Some(audits), true, "or only audits"),
        (Some(mute.clone()), false, "does not say whether it enforces"),
    ];
    for (says, enforced, said) in table {
        let cluster = cilium().with_policy("open", both());
        let (api, _) = cluster.serve_with(move |state, request| {
            says.as_ref().and_then(|says| agent(state, request, says))
        });
        let report = worker(api, enforced).run(&isolate(AUTO), &event()).await;
        assert_eq!(words(&report), ["isolate failed (permanent)"]);
        let detail = report.overall.detail();
        assert!(
            detail.contains("Partial: the NetworkPolicy open") && detail.contains(said),
            "{detail}"
        );
        assert!(!detail.contains("Effective"));
    }
    // Where NetworkPolicies are known to be enforced, the agent that holds the pod is what enforces them.
    let cluster = cilium().with_policy("open", both());
    let (api, _) = cluster.serve_with(move |state, request| agent(state, request, &mute));
    let report = worker(api, true).run(&isolate(AUTO), &event()).await;
    assert_eq!(words(&report), ["isolate applied"], "{}", report.overall);
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_cilium_finds_invalid_or_whose_endpoint_may_not_be_read_proves_nothing() {
    let invalid =
        json!({"conditions": [{"type": "Valid", "status": "False", "message": "no such\nentity"}]});
    let refused = || error(403, "Forbidden", "may not get ciliumendpoints");
    for (says, said) in
        [(Some(invalid), "not valid: no such"), (None, "may not get ciliumendpoints")]
    {
        let cluster = cilium().with_policy("open", both());
        let ours = format!("{CILIUM}/{}", quarantine());
        let (api, _) = cluster.serve_with(move |state, request| {
            if let (Some(says), Some(stored)) = (&says, state.customs.get_mut(&ours)) {
                stored["status"] = says.clone();
            }
            match says.is_none() && request.path.starts_with(ENDPOINTS) {
                true => Some(refused()),
                false => agent(state, request, &enforces()),
            }
        });
        let report = worker(api, true).run(&isolate(AUTO), &event()).await;
        assert_eq!(words(&report), ["isolate failed (permanent)"]);
        assert!(report.overall.detail().contains(said), "{}", report.overall);
    }
}

#[tokio::test]
async fn a_cluster_network_policy_settles_what_the_pod_sends_and_no_more() {
    let ingress = open(json!({"ingress": [{}]}));
    let egress = open(json!({"policyTypes": ["Egress"], "egress": [{}]}));
    let table = [
        (egress.clone(), "{tier: auto}", true, "Effective"),
        (egress.clone(), "{tier: clusterNetworkPolicy, egressOnly: true}", true, "Effective"),
        // It can name neither the world nor pods on their node's network.
        (ingress, "{tier: auto}", true, "Partial: the NetworkPolicy open still allows ingress"),
        (egress, "{tier: auto}", false, "set cluster.enforcesClusterNetworkPolicies"),
    ];
    for (open, config, enforced, said) in table {
        let cluster = Cluster::new().serving(CLUSTER).with_policy("open", open);
        let (api, wire) = cluster.serve();
        let mut setup = Setup::new(api);
        setup.enforces_policies = true;
        setup.enforces_cluster_policies = enforced;
        let report = setup.build().run(&isolate(config), &event()).await;
        assert!(report.overall.detail().contains(said), "{config}: {}", report.overall);
        assert_eq!(report.overall.ended_well(), said == "Effective", "{config}");
        assert!(wire.requests().len() < 20, "{}", wire.requests().len());
        let ours = cluster.state().customs[&format!("{CLUSTER}/{}", quarantine())].clone();
        assert_eq!(
            ours["spec"]["subject"]["pods"],
            json!({
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}},
                "podSelector": {"matchLabels": {"stoop.dev/quarantine": ID}}
            })
        );
        assert_eq!(
            (&ours["spec"]["tier"], &ours["spec"]["priority"]),
            (&json!("Admin"), &json!(0))
        );
        assert_eq!(
            ours["spec"]["egress"],
            json!([{"action": "Deny", "to": [{"networks": ["0.0.0.0/0", "::/0"]}]}])
        );
        assert_eq!(
            ours["metadata"]["ownerReferences"],
            json!(null),
            "nothing in a namespace can own it"
        );
    }
}

#[tokio::test]
async fn another_of_the_same_priority_that_opens_something_leaves_it_open() {
    for (priority, said) in [(0, "need not come before theirs"), (1, "Effective")] {
        let cluster = Cluster::new()
            .serving(CLUSTER)
            .with_policy("open", open(json!({"policyTypes": ["Egress"], "egress": [{}]})));
        let theirs = json!({
            "metadata": {"name": "theirs"},
            "spec": {"tier": "Admin", "priority": priority, "egress": [{"action": "Accept"}]}
        });
        cluster.state().customs.insert(format!("{CLUSTER}/theirs"), theirs);
        let (api, _) = cluster.serve();
        let report = worker(api, true).run(&isolate(AUTO), &event()).await;
        assert!(report.overall.detail().contains(said), "{}", report.overall);
        assert_eq!(report.overall.ended_well(), said == "Effective");
    }
}

#[tokio::test]
async fn a_deny_that_may_come_second_leaves_its_kind_a_rival_of_our_policy() {
    let cluster = Cluster::new().serving(CLUSTER);
    let theirs = json!({
        "metadata": {"name": "theirs"},
        "spec": {"tier": "Admin", "priority": 0, "egress": [{"action": "Accept"}]}
    });
    cluster.state().customs.insert(format!("{CLUSTER}/theirs"), theirs);
    let report = worker(cluster.serve().0, true).run(&isolate(AUTO), &event()).await;
    assert_eq!(words(&report), ["isolate failed (permanent)"], "{}", report.overall);
    assert!(report.overall.detail().contains("can overrule NetworkPolicies"), "{}", report.overall);
}

#[tokio::test]
async fn those_that_were_not_looked_at_may_open_something() {
    let cluster = Cluster::new()
        .serving(CLUSTER)
        .with_policy("open", open(json!({"policyTypes": ["Egress"], "egress": [{}]})));
    let (api, _) = cluster.serve_with(|_, request| {
        request.is(&Method::GET, CLUSTER).then(|| {
            Answer::Json(
                200,
                json!({"apiVersion": "v1", "kind": "List", "metadata": {"continue": "more"}, "items": []}),
            )
        })
    });
    let report = worker(api, true).run(&isolate(AUTO), &event()).await;
    assert_eq!(words(&report), ["isolate failed (permanent)"], "{}", report.overall);
    assert!(report.overall.detail().contains("any beyond the first"), "{}", report.overall);
}

#[tokio::test]
async fn our_own_denies_are_no_rivals_of_our_policies() {
    let cluster = Cluster::new().serving(CLUSTER);
    let (api, _) = cluster.serve();
    // Nobody vouches for ClusterNetworkPolicies: it rests on the NetworkPolicy.
    let report = enforcing(api).run(&isolate(AUTO), &event()).await;
    assert_eq!(words(&report), ["isolate applied"], "{}", report.overall);
    assert!(report.overall.detail().contains("Effective"), "{}", report.overall);
}

#[tokio::test]
async fn what_is_not_served_is_not_used_and_said_where_it_was_named() {
    for (config, said) in [
        ("{tier: cilium}", "this cluster serves no ciliumnetworkpolicies.cilium.io v2"),
        (AUTO, "Effective"),
    ] {
        let (api, wire) = Cluster::new().serve();
        let report = enforcing(api).run(&isolate(config), &event()).await;
        assert_eq!(words(&report), ["isolate applied"]);
        assert!(report.overall.detail().contains(said), "{}", report.overall);
        assert_eq!(wire.writes().len(), 2);
    }
}

#[tokio::test]
async fn what_is_served_is_asked_once_and_again_after_a_while() {
    tokio::time::pause();
    let (api, wire) = Cluster::new().serving(CLUSTER).serve();
    let mut setup = Setup::new(api);
    setup.enforces_cluster_policies = true;
    let bench = setup.build();
    let of = "/apis/policy.networking.k8s.io/v1alpha2";
    let spec = isolate("{tier: auto, egressOnly: true}");
    bench.run(&spec, &event()).await;
    bench.run(&spec, &event()).await;
    assert_eq!(asked(&wire, of), 1);
    tokio::time::advance(std::time::Duration::from_secs(61)).await;
    bench.run(&spec, &event()).await;
    assert_eq!(asked(&wire, of), 2);
}

#[tokio::test]
async fn a_looser_order_never_loosens_a_deny_that_is_in_place() {
    let cluster = Cluster::new().serving(CLUSTER);
    let bench = worker(cluster.serve().0, true);
    bench.run(&isolate(AUTO), &event()).await;
    let strict = cluster.state().customs.clone();
    let report = bench.run(&isolate("{tier: auto, egressOnly: true}"), &event()).await;
    assert_eq!(words(&report), ["isolate already-done"], "{}", report.overall);
    assert_eq!(cluster.state().customs, strict);
}

#[tokio::test]
async fn a_policy_of_our_name_that_is_not_ours_is_left_alone_by_both_ways() {
    let cluster = Cluster::new().serving(CLUSTER);
    let path = format!("{CLUSTER}/{}", quarantine());
    let foreign = json!({"metadata": {"name": quarantine(), "uid": "f", "resourceVersion": "1"}, "spec": {"tier": "Baseline"}});
    cluster.state().customs.insert(path.clone(), foreign.clone());
    let report = worker(cluster.serve().0, true).run(&isolate(AUTO), &event()).await;
    assert_eq!(words(&report), ["isolate failed (permanent)"]);
    assert!(
        report.overall.detail().contains("the ClusterNetworkPolicy stoop-quarantine-"),
        "{}",
        report.overall
    );
    assert_eq!(cluster.state().policies.len(), 0, "nothing was begun");
    revert(&cluster).await;
    assert_eq!(cluster.state().customs[&path], foreign);
}

async fn revert(cluster: &Cluster) -> Reverted {
    let isolated = playbooks::act::Isolated {
        namespace: "shop".into(),
        name: "web".into(),
        uid: Uid::new(UID),
    };
    revert_isolation(&cluster.serve().0, &isolated).await.expect("reverted")
}

#[tokio::test]
async fn a_revert_takes_the_deny_along_once_and_leaves_what_others_have_changed() {
    for kind in [CILIUM, CLUSTER] {
        let cluster = Cluster::new().serving(kind);
        worker(cluster.serve().0, true).run(&isolate(AUTO), &event()).await;
        let path = format!("{kind}/{}", quarantine());
        let stored = cluster.state().customs[&path].clone();
        let done = revert(&cluster).await;
        assert_eq!(done.deleted.len(), 2, "{done:?}");
        assert!(cluster.state().customs.is_empty());
        assert_eq!(revert(&cluster).await, Reverted::default());

        let mut edited = stored.clone();
        edited["metadata"]["managedFields"][0]["manager"] = json!("kubectl-edit");
        cluster.state().customs.insert(path.clone(), edited.clone());
        let done = revert(&cluster).await;
        assert_eq!((done.deleted.len(), done.left.len()), (0, 1));
        assert_eq!(cluster.state().customs[&path], edited);

        // Of another pod of the same name.
        let mut other = stored;
        other["metadata"]["labels"]["stoop.dev/pod-uid"] = json!("other");
        cluster.state().customs.insert(path.clone(), other.clone());
        assert_eq!(revert(&cluster).await, Reverted::default());
        assert_eq!(cluster.state().customs[&path], other);
    }
}

#[tokio::test]
async fn a_revert_without_the_right_to_look_goes_on_with_what_it_may() {
    let cluster = Cluster::new().serving(CILIUM);
    enforcing(cluster.serve().0).run(&isolate("{}"), &event()).await;
    let (api, _) = cluster.serve_with(|_, request| {
        request.path.starts_with(CILIUM).then(|| error(403, "Forbidden", "forbidden"))
    });
    let isolated = playbooks::act::Isolated {
        namespace: "shop".into(),
        name: "web".into(),
        uid: Uid::new(UID),
    };
    let done = revert_isolation(&api, &isolated).await.expect("reverted");
    assert_eq!(done.deleted, [quarantine()]);
    assert_eq!(cluster.labels(), json!({"app": "web", "hash": "5d", "note": "x"}));
}

#[tokio::test]
async fn a_crash_anywhere_ends_in_the_same_state() {
    let whole = Cluster::new().serving(CLUSTER);
    let (api, wire) = whole.serve();
    worker(api, true).run(&isolate(AUTO), &event()).await;
    let without_versions = |cluster: &Cluster| {
        let state = cluster.state();
        let strip = |value: &Value| {
            let mut value = value.clone();
            value["metadata"]["resourceVersion"] = json!(null);
            value
        };
        let pod = state.pod.as_ref().map(strip);
        let all = state.policies.values().chain(state.customs.values()).map(strip);
        (
            pod.map(|mut pod| pod["metadata"]["creationTimestamp"].take()).is_some(),
            all.collect::<Vec<_>>(),
            state.pod.as_ref().expect("a pod")["metadata"]["labels"].clone(),
        )
    };
    for lost in 0..wire.requests().len() {
        let cluster = Cluster::new().serving(CLUSTER);
        let mut asked = 0;
        let (api, _) = cluster.serve_with(move |state, request| {
            asked += 1;
            (asked - 1 == lost).then(|| {
                state.answer(request);
                Answer::Broken
            })
        });
        if let Some(mut response) = worker(api, true).try_begin(&isolate(AUTO), &event()).await {
            // Dropped in the middle: what comes of it is for the next worker to see.
            let _ = worker(cluster.serve().0, true).advance(&mut response).await;
        }
        worker(cluster.serve().0, true).run(&isolate(AUTO), &event()).await;
        assert_eq!(without_versions(&cluster), without_versions(&whole), "{lost}");
    }
}

#[tokio::test]
async fn the_deny_goes_where_the_pod_went_before_it_held_it() {
    let cluster = Cluster::new().serving(CLUSTER);
    let mut taken = false;
    let (api, _) = cluster.serve_with(move |state, request| {
        if request.method == Method::PATCH && request.path.starts_with(CLUSTER) && !taken {
            taken = true;
            state.pod = None;
        }
        None
    });
    let report = worker(api, true).run(&isolate(AUTO), &event()).await;
    assert_eq!(words(&report), ["isolate skipped (gone)"]);
    assert!(cluster.state().policies.is_empty() && cluster.state().customs.is_empty());
}

#[tokio::test]
async fn a_deny_that_the_server_refuses_leaves_the_pod_cut_off_without_it() {
    let cluster = Cluster::new().serving(CLUSTER);
    let (api, _) = cluster.serve_with(|_, request| {
        let is_deny = request.method == Method::PATCH && request.path.starts_with(CLUSTER);
        is_deny.then(|| error(422, "Invalid", "spec.tier: Unsupported value"))
    });
    let report = worker(api, true).run(&isolate(AUTO), &event()).await;
    assert_eq!(words(&report), ["isolate failed (permanent)"]);
    assert!(report.overall.detail().contains("Unsupported value"), "{}", report.overall);
    assert_eq!(cluster.labels(), json!({"note": "x", "stoop.dev/quarantine": ID}));
    assert!(cluster.state().policies.contains_key(&quarantine()));
}

#[tokio::test]
async fn a_deny_of_our_name_that_is_not_ours_outlives_the_pod() {
    let cluster = Cluster::new().serving(CLUSTER);
    let path = format!("{CLUSTER}/{}", quarantine());
    let foreign = json!({"metadata": {"name": quarantine(), "uid": "f", "resourceVersion": "1"}, "spec": {"tier": "Baseline"}});
    cluster.state().customs.insert(path.clone(), foreign.clone());
    let mut looks = 0;
    let (api, _) = cluster.serve_with(move |state, request| {
        looks += usize::from(request.is(&Method::GET, POD));
        if looks > 1 {
            state.pod.as_mut()?["metadata"]["uid"] = json!(OTHER_UID);
        }
        None
    });
    let report = worker(api, true).run(&isolate(AUTO), &event()).await;
    assert_eq!(words(&report), ["isolate skipped (gone)"], "{}", report.overall);
    assert_eq!(cluster.state().customs[&path], foreign);
}

#[tokio::test]
async fn a_dry_run_takes_no_agents_word_for_a_deny_that_is_not_there() {
    let cluster = cilium().with_policy("open", both());
    let says = enforces();
    let (api, _) = cluster.serve_with(move |state, request| agent(state, request, &says));
    let bench = worker(api, true);
    // What is in force cuts off one direction of two.
    bench.run(&isolate("{tier: auto, egressOnly: true}"), &event()).await;
    let report = bench.run("mode: dryRun\nactions: [isolate: {tier: auto}]", &event()).await;
    let said = report.overall.detail();
    assert!(said.contains("a dry run can't show") && !said.contains("Effective"), "{said}");
}

#[tokio::test]
async fn a_dry_run_shows_the_deny_and_makes_none() {
    let cluster = Cluster::new()
        .serving(CLUSTER)
        .with_policy("open", open(json!({"policyTypes": ["Egress"], "egress": [{}]})));
    let before = cluster.state().clone();
    let (api, wire) = cluster.serve();
    let report =
        worker(api, true).run("mode: dryRun\nactions: [isolate: {tier: auto}]", &event()).await;
    assert!(report.overall.detail().contains("accepted: Effective"), "{}", report.overall);
    assert_eq!(wire.writes().len(), 3);
    assert!(wire.writes().iter().all(|write| write.query.contains("dryRun=All")));
    assert_eq!(*cluster.state(), before);
}

#[tokio::test]
async fn the_rights_are_those_of_the_tier_that_is_configured() {
    let bench = worker(Cluster::new().serve().0, false);
    let cilium = |verb| Permission::new("cilium.io", "ciliumnetworkpolicies", verb);
    let cluster =
        |verb| Permission::new("policy.networking.k8s.io", "clusternetworkpolicies", verb);
    let endpoint = Permission::new("cilium.io", "ciliumendpoints", "get");
    let table = [
        ("{}", false, false),
        ("{tier: cilium}", true, false),
        ("{tier: clusterNetworkPolicy}", false, true),
        (AUTO, true, true),
    ];
    for (config, has_cilium, has_cluster) in table {
        let all = bench.plan(&isolate(config)).permissions();
        for verb in ["get", "create", "patch", "delete"] {
            assert_eq!(all.contains(&cilium(verb)), has_cilium, "{config}");
            assert_eq!(all.contains(&cluster(verb)), has_cluster, "{config}");
        }
        assert_eq!(all.contains(&endpoint), has_cilium);
        assert_eq!(all.contains(&cluster("list")), has_cluster);
    }
}
