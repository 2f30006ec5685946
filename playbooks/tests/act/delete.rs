//! `delete`: whose pods, how many may be missing, and how a race ends.

use http::Method;
use playbooks::act::{Advance, FailureKind};
use serde_json::{Value, json};

use crate::{
    fixtures::{EVICTION, OTHER_UID, POD, Setup, event, pod, pod_with, server, with_pod, words},
    wire::{Answer, Request, Wire, error, list, not_found, status},
};

const DELETE: &str = "mode: enforce\nactions: [delete: {}]";

#[tokio::test]
async fn a_redelivery_finds_it_done() {
    let (api, wire) = server(pod());
    let bench = Setup::new(api).build();
    assert_eq!(words(&bench.run(DELETE, &event()).await), ["delete applied"]);
    assert_eq!(words(&bench.run(DELETE, &event()).await), ["delete already-done"]);
    assert_eq!(wire.writes().len(), 1);
}

#[tokio::test]
async fn a_successor_between_verification_and_delete_is_left_alone() {
    // Verified, then replaced: the server compares the uid, and the live object tells what happened.
    let successor = pod_with(|pod| pod["metadata"]["uid"] = json!(OTHER_UID));
    for config in ["{}", "{evict: true}"] {
        let mut reads = 0;
        let successor = successor.clone();
        let (api, wire) = Wire::new(move |request| match request.method {
            Method::GET => {
                reads += 1;
                Answer::Json(200, if reads == 1 { pod() } else { successor.clone() })
            }
            _ => error(409, "Conflict", "the UID in the precondition does not match"),
        });
        let report = Setup::new(api)
            .build()
            .run(&format!("mode: enforce\nactions: [delete: {config}]"), &event())
            .await;
        assert_eq!(words(&report), ["delete already-done"]);
        assert!(
            wire.writes().iter().all(|write| write.method == Method::DELETE),
            "no stale eviction was sent"
        );
    }
}

#[tokio::test]
async fn a_pod_that_went_by_itself_is_done() {
    let mut reads = 0;
    let (api, _) = Wire::new(move |request| match request.method {
        Method::GET if reads == 0 => {
            reads += 1;
            Answer::Json(200, pod())
        }
        _ => not_found(),
    });
    assert_eq!(
        words(&Setup::new(api).build().run(DELETE, &event()).await),
        ["delete already-done"]
    );
}

#[tokio::test]
async fn a_conflict_with_the_very_pod_is_tried_again() {
    let (api, _) = Wire::new(|request| match request.method {
        Method::GET => Answer::Json(200, pod()),
        _ => error(409, "Conflict", "the object has been modified"),
    });
    let bench = Setup::new(api).build();
    let mut response = bench.begin(DELETE, &event()).await;
    let Advance::Retry(failure) = bench.advance(&mut response).await else {
        panic!("not to be retried")
    };
    assert_eq!(failure.kind, FailureKind::Transient);
}

#[tokio::test]
async fn an_ending_pod_is_only_ever_hurried() {
    let ending = |remaining: i64| {
        pod_with(|pod| {
            pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            pod["metadata"]["deletionGracePeriodSeconds"] = json!(remaining);
        })
    };
    for (remaining, config, expected, writes) in [
        (30, "{}", "delete already-done", 0),
        (30, "{gracePeriod: 30s}", "delete already-done", 0),
        (3600, "{gracePeriod: 5s}", "delete applied", 1),
        // Someone gave it an hour; its own grace period is shorter.
        (3600, "{}", "delete applied", 1),
    ] {
        let (api, wire) = server(ending(remaining));
        let report = Setup::new(api)
            .build()
            .run(&format!("mode: enforce\nactions: [delete: {config}]"), &event())
            .await;
        assert_eq!(words(&report), [expected], "{remaining} {config}");
        assert_eq!(wire.writes().len(), writes);
    }
}

fn owned_by(owner: Option<Value>) -> Value {
    pod_with(|pod| {
        pod["metadata"]["ownerReferences"] = owner.map_or(json!([]), |owner| json!([owner]))
    })
}

fn owner(api_version: &str, kind: &str) -> Option<Value> {
    Some(
        json!({"apiVersion": api_version, "kind": kind, "name": "o", "uid": "o-uid", "controller": true}),
    )
}

#[tokio::test]
async fn whose_pods_is_a_choice_and_a_refusal_names_the_key() {
    let table = [
        (owner("apps/v1", "ReplicaSet"), "{}", None),
        (owner("apps/v1", "StatefulSet"), "{}", Some("StatefulSet")),
        (owner("apps/v1", "StatefulSet"), "{owners: [StatefulSet]}", None),
        (owner("apps/v1", "DaemonSet"), "{}", Some("DaemonSet")),
        (owner("batch/v1", "Job"), "{owners: [ReplicaSet, Job]}", None),
        (owner("apps/v1", "ReplicaSet"), "{owners: [Standalone]}", Some("ReplicaSet")),
        (None, "{}", Some("Standalone")),
        (None, "{owners: [Standalone]}", None),
        // The same word from another API group is another kind.
        (owner("evil.example/v1", "ReplicaSet"), "{}", Some("ReplicaSet.evil.example")),
        (owner("apps.kruise.io/v1alpha1", "CloneSet"), "{}", Some("CloneSet.apps.kruise.io")),
        (owner("apps.kruise.io/v1alpha1", "CloneSet"), "{owners: [CloneSet.apps.kruise.io]}", None),
    ];
    for (owner, config, refused) in table {
        let (api, wire) = server(owned_by(owner.clone()));
        let report = Setup::new(api)
            .build()
            .run(&format!("mode: enforce\nactions: [delete: {config}]"), &event())
            .await;
        match refused {
            None => assert_eq!(words(&report), ["delete applied"], "{owner:?} {config}"),
            Some(name) => {
                assert_eq!(words(&report), ["delete refused (owner-kind)"], "{owner:?} {config}");
                let why = report.overall.detail();
                assert!(why.contains(&format!("add {name} to delete.owners")), "{why}");
                assert!(wire.writes().is_empty());
            }
        }
    }
}

#[tokio::test]
async fn an_owner_that_does_not_control_replaces_nothing() {
    let reference = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "o", "uid": "o"});
    let (api, _) = server(owned_by(Some(reference)));
    assert_eq!(
        words(&Setup::new(api).build().run(DELETE, &event()).await),
        ["delete refused (owner-kind)"]
    );
}

/// A ReplicaSet that wants `replicas`, and its ready pods beside the target.
fn fleet(replicas: u32, others: Vec<Value>) -> impl FnMut(&Request) -> Answer + Send + 'static {
    let mut target = with_pod(pod());
    move |request| match request.path.as_str() {
        "/apis/apps/v1/namespaces/shop/replicasets/web-5d" => Answer::Json(
            200,
            json!({
                "metadata": {"name": "web-5d", "namespace": "shop", "uid": "rs-uid"},
                "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}}
            }),
        ),
        "/api/v1/namespaces/shop/pods" => {
            assert!(request.query.contains("labelSelector=app%3Dweb"), "{}", request.query);
            let mut all = others.clone();
            all.push(ready(pod()));
            list(&all)
        }
        _ => target(request),
    }
}

fn ready(mut pod: Value) -> Value {
    pod["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]);
    pod
}

fn sibling(uid: &str) -> Value {
    ready(pod_with(|pod| pod["metadata"]["uid"] = json!(uid)))
}

#[tokio::test]
async fn min_healthy_counts_what_is_left_and_ready() {
    let ending = || {
        let mut pod = sibling("ending");
        pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        pod
    };
    let unready = || pod_with(|pod| pod["metadata"]["uid"] = json!("unready"));
    let foreign = || {
        let mut pod = sibling("foreign");
        pod["metadata"]["ownerReferences"][0]["uid"] = json!("another-rs");
        pod
    };
    let table = [
        (2, vec![sibling("a")], "50%", true),
        (2, vec![], "50%", false),
        (3, vec![sibling("a")], "50%", false),
        (2, vec![ending()], "50%", false),
        (2, vec![unready()], "50%", false),
        (2, vec![foreign()], "50%", false),
        (1, vec![], "0", true),
        (3, vec![sibling("a"), sibling("b")], "2", true),
        (3, vec![sibling("a"), sibling("b")], "3", false),
    ];
    for (replicas, others, least, allowed) in table {
        let count = others.len();
        let (api, wire) = Wire::new(fleet(replicas, others));
        let spec = format!("mode: enforce\nactions: [delete: {{minHealthy: {least}}}]");
        let report = Setup::new(api).build().run(&spec, &event()).await;
        let expected = if allowed { "delete applied" } else { "delete refused (min-healthy)" };
        assert_eq!(
            words(&report),
            [expected],
            "{count} others of {replicas}, {least}: {}",
            report.overall.detail()
        );
        assert_eq!(wire.writes().len(), usize::from(allowed));
    }
}

/// A ReplicaSet of two, both of its pods ready until they are deleted.
fn pair() -> impl FnMut(&Request) -> Answer + Send + 'static {
    let twin = pod_with(|pod| {
        pod["metadata"]["name"] = json!("twin");
        pod["metadata"]["uid"] = json!(OTHER_UID);
    });
    let mut pods = vec![ready(pod()), ready(twin)];
    move |request| {
        let name = request.path.rsplit('/').next().unwrap_or_default();
        let at = pods.iter().position(|pod| pod["metadata"]["name"] == name);
        match (at, request.method.as_str()) {
            (Some(at), method) => {
                if method == "DELETE" {
                    pods[at]["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
                }
                Answer::Json(200, pods[at].clone())
            }
            (None, _) if name == "pods" => list(&pods),
            (None, _) => fleet(2, vec![])(request),
        }
    }
}

#[tokio::test]
async fn two_playbooks_that_would_each_take_one_of_two_pods_leave_one() {
    let (api, wire) = Wire::new(pair());
    let bench = Setup::new(api).build();
    let mut twins_event = event();
    twins_event["output_fields"]["k8s.pod.name"] = json!("twin");
    twins_event["output_fields"]["k8s.pod.uid"] = json!(OTHER_UID);
    let spec = "mode: enforce\nactions: [delete: {minHealthy: 1}]";
    // Each run binds a playbook of its own.
    let event = event();
    let runs = [bench.run(spec, &event), bench.run(spec, &twins_event)];
    let reports = futures::future::join_all(runs).await;
    let mut ends: Vec<_> = reports.iter().flat_map(words).collect();
    ends.sort();
    assert_eq!(ends, ["delete applied", "delete refused (min-healthy)"]);
    assert_eq!(wire.writes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_another_delete_of_the_owners_pods_is_no_failure() {
    let mut pods = pair();
    let (api, _) = Wire::new(move |request| match request.path.as_str() {
        // The first delete keeps its lock for as long as it may.
        "/api/v1/namespaces/shop/pods" => Answer::Never,
        _ => pods(request),
    });
    let bench = Setup::new(api).build();
    let spec = "mode: enforce\nactions: [delete: {minHealthy: 1}]\nlimits: {attempts: 1}";
    let mut first = bench.begin(spec, &event()).await;
    let mut second = bench.begin(spec, &event()).await;
    let (first, second) =
        Box::pin(futures::future::join(bench.advance(&mut first), bench.advance(&mut second)))
            .await;
    assert!(matches!(first, Advance::Retry(_)), "{first:?}");
    let Advance::Retry(failure) = second else { panic!("not to be retried: {second:?}") };
    assert!(failure.why.contains("waiting for other deletes"), "{failure}");
}

#[tokio::test]
async fn min_healthy_that_cannot_be_counted_deletes_nothing() {
    let spec = "mode: enforce\nactions: [delete: {minHealthy: 1}]";
    // The owner is gone.
    let (api, wire) = server(pod());
    assert_eq!(
        words(&Setup::new(api).build().run(spec, &event()).await),
        ["delete refused (min-healthy)"]
    );
    assert!(wire.writes().is_empty());
    // Another of the owner's name wants its own number of pods.
    let mut answer = with_pod(pod());
    let (api, wire) = Wire::new(move |request| match request.path.as_str() {
        POD => answer(request),
        _ => Answer::Json(
            200,
            json!({
                "metadata": {"name": "web-5d", "uid": "another"}, "spec": {"replicas": 0, "selector": {}}
            }),
        ),
    });
    assert_eq!(
        words(&Setup::new(api).build().run(spec, &event()).await),
        ["delete refused (min-healthy)"]
    );
    assert!(wire.writes().is_empty());
    // The API server is away.
    let mut answer = with_pod(pod());
    let (api, wire) = Wire::new(move |request| match request.path.as_str() {
        POD => answer(request),
        _ => error(503, "ServiceUnavailable", "away"),
    });
    let bench = Setup::new(api).build();
    let mut response = bench.begin(spec, &event()).await;
    assert!(matches!(bench.advance(&mut response).await, Advance::Retry(_)));
    assert!(wire.writes().is_empty());
}

#[tokio::test]
async fn a_disruption_budgets_no_is_tried_again_and_a_broken_one_is_not() {
    let evict = "mode: enforce\nactions: [delete: {evict: true}]";
    let refuse =
        |code: u16, reason: &'static str, message: &'static str, cause: Option<&'static str>| {
            move |request: &Request| match request.path.as_str() {
                EVICTION => {
                    let mut answer = status(code, reason, message);
                    if let Some(cause) = cause {
                        answer["details"] =
                            json!({"causes": [{"reason": cause, "message": "needs 1 healthy"}]});
                    }
                    Answer::Json(code, answer)
                }
                _ => Answer::Json(200, pod()),
            }
        };
    let budget = refuse(429, "TooManyRequests", "Cannot evict pod", Some("DisruptionBudget"));
    let throttled = refuse(429, "TooManyRequests", "slow down", None);
    for (api, kind) in [(Wire::new(budget).0, "transient"), (Wire::new(throttled).0, "unavailable")]
    {
        let bench = Setup::new(api).build();
        let mut response = bench.begin(evict, &event()).await;
        let Advance::Retry(failure) = bench.advance(&mut response).await else {
            panic!("not to be retried")
        };
        assert_eq!(failure.kind.as_str(), kind);
    }
    let several = refuse(
        500,
        "",
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
        None,
    );
    let report = Setup::new(Wire::new(several).0).build().run(evict, &event()).await;
    assert_eq!(words(&report), ["delete failed (permanent)"]);
    assert!(report.overall.detail().contains("evict: false"), "{}", report.overall.detail());
}

#[tokio::test]
async fn an_eviction_that_a_dying_namespace_forbids_is_done_once_the_pod_is_ending() {
    let mut reads = 0;
    let (api, _) = Wire::new(move |request| match request.path.as_str() {
        EVICTION => {
            let mut answer = status(403, "Forbidden", "namespace shop is being terminated");
            answer["details"] = json!({"causes": [{"reason": "NamespaceTerminating"}]});
            Answer::Json(403, answer)
        }
        _ => {
            reads += 1;
            let ending = json!("2026-01-01T00:00:00Z");
            Answer::Json(
                200,
                pod_with(|pod| {
                    if reads > 2 {
                        pod["metadata"]["deletionTimestamp"] = ending;
                    }
                }),
            )
        }
    });
    let report = Setup::new(api)
        .build()
        .run("mode: enforce\nactions: [delete: {evict: true}]", &event())
        .await;
    assert_eq!(words(&report), ["delete already-done"]);
}

#[tokio::test]
async fn a_missing_right_is_permanent() {
    let (api, wire) = Wire::new(|request| match request.method {
        Method::GET => Answer::Json(200, pod()),
        _ => error(403, "Forbidden", "pods \"web\" is forbidden: cannot delete"),
    });
    let report = Setup::new(api).build().run(DELETE, &event()).await;
    assert_eq!(words(&report), ["delete failed (permanent)"]);
    assert!(report.wants_redrive());
    assert_eq!(wire.writes().len(), 1);
}

#[test]
fn faults_of_the_configuration_show_their_place_and_the_fix() {
    let (api, _) =
        tokio::runtime::Runtime::new().expect("a runtime").block_on(async { server(pod()) });
    let bench = Setup::new(api).build();
    let error = bench
        .refuse("actions:\n  - delete: {gracePeriod: 0s}\n  - delte: {}\n  - notify: {to: [slak]}");
    assert!(error.contains("test.yaml:8:29: spec.actions[0].delete.gracePeriod"), "{error}");
    assert!(error.contains("there is no action `delte`"), "{error}");
    assert!(error.contains("there is no notifier `slak`"), "{error}");
}
