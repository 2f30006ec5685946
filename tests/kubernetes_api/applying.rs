//! Server-side apply: what is created, what is refused, whose the fields are.

use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::bench::{
    Bench, assert_refusal, eventually, foreign_uid, object, refusal, resource_version, uid,
};

const MANAGER: &str = "contract";

fn policy(more: Value) -> Value {
    let mut metadata = json!({"name": "closed"});
    json_patch::merge(&mut metadata, &more);
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata,
        "spec": {
            "podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"],
        },
    })
}

async fn apply(bench: &Bench, said: &Value) -> kube::Result<NetworkPolicy> {
    let params = PatchParams::apply(MANAGER).force();
    bench.api::<NetworkPolicy>().patch("closed", &params, &Patch::Apply(said)).await
}

fn managers(policy: &NetworkPolicy) -> Vec<(String, bool)> {
    let entries = policy.metadata.managed_fields.iter().flatten();
    let of_spec = |entry: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry| {
        entry.fields_v1.as_ref().is_some_and(|fields| fields.0.get("f:spec").is_some())
    };
    entries.map(|entry| (entry.manager.clone().unwrap_or_default(), of_spec(entry))).collect()
}

pub(crate) async fn what_is_not_there_is_created_whatever_version_was_said(bench: Bench) {
    let made = apply(&bench, &policy(json!({"resourceVersion": "1"}))).await.expect("created");
    assert_ne!(resource_version(&made), "1");
    assert_eq!(managers(&made), [(MANAGER.to_owned(), true)]);
}

pub(crate) async fn what_is_not_there_is_not_created_for_a_uid(bench: Bench) {
    let refused = refusal(apply(&bench, &policy(json!({"uid": foreign_uid()}))).await);
    assert_eq!((refused.code, refused.reason.as_str()), (409, "Conflict"));
    let policies: Api<NetworkPolicy> = bench.api();
    assert!(policies.get_opt("closed").await.expect("an answer").is_none());
}

pub(crate) async fn an_apply_with_a_stale_resource_version_is_a_conflict(bench: Bench) {
    let made = apply(&bench, &policy(json!({}))).await.expect("created");
    let stale = json!({"uid": uid(&made), "resourceVersion": "1"});
    let refused = refusal(apply(&bench, &policy(stale)).await);
    assert_refusal(&refused, 409, "Conflict", "networkpolicies", "closed");
}

pub(crate) async fn an_apply_with_a_wrong_uid_is_refused(bench: Bench) {
    apply(&bench, &policy(json!({}))).await.expect("created");
    let refused = refusal(apply(&bench, &policy(json!({"uid": foreign_uid()}))).await);
    assert_eq!((refused.code, refused.reason.as_str()), (422, "Invalid"));
}

pub(crate) async fn what_is_applied_is_merged_and_its_lists_are_replaced(bench: Bench) {
    let made = apply(&bench, &policy(json!({}))).await.expect("created");
    let mut more = policy(json!({
        "uid": uid(&made), "resourceVersion": resource_version(&made), "labels": {"a": "b"},
    }));
    more["spec"]["policyTypes"] = json!(["Egress"]);
    let after = apply(&bench, &more).await.expect("applied");
    let spec = after.spec.expect("a spec");
    assert_eq!(spec.policy_types.as_deref(), Some(&["Egress".to_owned()][..]));
    assert!(spec.pod_selector.is_some_and(|selector| selector.match_labels.is_some()));
    assert_eq!(after.metadata.labels.expect("labels").get("a").map(String::as_str), Some("b"));
}

pub(crate) async fn an_empty_list_is_left_out(bench: Bench) {
    let mut empty = policy(json!({}));
    empty["spec"]["ingress"] = json!([]);
    let spec = apply(&bench, &empty).await.expect("applied").spec.expect("a spec");
    assert_eq!((spec.ingress, spec.egress), (None, None));
}

pub(crate) async fn what_is_applied_twice_keeps_its_resource_version(bench: Bench) {
    let made = apply(&bench, &policy(json!({}))).await.expect("created");
    let again = apply(&bench, &policy(json!({}))).await.expect("applied");
    assert_eq!(resource_version(&again), resource_version(&made));
}

pub(crate) async fn an_apply_in_a_dry_run_creates_nothing(bench: Bench) {
    let dry = PatchParams { dry_run: true, ..PatchParams::apply(MANAGER).force() };
    let policies: Api<NetworkPolicy> = bench.api();
    policies.patch("closed", &dry, &Patch::Apply(policy(json!({})))).await.expect("it would be");
    assert!(policies.get_opt("closed").await.expect("an answer").is_none());
}

pub(crate) async fn what_belongs_to_a_pod_goes_with_it(bench: Bench) {
    let pod = bench.unscheduled("web").await;
    let owner = json!({"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": uid(&pod)});
    let made: NetworkPolicy =
        object(policy(json!({"namespace": bench.namespace, "ownerReferences": [owner]})));
    let policies: Api<NetworkPolicy> = bench.api();
    policies.create(&PostParams::default(), &made).await.expect("created");
    bench.pods().delete("web", &Default::default()).await.expect("deleted");
    eventually("the policy is gone", async || {
        policies.get_opt("closed").await.expect("an answer").is_none().then_some(())
    })
    .await;
}
