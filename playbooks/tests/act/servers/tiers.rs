//! Denies on a real API server: their projects' own definitions, the rights that they take, and the way back.

use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::{
    Api as Objects, ResourceExt as _,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams},
};
use playbooks::act::{Api, Isolated, Permission, Reverted, Uid, revert_isolation};
use serde_json::{Value, json};
use testbed::cluster::Access;

use super::{
    api_server, connect,
    definitions::{TIERS, define},
    event_about,
    isolate::{client, create, served_pod, worker},
    namespace, pods,
};
use crate::fixtures::{Bench, Setup, words};

const CILIUM: &str = "mode: enforce\nactions: [isolate: {tier: cilium}]";
const CLUSTER: &str =
    "mode: enforce\nactions: [isolate: {tier: clusterNetworkPolicy, egressOnly: true}]";

fn cilium(kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("cilium.io", "v2", kind), plural)
}

/// A worker that is told of ClusterNetworkPolicies' enforcement, and of nothing else.
fn bench(api: Api) -> Bench {
    let mut setup = Setup::new(api);
    setup.enforces_cluster_policies = true;
    setup.build()
}

/// What Cilium's agent would write about a pod whose identity has this label, and its operator about our policy.
async fn endpoint(access: &Access, namespace: &str, uid: &str, label: &str) {
    let resource = cilium("CiliumEndpoint", "ciliumendpoints");
    let all = Objects::<DynamicObject>::namespaced_with(client(access).await, namespace, &resource);
    let owner = json!([{"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": uid}]);
    let says = json!({"enforcing": true, "state": "enforcing"});
    let made: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "cilium.io/v2", "kind": "CiliumEndpoint",
        "metadata": {"name": "web", "ownerReferences": owner},
        "status": {
            "identity": {"id": 7, "labels": [format!("k8s:stoop.dev/quarantine={label}")]},
            "policy": {"ingress": says, "egress": says}
        }
    }))
    .expect("an endpoint");
    all.create(&PostParams::default(), &made).await.expect("created");
    let resource = cilium("CiliumNetworkPolicy", "ciliumnetworkpolicies");
    let all = Objects::<DynamicObject>::namespaced_with(client(access).await, namespace, &resource);
    let status = json!({"status": {"conditions": [{"type": "Valid", "status": "True"}]}});
    let (name, valid) = (format!("stoop-quarantine-{label}"), Patch::Merge(status));
    all.patch_status(&name, &PatchParams::default(), &valid).await.expect("written");
}

/// A policy that every pod of the namespace is under and can't leave.
async fn open(access: &Access, namespace: &str, spec: Value) {
    let policy = json!({"metadata": {"name": "open"}, "spec": spec});
    create::<NetworkPolicy>(access, namespace, policy).await;
}

#[tokio::test]
async fn a_cilium_deny_is_taken_by_the_server_and_goes_with_the_isolation() {
    let access = api_server().await;
    define(access, &TIERS).await;
    let namespace = namespace(access).await;
    let pod = served_pod(access, &namespace, "web").await;
    open(access, &namespace, json!({"podSelector": {}, "ingress": [{}], "egress": [{}]})).await;
    let event = event_about(&pod, None);
    let bench = bench(connect(access).await);
    let first = bench.run(CILIUM, &event).await;
    assert_eq!(words(&first), ["isolate failed (permanent)"], "{}", first.overall);
    assert!(first.overall.detail().contains("no CiliumEndpoint"), "{}", first.overall);

    let live = pods(access, &namespace).await.get("web").await.expect("the pod");
    let label = live.labels()["stoop.dev/quarantine"].clone();
    let uid = pod.uid().expect("a uid");
    endpoint(access, &namespace, &uid, &label).await;
    let report = bench.run(CILIUM, &event).await;
    assert_eq!(words(&report), ["isolate already-done"], "{}", report.overall);
    assert!(report.overall.detail().contains("Effective"), "{}", report.overall);

    let resource = cilium("CiliumNetworkPolicy", "ciliumnetworkpolicies");
    let denies =
        Objects::<DynamicObject>::namespaced_with(client(access).await, &namespace, &resource);
    assert_eq!(denies.list(&Default::default()).await.expect("a list").items.len(), 1);
    let isolated =
        Isolated { namespace: namespace.clone(), name: "web".into(), uid: Uid::new(uid) };
    let api = connect(access).await;
    let done = revert_isolation(&api, &isolated).await.expect("reverted");
    assert_eq!(done.deleted.len(), 2, "{done:?}");
    assert!(denies.list(&Default::default()).await.expect("a list").items.is_empty());
    assert_eq!(revert_isolation(&api, &isolated).await.expect("reverted"), Reverted::default());
}

#[tokio::test]
async fn a_cluster_network_policy_is_taken_by_the_server_and_its_rights_are_enough() {
    let access = api_server().await;
    define(access, &TIERS).await;
    let namespace = namespace(access).await;
    let pod = served_pod(access, &namespace, "web").await;
    let egress = json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]});
    open(access, &namespace, egress).await;
    let event = event_about(&pod, None);
    let rights = bench(connect(access).await).plan(CLUSTER).permissions();

    // Each verb on the deny is needed, and named where it is missing.
    let of_deny =
        |right: &&Permission| right.resource == "clusternetworkpolicies" && right.verb != "delete";
    for (at, missing) in rights.iter().filter(of_deny).enumerate() {
        let fewer: Vec<_> = rights.iter().filter(|right| *right != missing).cloned().collect();
        let api = worker(access, &format!("act-tiers-{at}"), &fewer).await;
        let report = bench(api).run(CLUSTER, &event).await;
        assert_eq!(words(&report), ["isolate failed (permanent)"], "without {missing}");
        let detail = report.overall.detail();
        assert!(detail.contains(&missing.verb) && detail.contains(&missing.resource), "{detail}");
        restore(access, &namespace, &pod).await;
    }

    let api = worker(access, "act-tiers", &rights).await;
    let report = bench(api.clone()).run(CLUSTER, &event).await;
    assert_eq!(words(&report), ["isolate applied"], "{}", report.overall);
    assert!(report.overall.detail().contains("Effective"), "{}", report.overall);
    let done = restore_by(&api, &namespace, &pod).await;
    assert_eq!(done.deleted.len(), 2, "{done:?}");
}

async fn restore(access: &Access, namespace: &str, pod: &k8s_openapi::api::core::v1::Pod) {
    restore_by(&connect(access).await, namespace, pod).await;
}

async fn restore_by(api: &Api, namespace: &str, pod: &k8s_openapi::api::core::v1::Pod) -> Reverted {
    let uid = Uid::new(pod.uid().expect("a uid"));
    let isolated = Isolated { namespace: namespace.to_owned(), name: pod.name_any(), uid };
    revert_isolation(api, &isolated).await.expect("reverted")
}
