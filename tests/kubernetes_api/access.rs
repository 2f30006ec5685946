//! Who may do what, and what there is at all.

use k8s_openapi::api::{authorization::v1::SelfSubjectAccessReview, core::v1::Pod};
use kube::{
    Client,
    api::{Api, PostParams},
};
use serde_json::json;

use crate::bench::{Bench, assert_refusal, object, refusal};

pub(crate) async fn the_version_can_be_read(bench: Bench) {
    let version = bench.client.apiserver_version().await.expect("a version");
    assert_eq!(version.major, "1");
    version.minor.trim_end_matches('+').parse::<u32>().expect("a number");
}

pub(crate) async fn an_unknown_kind_is_not_found(bench: Bench) {
    let request = axum::http::Request::get("/apis/stoop.dev/v1/nonsense").body(Vec::new());
    let answer = bench.client.request_text(request.expect("a request")).await;
    assert_eq!(refusal(answer).code, 404);
}

pub(crate) async fn an_access_review_tells_what_the_asker_may_do(bench: Bench) {
    assert!(may_delete_pods(&bench, &bench.client).await);
    assert!(!may_delete_pods(&bench, &nobody(&bench)).await);
}

pub(crate) async fn whoever_has_no_permission_is_refused(bench: Bench) {
    let pods: Api<Pod> = Api::namespaced(nobody(&bench), &bench.namespace);
    assert_refusal(&refusal(pods.get("web").await), 403, "Forbidden", "pods", "web");
}

async fn may_delete_pods(bench: &Bench, client: &Client) -> bool {
    let attributes = json!({"verb": "delete", "resource": "pods", "namespace": bench.namespace});
    let review: SelfSubjectAccessReview =
        object(json!({"spec": {"resourceAttributes": attributes}}));
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let answer = reviews.create(&PostParams::default(), &review).await.expect("an answer");
    answer.status.expect("a status").allowed
}

/// A client in the name of a user without any role.
fn nobody(bench: &Bench) -> Client {
    let mut config = bench.config.clone();
    config.auth_info.impersonate = Some("nobody".into());
    Client::try_from(config).expect("a client")
}
