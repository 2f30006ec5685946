//! `isolate` on a real API server: the preconditions that it trusts in, its rights, and the way back.

use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::{
    apps::v1::ReplicaSet, core::v1::Pod, core::v1::Service, networking::v1::NetworkPolicy,
};
use kube::{
    Api as Objects, ResourceExt as _,
    api::{
        ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams,
    },
};
use playbooks::act::{Advance, Api, Isolated, Permission, Reverted, Uid, revert_isolation};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use testbed::{cluster::Access, until};

use super::{api_server, connect, container_id, event_about, namespace, pods, roles::connect_with};
use crate::fixtures::{Bench, Setup, words};

const ISOLATE: &str = "mode: enforce\nactions: [isolate: {}]";
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

fn enforcing(api: Api) -> Bench {
    let mut setup = Setup::new(api);
    setup.enforces_policies = true;
    setup.build()
}

pub(super) async fn client(access: &Access) -> kube::Client {
    access.client().await.map_err(|error| error.to_string()).expect("a client")
}

/// A connection with these rights and no others, once the server knows of them.
pub(super) async fn worker(access: &Access, user: &str, rights: &[Permission]) -> Api {
    let api = connect_with(access, user, rights).await;
    for right in rights {
        let known = until(format!("the right to {right}"), PATIENCE, async || {
            let allowed = api.can_i(right).await.map_err(|error| error.to_string())?;
            allowed.then_some(()).ok_or_else(|| "not yet".to_owned())
        });
        known.await.map_err(|error| error.to_string()).expect("granted");
    }
    api
}

pub(super) async fn create<K>(access: &Access, namespace: &str, object: Value) -> K
where
    K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Serialize
        + DeserializeOwned
        + std::fmt::Debug,
{
    let object: K = serde_json::from_value(object).expect("an object");
    let objects = Objects::<K>::namespaced(client(access).await, namespace);
    objects.create(&PostParams::default(), &object).await.expect("created")
}

async fn policies(access: &Access, namespace: &str) -> Vec<NetworkPolicy> {
    let policies = Objects::<NetworkPolicy>::namespaced(client(access).await, namespace);
    policies.list(&Default::default()).await.expect("a list").items
}

/// A pod of a ReplicaSet behind a Service and under a policy that lets everybody in.
pub(super) async fn served_pod(access: &Access, namespace: &str, name: &str) -> Pod {
    let labels = json!({"app": name, "hash": "5d"});
    let set: ReplicaSet = create(access, namespace, json!({
        "metadata": {"name": name}, "spec": {
            "replicas": 0, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        }
    })).await;
    create::<Service>(
        access,
        namespace,
        json!({
            "metadata": {"name": name}, "spec": {"selector": {"app": name}, "ports": [{"port": 80}]}
        }),
    )
    .await;
    create::<NetworkPolicy>(access, namespace, json!({
        "metadata": {"name": name}, "spec": {"podSelector": {"matchLabels": {"app": name}}, "ingress": [{}]}
    })).await;
    super::pod(access, namespace, name, &container_id(name)).await;
    let owned = json!({"metadata": {
        "labels": {"hash": "5d", "note": "x"},
        "ownerReferences": [{
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name, "uid": set.uid(), "controller": true
        }]
    }});
    let pods = pods(access, namespace).await;
    pods.patch(name, &PatchParams::default(), &Patch::Merge(owned)).await.expect("owned")
}

#[tokio::test]
async fn the_pod_is_cut_off_and_given_back_and_nothing_else_is_touched() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    let before = served_pod(access, &namespace, "web").await;
    let foreign = policies(access, &namespace).await;
    let pods = pods(access, &namespace).await;
    let bench = enforcing(connect(access).await);
    let event = event_about(&before, None);

    let report = bench.run(ISOLATE, &event).await;
    assert_eq!(words(&report), ["isolate applied"], "{}", report.overall);
    for said in ["Service web", "ReplicaSet web", "Effective"] {
        assert!(report.overall.detail().contains(said), "{said}: {}", report.overall);
    }
    let labels = pods.get("web").await.expect("the pod").labels().clone();
    let keys: Vec<_> = labels.keys().map(String::as_str).collect();
    assert_eq!(keys, ["note", "stoop.dev/quarantine"]);
    let (ours, theirs): (Vec<_>, Vec<_>) = policies(access, &namespace)
        .await
        .into_iter()
        .partition(|policy| policy.name_any().starts_with("stoop-quarantine-"));
    assert_eq!(theirs, foreign);
    let managers = ours[0].metadata.managed_fields.iter().flatten();
    assert!(managers.into_iter().all(|entry| entry.manager.as_deref() == Some("stoop-isolate")));
    assert_eq!(words(&bench.run(ISOLATE, &event).await), ["isolate already-done"]);

    let isolated = Isolated {
        namespace: namespace.clone(),
        name: "web".into(),
        uid: Uid::new(before.uid().expect("a uid")),
    };
    let rights = Isolated::permissions().into_iter().chain([Permission::new("", "pods", "get")]);
    let api = worker(access, "act-isolate-revert", &rights.collect::<Vec<_>>()).await;
    assert!(revert_isolation(&api, &isolated).await.expect("reverted").changed);
    let after = pods.get("web").await.expect("the pod");
    assert_eq!((after.labels(), after.annotations()), (before.labels(), before.annotations()));
    assert_eq!(policies(access, &namespace).await, foreign);
    let again = revert_isolation(&api, &isolated).await.expect("reverted");
    assert_eq!(again, Reverted::default());
}

#[tokio::test]
async fn a_policy_that_somebody_else_edits_is_put_right_and_not_deleted_by_revert() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    let pod = served_pod(access, &namespace, "web").await;
    let bench = enforcing(connect(access).await);
    let event = event_about(&pod, None);
    bench.run(ISOLATE, &event).await;
    let all = Objects::<NetworkPolicy>::namespaced(client(access).await, &namespace);
    let listed = policies(access, &namespace).await;
    let ours = listed.iter().find(|it| it.name_any().starts_with("stoop-")).expect("ours");
    let open = json!({"spec": {"ingress": [{}]}});
    let params =
        PatchParams { field_manager: Some("kubectl-edit".into()), ..PatchParams::default() };
    all.patch(&ours.name_any(), &params, &Patch::Merge(&open)).await.expect("opened");

    let report = bench.run(ISOLATE, &event).await;
    assert!(report.overall.ended_well(), "{}", report.overall);
    let spec = all.get(&ours.name_any()).await.expect("ours").spec.expect("a spec");
    assert_eq!(spec.ingress, None, "{spec:?}");

    all.patch(&ours.name_any(), &params, &Patch::Merge(&open)).await.expect("opened");
    let uid = Uid::new(pod.uid().expect("a uid"));
    let isolated = Isolated { namespace: namespace.clone(), name: "web".into(), uid };
    let done = revert_isolation(&connect(access).await, &isolated).await.expect("reverted");
    assert_eq!(done.left, [ours.name_any()]);
}

#[tokio::test]
async fn a_successor_of_the_same_name_is_untouched() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    let first = served_pod(access, &namespace, "web").await;
    let bench = enforcing(connect(access).await);
    let event = event_about(&first, None);
    let mut response = bench.begin(ISOLATE, &event).await;
    let pods = pods(access, &namespace).await;
    pods.delete("web", &DeleteParams::default()).await.expect("deleted");
    let second = super::pod(access, &namespace, "web", &container_id("second")).await;
    let Advance::Finished(report) = bench.advance(&mut response).await else {
        panic!("not finished")
    };
    assert_eq!(words(&report), ["isolate skipped (gone)"]);
    assert_eq!(words(&bench.run(ISOLATE, &event).await), ["isolate skipped (gone)"]);
    assert_eq!(pods.get("web").await.expect("the successor"), second);
    assert_eq!(policies(access, &namespace).await.len(), 1, "theirs alone");
}

#[tokio::test]
async fn the_server_answers_as_the_writes_rely_on() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    let pod = super::pod(access, &namespace, "a", &container_id("a")).await;
    let pods = pods(access, &namespace).await;
    let answer = async |meta: Value| {
        let patch = json!({"metadata": meta});
        match pods.patch("a", &PatchParams::default(), &Patch::Merge(patch)).await {
            Err(kube::Error::Api(status)) => status.code,
            other => panic!("accepted: {other:?}"),
        }
    };
    let version = pod.resource_version().expect("a version");
    assert_eq!(answer(json!({"uid": "wrong", "resourceVersion": version})).await, 422);
    assert_eq!(answer(json!({"uid": pod.uid(), "resourceVersion": "1"})).await, 409);

    // Applied with a version that no object has: made where there is none, a conflict where there is one.
    let all = Objects::<NetworkPolicy>::namespaced(client(access).await, &namespace);
    let apply = async |uid: Option<&str>, name: &str| {
        let policy = json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": name, "resourceVersion": "1", "uid": uid}, "spec": {"podSelector": {}}
        });
        all.patch(name, &PatchParams::apply("test").force(), &Patch::Apply(&policy)).await
    };
    let code = |answer: kube::Result<NetworkPolicy>| match answer {
        Err(kube::Error::Api(status)) => status.code,
        other => panic!("accepted: {other:?}"),
    };
    apply(None, "p").await.expect("made");
    assert_eq!(code(apply(None, "p").await), 409);
    assert_eq!(code(apply(Some("wrong"), "gone").await), 409);
}

#[tokio::test]
async fn a_dry_run_is_judged_by_the_server_and_changes_nothing() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    let before = served_pod(access, &namespace, "web").await;
    let foreign = policies(access, &namespace).await;
    let bench = enforcing(connect(access).await);
    for config in ["{}", "{denyEgressByLabel: app}"] {
        let spec = format!("mode: dryRun\nactions: [isolate: {config}]");
        let report = bench.run(&spec, &event_about(&before, None)).await;
        assert_eq!(words(&report), ["isolate skipped (dry-run)"], "{}", report.overall);
        assert!(report.overall.detail().contains("accepted: Effective"), "{}", report.overall);
    }
    assert_eq!(pods(access, &namespace).await.get("web").await.expect("the pod"), before);
    assert_eq!(policies(access, &namespace).await, foreign);
}

#[tokio::test]
async fn a_plans_rights_are_enough_and_each_that_is_missing_is_named() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    for (short, config) in [("all", "{}"), ("label", "{denyEgressByLabel: app}")] {
        let spec = format!("mode: enforce\nactions: [isolate: {config}]");
        let pod = served_pod(access, &namespace, short).await;
        let rights = enforcing(connect(access).await).plan(&spec).permissions();
        let needed = rights.iter().filter(|right| match right.group.as_str() {
            // Of the owners, this pod has a ReplicaSet; a policy goes only where its pod has gone.
            "networking.k8s.io" => right.verb != "delete",
            "" => right.verb == "patch" || right.resource == "services",
            _ => right.resource == "replicasets",
        });
        for (at, missing) in needed.enumerate() {
            let fewer: Vec<_> = rights.iter().filter(|right| *right != missing).cloned().collect();
            let worker = worker(access, &format!("act-isolate-{short}-{at}"), &fewer).await;
            let pod = served_pod(access, &namespace, &format!("{short}-{at}")).await;
            let report = enforcing(worker).run(&spec, &event_about(&pod, None)).await;
            assert_eq!(words(&report), ["isolate failed (permanent)"], "without {missing}");
            let detail = report.overall.detail();
            for said in [missing.verb.as_str(), missing.resource.as_str(), "stoop check --cluster"]
            {
                assert!(detail.contains(said), "without {missing}: {detail}");
            }
        }
        let worker = worker(access, &format!("act-isolate-{short}"), &rights).await;
        let report = enforcing(worker).run(&spec, &event_about(&pod, None)).await;
        assert_eq!(words(&report), ["isolate applied"], "{}", report.overall);
    }
}

#[tokio::test]
async fn policies_of_another_kind_are_found_where_they_are_served() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    let pod = served_pod(access, &namespace, "web").await;
    super::definitions::define(access, &super::definitions::TIERS).await;
    let resource = ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("cilium.io", "v2", "CiliumNetworkPolicy"),
        "ciliumnetworkpolicies",
    );
    let policies =
        Objects::<DynamicObject>::namespaced_with(client(access).await, &namespace, &resource);
    let theirs = DynamicObject::new("theirs", &resource).data(json!({
        "spec": {"endpointSelector": {}, "ingress": [{}]}
    }));
    // The path is served a moment after the definition is established.
    let served = until("the kind to be served", PATIENCE, async || {
        let created = policies.create(&PostParams::default(), &theirs).await;
        created.map_err(|error| error.to_string())
    });
    served.await.map_err(|error| error.to_string()).expect("created");
    let bench = enforcing(connect(access).await);
    let report = bench.run(ISOLATE, &event_about(&pod, None)).await;
    assert_eq!(words(&report), ["isolate failed (permanent)"]);
    let said = "there are ciliumnetworkpolicies.cilium.io";
    assert!(report.overall.detail().contains(said), "{}", report.overall);
    policies.delete("theirs", &DeleteParams::default()).await.expect("deleted");
    let report = bench.run(ISOLATE, &event_about(&pod, None)).await;
    assert_eq!(words(&report), ["isolate already-done"], "{}", report.overall);
}
