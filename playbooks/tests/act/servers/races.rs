//! A pod's name outlives the pod: no event about the one ever changes the other.

use kube::{ResourceExt as _, api::DeleteParams};
use playbooks::act::{Advance, Class, Needs, Verification};
use serde_json::json;

use super::{
    DELETE, EVICT, alive, api_server, connect, container_id, event_about, namespace, pod, pods,
};
use crate::fixtures::{Setup, occurrence, words};

#[tokio::test]
async fn the_verified_pod_is_deleted_and_a_redelivery_finds_it_done() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    for (name, spec) in [("a", DELETE), ("b", EVICT)] {
        let id = container_id(name);
        let pod = pod(access, &namespace, name, &id).await;
        let bench = Setup::new(connect(access).await).build();
        let event = event_about(&pod, Some(&id));
        assert_eq!(words(&bench.run(spec, &event).await), ["delete applied"]);
        assert_eq!(alive(&pods(access, &namespace).await, name).await, None);
        assert_eq!(words(&bench.run(spec, &event).await), ["delete already-done"]);
    }
}

#[tokio::test]
async fn a_successor_of_the_same_name_is_untouched_whenever_it_comes() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    let pods = pods(access, &namespace).await;
    for (name, spec) in [("a", DELETE), ("b", EVICT)] {
        let first = pod(access, &namespace, name, &container_id("first")).await;
        let event = event_about(&first, Some(&container_id("first")));
        let bench = Setup::new(connect(access).await).build();
        // Verified, and replaced before the action.
        let mut response = bench.begin(spec, &event).await;
        pods.delete(name, &DeleteParams::default()).await.expect("deleted");
        let second = pod(access, &namespace, name, &container_id("second")).await;
        let Advance::Finished(report) = bench.advance(&mut response).await else {
            panic!("not finished")
        };
        assert_eq!(words(&report), ["delete already-done"]);
        assert_eq!(alive(&pods, name).await, second.uid());
        // Delivered again, after the successor came.
        assert_eq!(words(&bench.run(spec, &event).await), ["delete already-done"]);
        assert_eq!(alive(&pods, name).await, second.uid());
    }
}

#[tokio::test]
async fn the_server_answers_a_wrong_uid_with_a_conflict() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    pod(access, &namespace, "a", &container_id("a")).await;
    let pods = pods(access, &namespace).await;
    let wrong = DeleteParams {
        preconditions: Some(kube::api::Preconditions {
            uid: Some("wrong".into()),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    let error = connect(access)
        .await
        .call(|_| async { pods.delete("a", &wrong).await.map(drop) })
        .await
        .expect_err("refused");
    assert_eq!(*error.class(), Class::Conflict);
    assert!(alive(&pods, "a").await.is_some());
}

#[tokio::test]
async fn a_pod_is_found_by_whatever_the_event_names() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    // The name is unique in the cluster, as the container is.
    let (name, id) = (format!("web-{namespace}"), container_id(&namespace[namespace.len() - 5..]));
    let pod = pod(access, &namespace, &name, &id).await;
    let full = event_about(&pod, Some(&id));
    let audit = {
        let mut event = full.clone();
        event["source"] = json!("k8s_audit");
        event["time"] =
            json!((jiff::Timestamp::now() + std::time::Duration::from_secs(30)).to_string());
        event["output_fields"] = json!({"ka.target.resource": "pods", "ka.target.name": name, "ka.target.namespace": namespace});
        event
    };
    let without = |keys: &[&str]| {
        let mut event = full.clone();
        event["output_fields"]["container.full_id"] = json!(id);
        for key in keys {
            event["output_fields"][*key] = json!(null);
        }
        event
    };
    let on_a_falco_pod = |mut event: serde_json::Value| {
        event["hostname"] = json!("falco-ctj9r");
        event
    };
    let bench = Setup::new(connect(access).await).build();
    for event in [
        full.clone(),
        audit,
        without(&["k8s.ns.name"]),
        without(&["k8s.pod.uid"]),
        without(&["k8s.pod.name", "k8s.ns.name"]),
        without(&["k8s.pod.name", "k8s.ns.name", "k8s.pod.uid"]),
        on_a_falco_pod(full.clone()),
        on_a_falco_pod(without(&["k8s.pod.name", "k8s.ns.name", "k8s.pod.uid"])),
    ] {
        let Verification::Target(target) = bench.verify(&event).await else {
            panic!("not found: {event}")
        };
        assert_eq!(Some(target.uid().as_str()), pod.uid().as_deref());
    }
}

#[tokio::test]
async fn what_is_not_there_is_gone() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    let pod = pod(access, &namespace, "a", &container_id("a")).await;
    pods(access, &namespace).await.delete("a", &DeleteParams::default()).await.expect("deleted");
    let bench = Setup::new(connect(access).await).build();
    let mut elsewhere = event_about(&pod, None);
    elsewhere["output_fields"]["k8s.ns.name"] = json!("no-such-namespace");
    for event in [event_about(&pod, None), elsewhere] {
        assert!(matches!(bench.verify(&event).await, Verification::Gone(_)));
    }
}

#[tokio::test]
async fn a_namespaces_labels_are_read_where_they_are_asked_for() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    let pod = pod(access, &namespace, "a", &container_id("a")).await;
    let (claim, occurrence) = occurrence(&event_about(&pod, None));
    let bench = Setup::new(connect(access).await).build();
    let needs = Needs { namespace: true, owner_chain: true, node: false };
    let verification = bench.engine.verify(&claim, &occurrence, needs).await.expect("verified");
    let Verification::Target(target) = verification else { panic!("{verification:?}") };
    assert_eq!(target.facts().namespace_labels["kubernetes.io/metadata.name"], namespace);
}
