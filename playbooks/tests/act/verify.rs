//! How a pod is found, and what is never taken for one.

use http::Method;
use playbooks::{
    act::{ClusterId, ClusterPolicy, FailureKind, Needs, Verification},
    decide::Owner,
};
use serde_json::{Value, json};

use crate::{
    fixtures::{
        OTHER_UID, POD, Setup, UID, ago, event, event_at, occurrence, pod, pod_with, server,
    },
    wire::{Answer, Request, Wire, error, list, not_found},
};

fn without(mut event: Value, keys: &[&str]) -> Value {
    for key in keys {
        event["output_fields"].as_object_mut().expect("fields").remove(*key);
    }
    event
}

fn word(verification: &Verification) -> &'static str {
    match verification {
        Verification::Target(_) => "target",
        Verification::Node(_) => "node",
        Verification::Gone(_) => "gone",
        Verification::NoTarget => "no target",
        Verification::Refused(_) => "refused",
        Verification::ForeignCluster => "foreign",
    }
}

async fn verdict(
    answer: impl FnMut(&Request) -> Answer + Send + 'static,
    event: &Value,
) -> (&'static str, Wire) {
    let (api, wire) = Wire::new(answer);
    let verification = Setup::new(api).build().verify(event).await;
    (word(&verification), wire)
}

#[tokio::test]
async fn a_named_pod_is_read_once_and_live() {
    let (api, wire) = server(pod());
    let Verification::Target(target) = Setup::new(api).build().verify(&event()).await else {
        panic!("not verified")
    };
    assert_eq!(target.uid().as_str(), UID);
    assert_eq!(target.object().to_string(), "pod shop/web");
    assert_eq!(target.facts().pod_labels["app"], "web");
    assert_eq!(target.facts().images, ["shop/web:1"]);
    assert_eq!(target.facts().owners.len(), 1);
    assert_eq!(wire.requests().len(), 1);
}

#[tokio::test]
async fn a_pod_that_is_not_there_or_another_is_gone() {
    assert_eq!(verdict(|_| not_found(), &event()).await.0, "gone");
    let successor = pod_with(|pod| {
        pod["metadata"]["uid"] = json!(OTHER_UID);
        pod["status"]["containerStatuses"][0]["containerID"] =
            json!("containerd://ffffffffffffffff");
    });
    assert_eq!(verdict(move |_| Answer::Json(200, successor.clone()), &event()).await.0, "gone");
}

#[tokio::test]
async fn an_error_is_never_an_answer() {
    type Faulty = fn() -> Answer;
    let table: [(Faulty, &str); 6] = [
        (|| error(403, "Forbidden", "pods is forbidden"), "permanent"),
        (|| error(401, "Unauthorized", "Unauthorized"), "unavailable"),
        (|| error(503, "ServiceUnavailable", "etcd is away"), "unavailable"),
        (|| error(500, "InternalError", "oops"), "transient"),
        // A load balancer's 404 is not the API server's word that the pod is gone.
        (|| Answer::Text(404, "404 page not found"), "unavailable"),
        (|| Answer::Broken, "unavailable"),
    ];
    for (fault, kind) in table {
        let (api, _) = Wire::new(move |_| fault());
        let (claim, occurrence) = occurrence(&event());
        let failure = Setup::new(api)
            .build()
            .engine
            .verify(&claim, &occurrence, Needs::default())
            .await
            .expect_err("not an answer");
        assert_eq!(failure.kind.as_str(), kind, "{failure}");
    }
}

#[tokio::test]
async fn without_uid_and_container_nothing_is_even_asked() {
    let (word, wire) =
        verdict(|_| Answer::Json(200, pod()), &without(event(), &["container.id", "k8s.pod.uid"]))
            .await;
    assert_eq!(word, "refused");
    assert!(wire.requests().is_empty());
}

#[tokio::test]
async fn a_pod_without_its_name_is_found_on_its_node() {
    let event = without(event(), &["k8s.pod.name", "k8s.ns.name", "k8s.pod.uid"]);
    let (word, wire) = verdict(|_| list(&[pod()]), &event).await;
    assert_eq!(word, "target");
    let [request] = &wire.requests()[..] else { panic!("{:?}", wire.requests()) };
    assert!(request.is(&Method::GET, "/api/v1/pods"));
    assert!(request.query.contains("fieldSelector=spec.nodeName%3Dnode-1"), "{}", request.query);
}

#[tokio::test]
async fn a_host_that_is_no_node_leads_through_all_pages() {
    let mut event = without(event(), &["k8s.pod.name", "k8s.ns.name"]);
    event["hostname"] = json!("falco-ctj9r");
    let pages = |request: &Request| {
        if request.query.contains("nodeName") {
            return list(&[]);
        }
        match request.query.contains("continue=page2") {
            true => list(&[pod()]),
            false => Answer::Json(
                200,
                json!({
                    "kind": "PodList", "apiVersion": "v1", "metadata": {"continue": "page2"}, "items": []
                }),
            ),
        }
    };
    let (word, wire) = verdict(pages, &event).await;
    assert_eq!(word, "target");
    // Node, two pages, and whether the host is a node.
    assert_eq!(wire.requests().len(), 4);
}

#[tokio::test]
async fn a_known_nodes_pods_are_all_there_are() {
    let event = without(event(), &["k8s.pod.name", "k8s.ns.name", "k8s.pod.uid"]);
    let other = pod_with(|pod| pod["status"] = json!({}));
    let (word, wire) = verdict(move |_| list(std::slice::from_ref(&other)), &event).await;
    assert_eq!((word, wire.requests().len()), ("refused", 1));
}

#[tokio::test]
async fn a_uid_that_no_pod_of_the_cluster_has_is_gone() {
    let mut event = without(event(), &["k8s.pod.name", "k8s.ns.name"]);
    event["hostname"] = json!(null);
    assert_eq!(verdict(|_| list(&[]), &event).await.0, "gone");
    let no_uid = without(event, &["k8s.pod.uid"]);
    assert_eq!(verdict(|_| list(&[]), &no_uid).await.0, "refused", "it may never have been a pod");
}

#[tokio::test]
async fn a_name_without_its_namespace_is_looked_up_everywhere_and_must_be_one() {
    let event = without(event(), &["k8s.ns.name"]);
    let elsewhere = pod_with(|pod| {
        pod["metadata"]["namespace"] = json!("other");
        pod["metadata"]["uid"] = json!(OTHER_UID);
        pod["status"] = json!({});
    });
    let both = vec![elsewhere.clone(), pod()];
    let (word, wire) = verdict(move |_| list(&both), &event).await;
    assert_eq!(word, "target");
    assert!(wire.requests()[0].query.contains("fieldSelector=metadata.name%3Dweb"));
    assert_eq!(verdict(move |_| list(std::slice::from_ref(&elsewhere)), &event).await.0, "gone");
    assert_eq!(verdict(|_| list(&[]), &event).await.0, "gone");
    // Two that fit: a restored etcd, or a liar.
    assert_eq!(verdict(|_| list(&[pod(), pod()]), &event).await.0, "refused");
}

#[tokio::test]
async fn a_container_in_another_namespace_than_the_event_says_is_refused() {
    let event = without(event(), &["k8s.pod.name", "k8s.pod.uid"]);
    let elsewhere = pod_with(|pod| pod["metadata"]["namespace"] = json!("other"));
    assert_eq!(verdict(move |_| list(std::slice::from_ref(&elsewhere)), &event).await.0, "refused");
}

#[tokio::test]
async fn an_event_from_another_node_is_refused_and_one_from_falcos_pod_is_not() {
    let mut from = event();
    from["hostname"] = json!("node-2");
    let node_2 = |request: &Request| match request.path.as_str() {
        POD => Answer::Json(200, pod()),
        _ => list(&[json!({"metadata": {"name": "x", "namespace": "y"}})]),
    };
    assert_eq!(verdict(node_2, &from).await.0, "refused");
    let no_node = |request: &Request| match request.path.as_str() {
        POD => Answer::Json(200, pod()),
        _ => list(&[]),
    };
    from["hostname"] = json!("falco-ctj9r");
    assert_eq!(verdict(no_node, &from).await.0, "target");
}

#[tokio::test]
async fn a_status_that_lags_behind_is_waited_for() {
    let fresh = pod_with(|pod| pod["status"] = json!({}));
    for event in [event_at(ago(1)), without(event_at(ago(1)), &["k8s.pod.name", "k8s.ns.name"])] {
        let fresh = fresh.clone();
        let (api, _) = Wire::new(move |request| match request.path.as_str() {
            POD => Answer::Json(200, fresh.clone()),
            _ => list(std::slice::from_ref(&fresh)),
        });
        let (claim, occurrence) = occurrence(&event);
        let failure = Setup::new(api)
            .build()
            .engine
            .verify(&claim, &occurrence, Needs::default())
            .await
            .expect_err("not yet");
        assert_eq!(failure.kind, FailureKind::Transient);
    }
}

#[tokio::test]
async fn what_is_about_no_pod_has_no_target() {
    let mut host = event();
    host["output_fields"] =
        json!({"container.id": "host", "k8s.pod.name": "web", "k8s.ns.name": "shop"});
    let mut node_audit = event();
    node_audit["source"] = json!("k8s_audit");
    node_audit["output_fields"] = json!({"ka.target.resource": "nodes", "ka.target.name": "web", "ka.target.namespace": "shop"});
    let mut plugin = event();
    plugin["output_fields"] = json!({});
    for event in [host, node_audit, plugin] {
        let (word, wire) = verdict(|_| Answer::Json(200, pod()), &event).await;
        assert_eq!((word, wire.requests().len()), ("no target", 0), "{event}");
    }
}

#[tokio::test]
async fn an_audit_event_needs_namespace_and_name() {
    let mut audit = event();
    audit["source"] = json!("k8s_audit");
    audit["output_fields"] = json!({"ka.target.resource": "pods", "ka.target.name": "web", "ka.target.namespace": "shop"});
    assert_eq!(verdict(|_| Answer::Json(200, pod()), &audit).await.0, "target");
    assert_eq!(
        verdict(|_| Answer::Json(200, pod()), &without(audit.clone(), &["ka.target.namespace"]))
            .await
            .0,
        "refused"
    );
    audit["time"] = json!(ago(7200).to_string());
    assert_eq!(verdict(|_| Answer::Json(200, pod()), &audit).await.0, "gone");
}

#[tokio::test]
async fn another_clusters_event_asks_nothing() {
    let table = [
        (Some("prod-1"), Some("prod-2"), false, "foreign", 0),
        (Some("prod-1"), Some("prod-1"), true, "target", 1),
        (Some("prod-1"), None, false, "target", 1),
        (Some("prod-1"), None, true, "refused", 0),
        (None, Some("prod-2"), false, "refused", 0),
        (None, None, false, "target", 1),
    ];
    for (ours, named, require, expected, requests) in table {
        let (api, wire) = server(pod());
        let mut setup = Setup::new(api);
        setup.cluster = ClusterPolicy { name: ours.map(ClusterId::new), require };
        let mut event = event();
        if let Some(named) = named {
            event["output_fields"]["static.cluster"] = json!(named);
        }
        let verification = setup.build().verify(&event).await;
        assert_eq!(
            (word(&verification), wire.requests().len()),
            (expected, requests),
            "{ours:?} {named:?}"
        );
    }
}

#[tokio::test]
async fn facts_that_nobody_asks_for_are_not_read() {
    let answer = |request: &Request| match request.path.as_str() {
        "/api/v1/namespaces/shop" => {
            Answer::Json(200, json!({"metadata": {"name": "shop", "labels": {"team": "a"}}}))
        }
        "/apis/apps/v1/namespaces/shop/replicasets/web-5d" => Answer::Json(
            200,
            json!({"metadata": {
                "name": "web-5d", "uid": "rs-uid",
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "d", "controller": true}]
            }}),
        ),
        _ => Answer::Json(200, pod()),
    };
    let (claim, occurrence) = occurrence(&event());
    for (needs, requests) in [
        (Needs::default(), 1),
        (Needs { namespace: true, ..Needs::default() }, 2),
        (Needs { namespace: true, owner_chain: true, node: false }, 3),
    ] {
        let (api, wire) = Wire::new(answer);
        let verification = Setup::new(api)
            .build()
            .engine
            .verify(&claim, &occurrence, needs)
            .await
            .expect("verified");
        let Verification::Target(target) = verification else { panic!("{verification:?}") };
        assert_eq!(wire.requests().len(), requests);
        assert_eq!(target.facts().namespace_labels.contains_key("team"), needs.namespace);
        let owners: Vec<_> =
            target.facts().owners.iter().map(|owner| owner.kind.as_str()).collect();
        assert_eq!(owners.contains(&"Deployment"), needs.owner_chain);
    }
}

#[tokio::test]
async fn what_cannot_be_read_about_a_pod_fails_those_who_need_it_and_no_others() {
    let (namespace, owner_chain) = (
        Needs { namespace: true, ..Needs::default() },
        Needs { owner_chain: true, ..Needs::default() },
    );
    for (unread, read) in [(namespace, owner_chain), (owner_chain, namespace)] {
        let (api, _) = Wire::new(move |request: &Request| match request.path.as_str() {
            POD => Answer::Json(200, pod()),
            path if path.contains("/replicasets/") == unread.owner_chain => {
                error(403, "Forbidden", "may not be read")
            }
            path if path.contains("/replicasets/") => Answer::Json(
                200,
                json!({"metadata": {
                    "name": "web-5d", "uid": "rs-uid",
                    "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "d", "controller": true}]
                }}),
            ),
            _ => Answer::Json(200, json!({"metadata": {"name": "shop", "labels": {"team": "a"}}})),
        });
        let (engine, (claim, occurrence)) = (Setup::new(api).build().engine, occurrence(&event()));
        let found = engine.identify(&claim, &occurrence, unread.and(read)).await;
        let Ok(Verification::Target(target)) = found else { panic!("{found:?}") };
        assert!(target.unread(unread).all(|failure| failure.is_permanent()));
        let count = |needs| target.unread(needs).count();
        assert_eq!((count(unread), count(read), count(Needs::default())), (1, 0, 0));
        assert_eq!(target.facts().namespace_labels.contains_key("team"), read.namespace);
        let is_deployment = |owner: &Owner| owner.kind == "Deployment";
        assert_eq!(target.facts().owners.iter().any(is_deployment), read.owner_chain);
        // Who asks for one playbook alone gets no target that it must not be judged by.
        assert!(engine.verify(&claim, &occurrence, unread).await.is_err());
        assert!(engine.verify(&claim, &occurrence, read).await.is_ok());
    }
}

#[tokio::test]
async fn a_replica_set_of_the_same_name_tells_nothing_about_the_owner() {
    let answer = |request: &Request| match request.path.as_str() {
        POD => Answer::Json(200, pod()),
        _ => Answer::Json(
            200,
            json!({"metadata": {
                "name": "web-5d", "uid": "another",
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "x", "uid": "d", "controller": true}]
            }}),
        ),
    };
    let (api, _) = Wire::new(answer);
    let (claim, occurrence) = occurrence(&event());
    let needs = Needs { owner_chain: true, ..Needs::default() };
    let verification =
        Setup::new(api).build().engine.verify(&claim, &occurrence, needs).await.expect("verified");
    let Verification::Target(target) = verification else { panic!("{verification:?}") };
    assert_eq!(target.facts().owners.len(), 1);
}

#[tokio::test]
async fn names_that_are_none_never_reach_a_path() {
    for name in ["../../secrets/token", "web/../..", "web?x=y", "WEB", "<NA>", "host", ""] {
        let mut event = without(event(), &["k8s.pod.uid"]);
        event["output_fields"]["k8s.pod.name"] = json!(name);
        let (_, wire) = verdict(|_| list(&[pod()]), &event).await;
        for request in wire.requests() {
            assert_eq!(request.path, "/api/v1/pods", "{name}");
            assert!(!request.query.contains("metadata.name"), "{name}: {}", request.query);
        }
    }
}
