//! With controllers and nodes: pods are replaced, and owners keep what they want.

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::{ResourceExt as _, api::PostParams};
use serde_json::json;
use testbed::cluster::{Access, Cluster};

use super::{alive, connect, event_about, namespace, pods};
use crate::fixtures::{Setup, words};

async fn cluster() -> &'static Access {
    Cluster::shared().await.map_err(|error| error.to_string()).expect("a cluster")
}

#[tokio::test]
async fn a_deployment_keeps_as_many_healthy_pods_as_it_must() {
    let access = cluster().await;
    let namespace = namespace(access).await;
    let running = access
        .create_deployment(&namespace, "web", 2)
        .await
        .map_err(|error| error.to_string())
        .expect("pods");
    let pods = pods(access, &namespace).await;
    let (victim, other) = (&running[0], &running[1]);
    let bench = Setup::new(connect(access).await).build();
    let delete = |least: &str| {
        format!("mode: enforce\nactions: [delete: {{minHealthy: {least}, gracePeriod: 1s}}]")
    };

    let report = bench.run(&delete("100%"), &event_about(victim, None)).await;
    assert_eq!(words(&report), ["delete refused (min-healthy)"]);
    assert_eq!(alive(&pods, &victim.name_any()).await, victim.uid());

    assert_eq!(
        words(&bench.run(&delete("50%"), &event_about(victim, None)).await),
        ["delete applied"]
    );
    // Deleted, and not replaced by a healthy one yet: the other may not go as well.
    let second = bench.run(&delete("100%"), &event_about(other, None)).await;
    assert_eq!(words(&second), ["delete refused (min-healthy)"]);
    access
        .pod_gone(&namespace, &victim.name_any(), &victim.uid().expect("a uid"))
        .await
        .map_err(|error| error.to_string())
        .expect("gone");
    let replaced = access
        .running_pods(&namespace, "web", 2)
        .await
        .map_err(|error| error.to_string())
        .expect("pods");
    assert!(replaced.iter().any(|pod| pod.uid() == other.uid()));
    assert!(replaced.iter().all(|pod| pod.uid() != victim.uid()));
}

#[tokio::test]
async fn a_stateful_sets_reborn_pod_is_not_taken_for_its_predecessor() {
    let access = cluster().await;
    let namespace = namespace(access).await;
    let client = access.client().await.map_err(|error| error.to_string()).expect("a client");
    let labels = json!({"app": "db"});
    let set = serde_json::from_value(json!({
        "metadata": {"name": "db"},
        "spec": {
            "replicas": 1, "serviceName": "db", "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "c", "image": "registry.example/db:1"}]}
            }
        }
    }));
    let sets = kube::Api::<StatefulSet>::namespaced(client, &namespace);
    sets.create(&PostParams::default(), &set.expect("a StatefulSet")).await.expect("created");
    let running = access
        .running_pods(&namespace, "db", 1)
        .await
        .map_err(|error| error.to_string())
        .expect("a pod");
    let event = event_about(&running[0], None);
    let bench = Setup::new(connect(access).await).build();

    let unasked = bench.run("mode: enforce\nactions: [delete]", &event).await;
    assert_eq!(words(&unasked), ["delete refused (owner-kind)"]);
    let delete = "mode: enforce\nactions: [delete: {owners: [StatefulSet], gracePeriod: 1s}]";
    assert_eq!(words(&bench.run(delete, &event).await), ["delete applied"]);
    access
        .pod_gone(&namespace, "db-0", &running[0].uid().expect("a uid"))
        .await
        .map_err(|error| error.to_string())
        .expect("gone");
    let reborn = access
        .running_pods(&namespace, "db", 1)
        .await
        .map_err(|error| error.to_string())
        .expect("a pod");
    assert_eq!(
        (reborn[0].name_any(), reborn[0].uid() == running[0].uid()),
        ("db-0".to_owned(), false)
    );

    // The event comes again, and so does every late one.
    for _ in 0..3 {
        assert_eq!(words(&bench.run(delete, &event).await), ["delete already-done"]);
    }
    assert_eq!(alive(&pods(access, &namespace).await, "db-0").await, reborn[0].uid());
}
