//! Creating and changing: identity, optimistic concurrency, the status apart.

use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::bench::{
    Bench, assert_refusal, foreign_uid, name, object, pod, refusal, resource_version, uid,
};

pub(crate) async fn creating_gives_an_identity_that_the_client_cannot_choose(bench: Bench) {
    let mut wanted = pod("web");
    wanted["spec"]["schedulerName"] = "none".into();
    wanted["metadata"]["uid"] = foreign_uid().into();
    wanted["status"] = json!({"phase": "Running"});
    let made: Pod = bench.create(wanted).await;
    assert_ne!(uid(&made), foreign_uid());
    assert!(made.metadata.creation_timestamp.is_some());
    assert!(!resource_version(&made).is_empty());
    assert_eq!(made.status.and_then(|status| status.phase).as_deref(), Some("Pending"));
}

pub(crate) async fn a_name_is_generated_from_its_prefix(bench: Bench) {
    let made: ConfigMap = bench.create(json!({"metadata": {"generateName": "web-"}})).await;
    assert!(name(&made).starts_with("web-") && name(&made).len() > "web-".len());
}

pub(crate) async fn a_name_is_taken_once(bench: Bench) {
    bench.unscheduled("web").await;
    let refused = refusal(create(&bench, pod("web")).await);
    assert_refusal(&refused, 409, "AlreadyExists", "pods", "web");
}

pub(crate) async fn a_missing_namespace_is_not_found(bench: Bench) {
    let pods: Api<Pod> = Api::namespaced(bench.client.clone(), "no-such-namespace");
    let refused = refusal(pods.create(&PostParams::default(), &object(pod("web"))).await);
    assert_refusal(&refused, 404, "NotFound", "namespaces", "no-such-namespace");
}

pub(crate) async fn an_invalid_object_is_refused(bench: Bench) {
    let mut empty = pod("web");
    empty["spec"]["containers"] = json!([]);
    assert_refusal(&refusal(create(&bench, empty).await), 422, "Invalid", "Pod", "web");
    let misnamed = refusal(create(&bench, pod("Not_A_Name")).await);
    assert_refusal(&misnamed, 422, "Invalid", "Pod", "Not_A_Name");
    let mut unnamed = pod("web");
    unnamed["metadata"] = json!({});
    assert_eq!(refusal(create(&bench, unnamed).await).code, 422);
}

pub(crate) async fn a_wrong_type_is_a_bad_request(bench: Bench) {
    let path = format!("/api/v1/namespaces/{}/configmaps", bench.namespace);
    let body = json!({"metadata": {"name": "settings"}, "data": ["not", "a", "map"]});
    let request = axum::http::Request::post(path)
        .header("content-type", "application/json")
        .body(body.to_string().into_bytes());
    let refused = refusal(bench.client.request_text(request.expect("a request")).await);
    assert_eq!((refused.code, refused.reason.as_str()), (400, "BadRequest"));
}

pub(crate) async fn a_dry_run_creates_nothing(bench: Bench) {
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let made = bench.pods().create(&dry, &object(pod("web"))).await.expect("it would be created");
    assert_eq!(name(&made), "web");
    assert!(bench.pods().get_opt("web").await.expect("an answer").is_none());
}

pub(crate) async fn a_patch_with_the_right_uid_is_applied(bench: Bench) {
    let pod = bench.unscheduled("web").await;
    let with = json!({"uid": uid(&pod), "resourceVersion": resource_version(&pod)});
    let after = label(&bench, with).await.expect("patched");
    let labels = after.metadata.labels.clone().expect("labels");
    assert_eq!(labels.get("seen").map(String::as_str), Some("yes"));
    assert_eq!(labels.get("app").map(String::as_str), Some("web"), "what was there stays");
    assert_ne!(resource_version(&after), resource_version(&pod));
}

pub(crate) async fn a_patch_with_a_wrong_uid_is_invalid(bench: Bench) {
    bench.unscheduled("web").await;
    let refused = refusal(label(&bench, json!({"uid": foreign_uid()})).await);
    assert_refusal(&refused, 422, "Invalid", "Pod", "web");
    assert!(!is_labelled(&bench).await);
}

pub(crate) async fn a_patch_with_a_stale_resource_version_is_a_conflict(bench: Bench) {
    let pod = bench.unscheduled("web").await;
    annotate(&bench).await;
    let refused = refusal(label(&bench, json!({"resourceVersion": resource_version(&pod)})).await);
    assert_refusal(&refused, 409, "Conflict", "pods", "web");
    assert!(!is_labelled(&bench).await);
}

pub(crate) async fn a_patch_of_a_missing_object_is_not_found(bench: Bench) {
    let refused = refusal(label(&bench, json!({})).await);
    assert_refusal(&refused, 404, "NotFound", "pods", "web");
}

pub(crate) async fn a_patch_in_a_dry_run_changes_nothing(bench: Bench) {
    bench.unscheduled("web").await;
    let dry = PatchParams { dry_run: true, ..PatchParams::default() };
    let change = json!({"metadata": {"labels": {"seen": "yes"}}});
    let shown = bench.pods().patch("web", &dry, &Patch::Merge(change)).await.expect("patched");
    assert!(shown.metadata.labels.expect("labels").contains_key("seen"));
    assert!(!is_labelled(&bench).await);
}

pub(crate) async fn a_patch_that_changes_nothing_keeps_the_resource_version(bench: Bench) {
    let pod = bench.unscheduled("web").await;
    let change = Patch::Merge(json!({"metadata": {"labels": {"app": "web"}}}));
    let after = bench.pods().patch("web", &PatchParams::default(), &change).await;
    assert_eq!(resource_version(&after.expect("patched")), resource_version(&pod));
}

pub(crate) async fn the_status_is_written_on_its_own(bench: Bench) {
    bench.unscheduled("web").await;
    let container = json!({
        "name": "main", "image": "app", "imageID": "", "ready": true, "restartCount": 0,
        "containerID": "containerd://6ac7d190134e",
    });
    let both = json!({
        "spec": {"activeDeadlineSeconds": 60},
        "status": {"phase": "Running", "containerStatuses": [container]},
    });
    let patch = Patch::Merge(both);
    let after = bench.pods().patch_status("web", &PatchParams::default(), &patch).await;
    let after = after.expect("patched");
    assert_eq!(container_id(&after).as_deref(), Some("containerd://6ac7d190134e"));
    assert_eq!(after.spec.and_then(|spec| spec.active_deadline_seconds), None);

    let only_status = Patch::Merge(json!({"status": {"phase": "Failed"}}));
    let after = bench.pods().patch("web", &PatchParams::default(), &only_status).await;
    let phase = after.expect("patched").status.and_then(|status| status.phase);
    assert_eq!(phase.as_deref(), Some("Running"));
}

pub(crate) async fn a_json_patch_whose_test_fails_is_invalid(bench: Bench) {
    bench.unscheduled("web").await;
    let operations = json!([
        {"op": "test", "path": "/metadata/uid", "value": foreign_uid()},
        {"op": "add", "path": "/metadata/labels/seen", "value": "yes"},
    ]);
    let patch = Patch::Json::<()>(object(operations));
    let refused = refusal(bench.pods().patch("web", &PatchParams::default(), &patch).await);
    assert_eq!((refused.code, refused.reason.as_str()), (422, "Invalid"));
    assert!(!is_labelled(&bench).await);
}

pub(crate) async fn a_replacement_with_a_wrong_uid_is_a_conflict(bench: Bench) {
    let mut map = settings(&bench).await;
    map.metadata.uid = Some(foreign_uid());
    let maps = bench.api::<ConfigMap>();
    let refused = refusal(maps.replace("settings", &PostParams::default(), &map).await);
    assert_refusal(&refused, 409, "Conflict", "configmaps", "settings");
}

pub(crate) async fn a_replacement_with_a_stale_resource_version_is_a_conflict(bench: Bench) {
    let mut map = settings(&bench).await;
    let maps = bench.api::<ConfigMap>();
    map.data = Some([("stop".to_owned(), "true".to_owned())].into());
    let after = maps.replace("settings", &PostParams::default(), &map).await.expect("replaced");
    assert_eq!(after.data, map.data);
    map.data = None;
    let refused = refusal(maps.replace("settings", &PostParams::default(), &map).await);
    assert_refusal(&refused, 409, "Conflict", "configmaps", "settings");
}

/// A deterministic name makes telling twice harmless.
pub(crate) async fn an_event_can_be_recorded_once_under_its_name(bench: Bench) {
    let event = json!({
        "metadata": {"name": "web.stoop", "namespace": bench.namespace},
        "involvedObject": {"kind": "Pod", "name": "web", "namespace": bench.namespace},
        "reason": "Deleted", "message": "by stoop", "type": "Warning",
        "reportingComponent": "stoop", "reportingInstance": "stoop-0", "action": "Delete",
        "eventTime": "2026-01-01T00:00:00.000000Z",
    });
    let _: Event = bench.create(event.clone()).await;
    let again = bench.api::<Event>().create(&PostParams::default(), &object(event)).await;
    assert_refusal(&refusal(again), 409, "AlreadyExists", "events", "web.stoop");
}

async fn create(bench: &Bench, wanted: Value) -> kube::Result<Pod> {
    bench.pods().create(&PostParams::default(), &object(wanted)).await
}

async fn settings(bench: &Bench) -> ConfigMap {
    bench.create(json!({"metadata": {"name": "settings"}, "data": {"stop": "false"}})).await
}

/// Adds a label by a merge patch that says more of the metadata.
async fn label(bench: &Bench, mut metadata: Value) -> kube::Result<Pod> {
    metadata["labels"] = json!({"seen": "yes"});
    let patch = Patch::Merge(json!({"metadata": metadata}));
    bench.pods().patch("web", &PatchParams::default(), &patch).await
}

async fn annotate(bench: &Bench) {
    let patch = Patch::Merge(json!({"metadata": {"annotations": {"note": "changed"}}}));
    bench.pods().patch("web", &PatchParams::default(), &patch).await.expect("patched");
}

async fn is_labelled(bench: &Bench) -> bool {
    let pod = bench.pods().get("web").await.expect("the pod");
    pod.metadata.labels.is_some_and(|labels| labels.contains_key("seen"))
}

fn container_id(pod: &Pod) -> Option<String> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    statuses.first()?.container_id.clone()
}
