//! Evicting: a deletion under a disruption budget, and the traps in it.

use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{EvictParams, PostParams};
use serde_json::{Value, json};

use crate::bench::{Bench, assert_refusal, eventually, foreign_uid, name, only_uid, refusal, uid};

pub(crate) async fn an_eviction_deletes_the_pod(bench: Bench) {
    let pod = bench.unscheduled("web").await;
    let answer = evict(&bench, "web", eviction("web", &uid(&pod))).await.expect("evicted");
    assert_eq!((&answer["kind"], &answer["status"]), (&json!("Status"), &json!("Success")));
    assert!(bench.pods().get_opt("web").await.expect("an answer").is_none());
}

pub(crate) async fn a_stale_uid_is_refused(bench: Bench) {
    bench.unscheduled("web").await;
    let refused = refusal(evict(&bench, "web", eviction("web", &foreign_uid())).await);
    assert_refusal(&refused, 409, "Conflict", "Pod", "web");
    assert!(bench.pods().get_opt("web").await.expect("an answer").is_some());
}

pub(crate) async fn a_stale_eviction_uses_up_the_budget(bench: Bench) {
    let pods = bench.deployed("web", 2).await;
    budget(&bench, "web", 1).await;
    let victim = name(pods.first().expect("a pod"));
    let refused = refusal(evict(&bench, &victim, eviction(&victim, &foreign_uid())).await);
    assert_eq!(refused.code, 409);

    let other = pods.get(1).expect("a pod");
    let refused = refusal(evict(&bench, &name(other), eviction(&name(other), &uid(other))).await);
    assert_eq!(refused.code, 429);
}

pub(crate) async fn an_exhausted_budget_refuses(bench: Bench) {
    let pods = bench.deployed("web", 1).await;
    budget(&bench, "web", 0).await;
    let pod = pods.first().expect("a pod");
    let refused = refusal(evict(&bench, &name(pod), eviction(&name(pod), &uid(pod))).await);
    assert_eq!((refused.code, refused.reason.as_str()), (429, "TooManyRequests"));
    let causes = refused.details.expect("details").causes;
    assert_eq!(causes.first().map(|cause| cause.reason.as_str()), Some("DisruptionBudget"));
    let after = bench.pods().get(&name(pod)).await.expect("the pod");
    assert_eq!(after.metadata.deletion_timestamp, None);
}

pub(crate) async fn two_budgets_are_an_error(bench: Bench) {
    let pods = bench.deployed("web", 1).await;
    for name in ["one", "two"] {
        let _: PodDisruptionBudget = bench.create(disruption_budget(name)).await;
    }
    let pod = pods.first().expect("a pod");
    let refused = refusal(evict(&bench, &name(pod), eviction(&name(pod), &uid(pod))).await);
    assert_eq!(refused.code, 500);
}

pub(crate) async fn an_eviction_in_a_dry_run_changes_nothing(bench: Bench) {
    let pods = bench.deployed("web", 1).await;
    budget(&bench, "web", 1).await;
    let pod = pods.first().expect("a pod");
    let mut dry = eviction(&name(pod), &uid(pod));
    dry["deleteOptions"]["dryRun"] = json!(["All"]);
    let query = PostParams { dry_run: true, ..PostParams::default() };
    // Twice, since the budget allows one; with the query as well, which has to agree.
    for params in [PostParams::default(), query] {
        let evicted = bench.pods().create_subresource("eviction", &name(pod), &params, &dry).await;
        let _: Value = evicted.expect("it would be evicted");
    }
    let after = bench.pods().get(&name(pod)).await.expect("the pod");
    assert_eq!(after.metadata.deletion_timestamp, None);
}

pub(crate) async fn an_eviction_of_a_missing_pod_is_not_found(bench: Bench) {
    let refused = refusal(evict(&bench, "gone", eviction("gone", &foreign_uid())).await);
    assert_refusal(&refused, 404, "NotFound", "pods", "gone");
}

pub(crate) async fn an_eviction_of_another_name_is_a_bad_request(bench: Bench) {
    let pod = bench.unscheduled("web").await;
    let refused = refusal(evict(&bench, "web", eviction("api", &uid(&pod))).await);
    assert_eq!((refused.code, refused.reason.as_str()), (400, "BadRequest"));
}

/// Why stoop builds its evictions itself: kube's sends the preconditions in a field that the API doesn't have.
pub(crate) async fn kubes_own_evict_loses_the_preconditions(bench: Bench) {
    bench.unscheduled("web").await;
    let stale =
        EvictParams { delete_options: Some(only_uid(&foreign_uid())), ..EvictParams::default() };
    bench.pods().evict("web", &stale).await.expect("evicted in spite of the uid");
    assert!(bench.pods().get_opt("web").await.expect("an answer").is_none());
}

async fn evict(bench: &Bench, name: &str, eviction: Value) -> kube::Result<Value> {
    bench.pods().create_subresource("eviction", name, &PostParams::default(), &eviction).await
}

fn eviction(name: &str, uid: &str) -> Value {
    json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name},
        "deleteOptions": {"preconditions": {"uid": uid}},
    })
}

fn disruption_budget(name: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}},
    })
}

/// A budget over the pods of `app`, once it allows so many disruptions.
async fn budget(bench: &Bench, app: &str, allowed: i32) {
    let mut wanted = disruption_budget(app);
    wanted["spec"]["maxUnavailable"] = allowed.into();
    let _: PodDisruptionBudget = bench.create(wanted).await;
    let budgets = bench.api::<PodDisruptionBudget>();
    eventually("the budget is known", async || {
        let status = budgets.get(app).await.expect("the budget").status?;
        (status.observed_generation >= Some(1)
            && status.expected_pods > 0
            && status.current_healthy == status.expected_pods
            && status.disruptions_allowed == allowed)
            .then_some(())
    })
    .await;
}
