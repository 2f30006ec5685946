//! What controllers do that a client sees: pods run, and what should be there comes back.

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, ReplicaSet, StatefulSet},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{
    Resource,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;

use crate::bench::{Bench, eventually, labelled, name, only_uid, uid, workload};

pub(crate) async fn a_pod_runs_on_a_node_with_a_container_id(bench: Bench) {
    let pods = bench.deployed("web", 1).await;
    let pod = pods.first().expect("a pod");
    assert!(pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some()));
    let status = pod.status.as_ref().expect("a status");
    assert_eq!(status.phase.as_deref(), Some("Running"));
    let containers = status.container_statuses.as_ref().expect("container statuses");
    let id = containers.first().and_then(|container| container.container_id.as_deref());
    assert!(id.is_some_and(|id| id.split_once("://").is_some_and(|(_, id)| id.len() > 12)));
}

pub(crate) async fn a_deployments_pod_is_replaced_under_a_new_name_and_uid(bench: Bench) {
    let pods = bench.deployed("web", 1).await;
    let old = pods.first().expect("a pod");
    let set = controller(old);
    let set: ReplicaSet = bench.api().get(&set.name).await.expect("the ReplicaSet");
    assert_eq!(
        (controller(&set).kind.as_str(), controller(&set).name.as_str()),
        ("Deployment", "web")
    );

    bench.pods().delete(&name(old), &only_uid(&uid(old))).await.expect("deleted");
    let new = eventually("a replacement is there", async || {
        labelled(&bench.pods(), "web").await.into_iter().find(|pod| uid(pod) != uid(old))
    })
    .await;
    assert_ne!(name(&new), name(old));
    assert_eq!(controller(&new).uid, uid(&set));
}

pub(crate) async fn a_stateful_sets_pod_is_replaced_under_the_same_name_and_a_new_uid(
    bench: Bench,
) {
    let mut wanted = workload("db", 1);
    wanted["spec"]["serviceName"] = "db".into();
    let set: StatefulSet = bench.create(wanted).await;
    let old = eventually("the first pod is there", async || pod(&bench, "db-0").await).await;
    assert_eq!((controller(&old).kind, controller(&old).uid), ("StatefulSet".into(), uid(&set)));

    bench.pods().delete("db-0", &only_uid(&uid(&old))).await.expect("deleted");
    eventually("a successor is there", async || {
        pod(&bench, "db-0").await.filter(|pod| uid(pod) != uid(&old))
    })
    .await;
}

pub(crate) async fn a_deployment_counts_its_ready_pods(bench: Bench) {
    bench.deployed("web", 2).await;
    let deployments = bench.api::<Deployment>();
    eventually("both are counted", async || {
        let status = deployments.get("web").await.expect("the Deployment").status?;
        (status.replicas == Some(2) && status.ready_replicas == Some(2)).then_some(())
    })
    .await;
}

pub(crate) async fn what_a_deployment_made_goes_with_it(bench: Bench) {
    bench.deployed("web", 1).await;
    let deployments = bench.api::<Deployment>();
    deployments.delete("web", &DeleteParams::background()).await.expect("deleted");
    eventually("no pod is left", async || {
        labelled(&bench.pods(), "web").await.is_empty().then_some(())
    })
    .await;
}

pub(crate) async fn a_pod_that_is_not_selected_any_more_is_let_go_replaced_and_taken_in_again(
    bench: Bench,
) {
    let pods = bench.deployed("web", 1).await;
    let pod = pods.first().expect("a pod");
    let set = controller(pod);
    relabel(&bench, pod, "apart").await;
    eventually("it is let go", async || {
        let now = bench.pods().get(&name(pod)).await.expect("it lives");
        now.metadata.owner_references.is_none_or(|owners| owners.is_empty()).then_some(())
    })
    .await;
    eventually("it is replaced", async || {
        labelled(&bench.pods(), "web").await.into_iter().find(|other| uid(other) != uid(pod))
    })
    .await;

    relabel(&bench, pod, "web").await;
    // One of the two is too many.
    let left = eventually("one is left", async || {
        let pods = labelled(&bench.pods(), "web").await;
        let stays = |pod: &&Pod| pod.metadata.deletion_timestamp.is_none();
        let left: Vec<_> = pods.iter().filter(stays).collect();
        match left.as_slice() {
            [only] => only.metadata.owner_references.is_some().then(|| (*only).clone()),
            _ => None,
        }
    })
    .await;
    assert_eq!(controller(&left).uid, set.uid);
}

async fn relabel(bench: &Bench, pod: &Pod, app: &str) {
    let patch = Patch::Merge(json!({"metadata": {"labels": {"app": app}}}));
    bench.pods().patch(&name(pod), &PatchParams::default(), &patch).await.expect("patched");
}

async fn pod(bench: &Bench, name: &str) -> Option<Pod> {
    bench.pods().get_opt(name).await.expect("an answer")
}

fn controller<K: Resource>(object: &K) -> OwnerReference {
    let owners = object.meta().owner_references.iter().flatten();
    owners.into_iter().find(|owner| owner.controller == Some(true)).cloned().expect("a controller")
}
