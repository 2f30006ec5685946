//! Deleting: preconditions, the grace period, dry run.

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{DeleteParams, Preconditions};
use serde_json::json;

use crate::bench::{Bench, assert_refusal, eventually, foreign_uid, name, only_uid, refusal, uid};

pub(crate) async fn a_wrong_uid_is_a_conflict(bench: Bench) {
    let pod = bench.unscheduled("web").await;
    let refused = refusal(bench.pods().delete("web", &only_uid(&foreign_uid())).await);
    assert_refusal(&refused, 409, "Conflict", "Pod", "web");
    assert!(refused.message.contains(&foreign_uid()) && refused.message.contains(&uid(&pod)));
    assert_eq!(uid(&bench.pods().get("web").await.expect("the pod")), uid(&pod));
}

pub(crate) async fn a_wrong_resource_version_is_a_conflict(bench: Bench) {
    let pod = bench.unscheduled("web").await;
    let preconditions = Preconditions { uid: Some(uid(&pod)), resource_version: Some("1".into()) };
    let stale = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    assert_refusal(
        &refusal(bench.pods().delete("web", &stale).await),
        409,
        "Conflict",
        "Pod",
        "web",
    );
}

pub(crate) async fn a_missing_pod_is_not_found(bench: Bench) {
    let refused = refusal(bench.pods().delete("gone", &only_uid(&foreign_uid())).await);
    assert_refusal(&refused, 404, "NotFound", "pods", "gone");
    assert_refusal(&refusal(bench.pods().get("gone").await), 404, "NotFound", "pods", "gone");
}

pub(crate) async fn the_right_uid_deletes_an_unscheduled_pod_at_once(bench: Bench) {
    let pod = bench.unscheduled("web").await;
    let answer = bench.pods().delete("web", &only_uid(&uid(&pod))).await.expect("deleted");
    assert_eq!(uid(&answer.left().expect("the pod")), uid(&pod));
    assert!(bench.pods().get_opt("web").await.expect("an answer").is_none());
}

pub(crate) async fn a_dry_run_deletes_nothing(bench: Bench) {
    let pod = bench.bound("web").await;
    let dry = DeleteParams { dry_run: true, ..only_uid(&uid(&pod)) };
    bench.pods().delete("web", &dry).await.expect("it would be deleted");
    let after = bench.pods().get("web").await.expect("the pod");
    assert_eq!(after.metadata.deletion_timestamp, None);
    assert_eq!(after.metadata.resource_version, pod.metadata.resource_version);
}

pub(crate) async fn a_wrong_uid_is_a_conflict_in_a_dry_run_too(bench: Bench) {
    bench.unscheduled("web").await;
    let dry = DeleteParams { dry_run: true, ..only_uid(&foreign_uid()) };
    assert_eq!(refusal(bench.pods().delete("web", &dry).await).code, 409);
}

pub(crate) async fn a_scheduled_pod_is_terminating_for_its_grace_period(bench: Bench) {
    let pod = bench.bound("web").await;
    let answer = bench.pods().delete("web", &grace(&pod, 20)).await.expect("deleted");
    let shown = answer.left().expect("the pod");
    assert!(shown.metadata.deletion_timestamp.is_some());
    assert_eq!(pending(&bench).await, Some(20));
}

pub(crate) async fn a_grace_period_can_only_be_shortened(bench: Bench) {
    let pod = bench.bound("web").await;
    for (asked, then) in [(20, 20), (60, 20), (5, 5), (20, 5)] {
        bench.pods().delete("web", &grace(&pod, asked)).await.expect("an answer");
        assert_eq!(pending(&bench).await, Some(then), "after asking for {asked}");
    }
    bench.pods().delete("web", &only_uid(&uid(&pod))).await.expect("an answer");
    assert_eq!(pending(&bench).await, Some(5), "after asking for nothing");
}

pub(crate) async fn a_grace_period_of_zero_removes_a_terminating_pod(bench: Bench) {
    let pod = bench.bound("web").await;
    bench.pods().delete("web", &grace(&pod, 20)).await.expect("an answer");
    bench.pods().delete("web", &grace(&pod, 0)).await.expect("an answer");
    assert!(bench.pods().get_opt("web").await.expect("an answer").is_none());
}

pub(crate) async fn a_terminating_pod_on_a_live_node_goes(bench: Bench) {
    let pods = bench.deployed("web", 1).await;
    let pod = pods.first().expect("a pod");
    bench.pods().delete(&name(pod), &grace(pod, 1)).await.expect("deleted");
    eventually("the pod is gone", async || {
        bench.pods().get_opt(&name(pod)).await.expect("an answer").is_none().then_some(())
    })
    .await;
}

pub(crate) async fn a_deleted_config_map_is_told_by_a_status(bench: Bench) {
    let map: ConfigMap =
        bench.create(json!({"metadata": {"name": "settings"}, "data": {"a": "b"}})).await;
    let maps = bench.api::<ConfigMap>();
    let answer = maps.delete("settings", &only_uid(&uid(&map))).await.expect("deleted");
    let status = answer.right().expect("a status");
    assert!(status.is_success(), "{status:?}");
    let details = status.details.expect("details");
    assert_eq!(
        (details.kind, details.name, details.uid),
        ("configmaps".into(), name(&map), uid(&map))
    );
}

fn grace(pod: &Pod, seconds: u32) -> DeleteParams {
    DeleteParams { grace_period_seconds: Some(seconds), ..only_uid(&uid(pod)) }
}

async fn pending(bench: &Bench) -> Option<i64> {
    let pod = bench.pods().get("web").await.expect("the pod is there still");
    pod.metadata.deletion_grace_period_seconds
}
