//! Evictions and the disruption budgets that they are taken off.

use k8s_openapi::api::{core::v1::Pod, policy::v1::PodDisruptionBudget};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use playbooks::act::{Advance, FailureKind};
use serde_json::json;
use testbed::cluster::Access;

use super::{EVICT, alive, api_server, connect, container_id, event_about, namespace, pod, pods};
use crate::fixtures::{Setup, words};

/// A budget over every pod of the namespace, as the controller would have it.
async fn budget(
    access: &Access,
    namespace: &str,
    name: &str,
    allowed: i32,
) -> kube::Api<PodDisruptionBudget> {
    let client = access.client().await.map_err(|error| error.to_string()).expect("a client");
    let budgets = kube::Api::<PodDisruptionBudget>::namespaced(client, namespace);
    let budget = serde_json::from_value(json!({
        "metadata": {"name": name}, "spec": {"minAvailable": 1, "selector": {}}
    }));
    let made =
        budgets.create(&PostParams::default(), &budget.expect("a budget")).await.expect("created");
    let status = json!({"status": {
        "observedGeneration": made.metadata.generation, "disruptionsAllowed": allowed,
        "currentHealthy": 2, "desiredHealthy": 1, "expectedPods": 2
    }});
    budgets
        .patch_status(name, &PatchParams::default(), &Patch::Merge(&status))
        .await
        .expect("a status");
    budgets
}

/// A pod that is ready: the server counts no other against a budget that has enough.
async fn ready_pod(access: &Access, namespace: &str, container: &str) -> Pod {
    pod(access, namespace, "a", &container_id(container)).await;
    let ready = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    let pods = pods(access, namespace).await;
    pods.patch_status("a", &PatchParams::default(), &Patch::Strategic(&ready)).await.expect("ready")
}

async fn allowed(budgets: &kube::Api<PodDisruptionBudget>, name: &str) -> i32 {
    budgets.get(name).await.expect("a budget").status.expect("a status").disruptions_allowed
}

#[tokio::test]
async fn a_stale_eviction_uses_up_no_budget_and_a_right_one_does() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    let pods = pods(access, &namespace).await;
    let first = ready_pod(access, &namespace, "first").await;
    let bench = Setup::new(connect(access).await).build();
    let event = event_about(&first, Some(&container_id("first")));
    let mut stale = bench.begin(EVICT, &event).await;
    pods.delete("a", &DeleteParams::default()).await.expect("deleted");
    let second = ready_pod(access, &namespace, "second").await;
    let budgets = budget(access, &namespace, "budget", 1).await;

    let Advance::Finished(report) = bench.advance(&mut stale).await else { panic!("not finished") };
    assert_eq!(words(&report), ["delete already-done"]);
    assert_eq!(allowed(&budgets, "budget").await, 1);
    assert_eq!(alive(&pods, "a").await, second.uid());

    let event = event_about(&second, Some(&container_id("second")));
    assert_eq!(words(&bench.run(EVICT, &event).await), ["delete applied"]);
    assert_eq!(allowed(&budgets, "budget").await, 0);
}

#[tokio::test]
async fn a_budget_that_is_used_up_holds_the_eviction_back_for_a_while() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    let pod = ready_pod(access, &namespace, "a").await;
    budget(access, &namespace, "budget", 0).await;
    let bench = Setup::new(connect(access).await).build();
    let mut response = bench.begin(EVICT, &event_about(&pod, None)).await;
    let Advance::Retry(failure) = bench.advance(&mut response).await else {
        panic!("not to be retried")
    };
    assert_eq!(failure.kind, FailureKind::Transient);
    assert!(failure.why.contains("PodDisruptionBudget"), "{failure}");
    assert_eq!(alive(&pods(access, &namespace).await, "a").await, pod.uid());
}

#[tokio::test]
async fn two_budgets_on_one_pod_are_a_fault_that_no_retry_mends() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    let pod = ready_pod(access, &namespace, "a").await;
    budget(access, &namespace, "one", 1).await;
    budget(access, &namespace, "two", 1).await;
    let report =
        Setup::new(connect(access).await).build().run(EVICT, &event_about(&pod, None)).await;
    assert_eq!(words(&report), ["delete failed (permanent)"]);
    assert!(report.overall.detail().contains("evict: false"), "{}", report.overall.detail());
}
