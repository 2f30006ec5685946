//! The patches of `label`, `annotate`, `taint`, `cordon`, `scale` and `drain`, under exactly the rights that they name.

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1::{Node, Pod},
};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use playbooks::act::{Advance, Api, Holder, ObjectRef, Outcome, Permission, Report, Uid, revert};
use serde_json::{Value, json};
use testbed::cluster::Access;

use super::{api_server, connect, container_id, event_about, namespace, pods, roles::connect_with};
use crate::fixtures::{Bench, Setup, words};

const ENFORCE: &str = "mode: enforce\nactions: ";

/// A ready node that nothing runs, and another, so that the one can be spared.
pub(super) async fn node(access: &Access, name: &str) -> Node {
    let client = access.client().await.map_err(|error| error.to_string()).expect("a client");
    let nodes = kube::Api::<Node>::all(client);
    let new = serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {"taints": [{"key": "theirs", "value": "x", "effect": "PreferNoSchedule"}]}
    }));
    nodes.create(&PostParams::default(), &new.expect("a node")).await.expect("created");
    // What admission adds until a node is ready.
    let ready = json!({"spec": {"taints": [{"key": "theirs", "value": "x", "effect": "PreferNoSchedule"}]}});
    nodes.patch(name, &PatchParams::default(), &Patch::Merge(&ready)).await.expect("open");
    let status = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    nodes.patch_status(name, &PatchParams::default(), &Patch::Merge(&status)).await.expect("ready")
}

pub(super) async fn nodes(access: &Access) -> kube::Api<Node> {
    kube::Api::all(access.client().await.map_err(|error| error.to_string()).expect("a client"))
}

/// A running pod of a Deployment's ReplicaSet, on this node.
async fn pod(access: &Access, namespace: &str, node: &str) -> Pod {
    let client = access.client().await.map_err(|error| error.to_string()).expect("a client");
    let labels = json!({"app": "web"});
    let template = json!({
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "c", "image": "registry.example/web:1"}]}
    });
    let deployment: Deployment = serde_json::from_value(json!({
        "metadata": {"name": "web"},
        "spec": {"replicas": 3, "selector": {"matchLabels": labels}, "template": template}
    }))
    .expect("a Deployment");
    let deployments = kube::Api::<Deployment>::namespaced(client.clone(), namespace);
    let made = deployments.create(&PostParams::default(), &deployment).await.expect("created");
    let owner = |kind: &str, name: &str, uid: Option<String>| json!([{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid, "controller": true}]);
    let set: ReplicaSet = serde_json::from_value(json!({
        "metadata": {"name": "web-5d", "ownerReferences": owner("Deployment", "web", made.uid())},
        "spec": {"replicas": 3, "selector": {"matchLabels": labels}, "template": template}
    }))
    .expect("a ReplicaSet");
    let sets = kube::Api::<ReplicaSet>::namespaced(client, namespace);
    let made = sets.create(&PostParams::default(), &set).await.expect("created");
    let pods = pods(access, namespace).await;
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "web", "labels": labels, "ownerReferences": owner("ReplicaSet", "web-5d", made.uid())},
        "spec": {"nodeName": node, "containers": [{"name": "c", "image": "registry.example/web:1"}]}
    }))
    .expect("a pod");
    pods.create(&PostParams::default(), &pod).await.expect("created");
    let status = json!({"status": {"phase": "Running", "containerStatuses": [{
        "name": "c", "containerID": format!("containerd://{}", container_id(namespace)), "image": "i",
        "imageID": "i", "ready": true, "started": true, "restartCount": 0,
        "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    }]}});
    pods.patch_status("web", &PatchParams::default(), &Patch::Merge(status)).await.expect("running")
}

/// A worker with exactly the rights that its playbook takes.
async fn worker(access: &Access, user: &str, spec: &str) -> (Bench, Api) {
    let permissions = Setup::new(connect(access).await).build().plan(spec).permissions();
    let api = connect_with(access, user, &permissions).await;
    (Setup::new(api.clone()).build(), api)
}

async fn back(api: &Api, object: &ObjectRef, pod: &Pod) -> Vec<&'static str> {
    let holder = Holder::new("test", &Uid::new(pod.uid().expect("a uid")));
    let done = revert(api, object, &holder, false).await;
    done.expect("reverted").iter().map(Outcome::as_str).collect()
}

fn finished(advance: Advance) -> Report {
    match advance {
        Advance::Finished(report) => *report,
        other => panic!("not finished: {other:?}"),
    }
}

async fn spec_of<K>(api: &kube::Api<K>, name: &str) -> Value
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned + serde::Serialize,
{
    serde_json::to_value(api.get(name).await.expect("it is there")).expect("JSON")["spec"].clone()
}

#[tokio::test]
async fn a_pod_is_marked_under_the_listed_rights_and_gets_back_what_it_had() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    let pod = pod(access, &namespace, &format!("{namespace}-n")).await;
    let pods = pods(access, &namespace).await;
    let (labels, event) = (pod.labels().clone(), event_about(&pod, None));
    for (action, config) in [
        ("label", "{key: acme.example/suspect, value: 'yes'}"),
        ("annotate", "{key: acme.example/why, value: 'room 5'}"),
    ] {
        let spec = format!("{ENFORCE}[{action}: {config}]");
        let (bench, api) = worker(access, &format!("{namespace}-{action}"), &spec).await;
        let dry = spec.replace("enforce", "dryRun");
        let report = bench.run(&dry, &event).await;
        assert!(report.overall.detail().contains("accepted the dry run"), "{}", report.overall);
        assert_eq!(words(&bench.run(&spec, &event).await), [format!("{action} applied")]);
        assert_eq!(words(&bench.run(&spec, &event).await), [format!("{action} already-done")]);
        let object = ObjectRef::pod(&namespace, "web");
        assert!(back(&api, &object, &pod).await.contains(&"applied"));
        let now = pods.get("web").await.expect("the pod");
        assert_eq!((now.labels(), now.annotations().len()), (&labels, 0));
    }
    let (bench, _) = worker(
        access,
        &format!("{namespace}-sel"),
        &format!("{ENFORCE}[label: {{key: a, value: b}}]"),
    )
    .await;
    let released = format!("{ENFORCE}[label: {{key: app, value: x, overwrite: true}}]");
    assert_eq!(words(&bench.run(&released, &event).await), ["label refused (selected-label)"]);

    // Replaced after it was verified: the server compares the uid.
    let spec = format!("{ENFORCE}[label: {{key: a, value: b}}]");
    let mut response = bench.begin(&spec, &event).await;
    pods.delete("web", &DeleteParams::default().grace_period(0)).await.expect("deleted");
    let successor = super::pod(access, &namespace, "web", &container_id("next")).await;
    let report = finished(bench.advance(&mut response).await);
    assert_eq!(words(&report), ["label skipped (gone)"]);
    assert_eq!(pods.get("web").await.expect("the pod").labels(), successor.labels());
}

#[tokio::test]
async fn a_node_is_marked_under_the_listed_rights_and_gets_back_what_it_had() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    let (name, spare) = (format!("{namespace}-n"), format!("{namespace}-spare"));
    node(access, &name).await;
    node(access, &spare).await;
    let pod = pod(access, &namespace, &name).await;
    let (nodes, event) = (nodes(access).await, event_about(&pod, None));
    let before = spec_of(&nodes, &name).await;
    for (action, config) in [
        ("taint", "{key: acme.example/suspect, value: x, maxShare: 100%}"),
        ("taint", "{effect: NoExecute, evictsPods: true, maxShare: 100%}"),
        ("cordon", "{maxShare: 100%}"),
    ] {
        let spec = format!("{ENFORCE}[{action}: {config}]");
        let (bench, api) = worker(access, &format!("{namespace}-{action}"), &spec).await;
        let dry = spec.replace("enforce", "dryRun");
        let report = bench.run(&dry, &event).await;
        assert!(report.overall.detail().contains("accepted the dry run"), "{}", report.overall);
        assert_eq!(spec_of(&nodes, &name).await, before);

        assert_eq!(words(&bench.run(&spec, &event).await), [format!("{action} applied")]);
        assert_eq!(words(&bench.run(&spec, &event).await), [format!("{action} already-done")]);
        assert_ne!(spec_of(&nodes, &name).await, before);
        assert!(back(&api, &ObjectRef::node(&name), &pod).await.contains(&"applied"));
        assert_eq!(spec_of(&nodes, &name).await, before, "{action}");
        let again = back(&api, &ObjectRef::node(&name), &pod).await;
        assert_eq!(again, ["already-done", "already-done"]);
    }
    for name in [name, spare] {
        nodes.delete(&name, &DeleteParams::default()).await.expect("deleted");
    }
}

#[tokio::test]
async fn a_deployment_is_scaled_under_the_listed_rights_and_gets_back_what_it_had() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    let pod = pod(access, &namespace, &format!("{namespace}-n")).await;
    let client = access.client().await.map_err(|error| error.to_string()).expect("a client");
    let deployments = kube::Api::<Deployment>::namespaced(client, &namespace);
    let (spec, event) = (format!("{ENFORCE}[scale]"), event_about(&pod, None));
    let (bench, api) = worker(access, &format!("{namespace}-scale"), &spec).await;
    let before = spec_of(&deployments, "web").await;
    let report = bench.run(&spec.replace("enforce", "dryRun"), &event).await;
    assert!(report.overall.detail().contains("accepted the dry run"), "{}", report.overall);
    assert_eq!(spec_of(&deployments, "web").await, before);

    assert_eq!(words(&bench.run(&spec, &event).await), ["scale applied"]);
    assert_eq!(spec_of(&deployments, "web").await["replicas"], 0);
    assert_eq!(words(&bench.run(&spec, &event).await), ["scale already-done"]);
    let object = ObjectRef::deployment(&namespace, "web");
    assert_eq!(back(&api, &object, &pod).await, ["applied"]);
    assert_eq!(spec_of(&deployments, "web").await, before);
    assert_eq!(back(&api, &object, &pod).await, ["already-done"]);
}

#[tokio::test]
async fn a_node_is_drained_under_the_listed_rights() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    let (name, spare) = (format!("{namespace}-n"), format!("{namespace}-spare"));
    node(access, &name).await;
    node(access, &spare).await;
    let pod = pod(access, &namespace, &name).await;
    let (nodes, pods, event) =
        (nodes(access).await, pods(access, &namespace).await, event_about(&pod, None));
    let spec = format!("{ENFORCE}[drain: {{evictsPods: true, maxShare: 100%}}]");
    let (bench, api) = worker(access, &format!("{namespace}-drain"), &spec).await;
    let report = bench.run(&spec.replace("enforce", "dryRun"), &event).await;
    assert!(report.overall.detail().contains("1 pods are evicted"), "{}", report.overall);
    assert!(pods.get("web").await.expect("the pod").metadata.deletion_timestamp.is_none());

    let mut response = bench.begin(&spec, &event).await;
    let Advance::Retry(waits) = bench.advance(&mut response).await else { panic!("not pending") };
    assert!(waits.why.contains("1 pods of node"), "{waits}");
    assert!(pods.get("web").await.expect("the pod").metadata.deletion_timestamp.is_some());
    // As the kubelet would, once the processes are gone.
    pods.delete("web", &DeleteParams::default().grace_period(0)).await.expect("deleted");
    let report = finished(bench.advance(&mut response).await);
    assert_eq!(words(&report), ["drain applied"]);
    back(&api, &ObjectRef::node(&name), &pod).await;
    assert_eq!(
        nodes.get(&name).await.expect("the node").spec.and_then(|spec| spec.unschedulable),
        None
    );
    for name in [name, spare] {
        nodes.delete(&name, &DeleteParams::default()).await.expect("deleted");
    }
}

#[tokio::test]
async fn rights_that_are_missing_are_a_permanent_failure() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    let name = format!("{namespace}-n");
    node(access, &name).await;
    node(access, &format!("{namespace}-spare")).await;
    let pod = pod(access, &namespace, &name).await;
    let event = event_about(&pod, None);
    for (action, config) in [
        ("label", "{key: a, value: b}"),
        ("annotate", "{key: a, value: b}"),
        ("taint", "{maxShare: 100%}"),
        ("cordon", "{maxShare: 100%}"),
        ("scale", "{}"),
        ("drain", "{evictsPods: true, maxShare: 100%}"),
    ] {
        let spec = format!("{ENFORCE}[{action}: {config}]");
        let permissions = Setup::new(connect(access).await).build().plan(&spec).permissions();
        let is_read = |right: &&Permission| matches!(right.verb.as_str(), "get" | "list");
        let reads: Vec<_> = permissions.iter().filter(is_read).cloned().collect();
        let reader = connect_with(access, &format!("{namespace}-r-{action}"), &reads).await;
        for right in &permissions {
            assert_eq!(
                reader.can_i(right).await.expect("an answer"),
                reads.contains(right),
                "{right}"
            );
        }
        let report = Setup::new(reader).build().run(&spec, &event).await;
        assert_eq!(words(&report), [format!("{action} failed (permanent)")]);
        assert!(report.overall.detail().contains("stoop check --cluster"), "{}", report.overall);
    }
    for name in [name, format!("{namespace}-spare")] {
        nodes(access).await.delete(&name, &DeleteParams::default()).await.expect("deleted");
    }
}
