//! ContainerDay's demo with network rules: the pod that talks to whom it shouldn't is cut off, alone, and comes back.

use k8s_openapi::api::{core::v1::Pod, networking::v1::NetworkPolicy};
use kube::{Api, ResourceExt, api::ListParams};
use testbed::cluster::Access;

use super::{
    cluster::{gone, is_alive, pods},
    event::{CONNECTION, about, recorded},
    setting::{Setting, lines_of, steps},
    stream::{OnKafka, Stream},
};
use crate::worker::PATIENCE;

const PLAYBOOK: &str = "unexpected-connection";
const QUARANTINE: &str = "stoop.dev/quarantine";

async fn policies(cluster: &Access, namespace: &str) -> Vec<NetworkPolicy> {
    let policies = Api::<NetworkPolicy>::namespaced(cluster.client().await.unwrap(), namespace);
    policies.list(&ListParams::default()).await.unwrap().items
}

async fn read(cluster: &Access, pod: &Pod) -> Pod {
    pods(cluster, &pod.namespace().unwrap()).await.get(&pod.name_any()).await.unwrap()
}

#[tokio::test]
async fn the_pod_is_cut_off_alone_told_of_and_let_back_in() {
    let stream = OnKafka::new("connection").await;
    let proven = [("STOOP_CLUSTER__ENFORCES_NETWORK_POLICIES", "true")];
    let setting = Setting::with(Some("unexpected-connection.yaml"), stream, &proven).await;
    let cluster = setting.cluster;
    let namespace = cluster.create_namespace("shop").await.unwrap();
    let both = cluster.create_deployment(&namespace, "web", 2).await.unwrap();
    let worker = setting.desk.run().await;
    setting.sinks.hold();
    setting.stream.publish(&about(recorded(CONNECTION, "Warning"), &both[0])).await;

    setting.sinks.called(&worker).await;
    assert!(is_alive(cluster, &both[0]).await, "its traces are gone");
    let cut_off = read(cluster, &both[0]).await;
    let mark = cut_off.labels().get(QUARANTINE).cloned().expect("the mark of the policy");
    assert_eq!(cut_off.labels().len(), 1, "what a Service or an owner selects by is still there");
    let found = policies(cluster, &namespace).await;
    let [policy] = &found[..] else { panic!("{found:?}") };
    let spec = policy.spec.as_ref().unwrap();
    let selected = spec.pod_selector.as_ref().and_then(|selector| selector.match_labels.clone());
    assert_eq!(selected, Some([(QUARANTINE.to_owned(), mark)].into()));
    assert_eq!(
        spec.policy_types.as_deref(),
        Some(&["Ingress".to_owned(), "Egress".to_owned()][..])
    );
    // Its owner has let go of it, and replaced it.
    let serving = cluster.running_pods(&namespace, "web", 2).await.unwrap();
    assert!(serving.iter().any(|pod| pod.uid() == both[1].uid()), "a sibling was touched");
    assert!(serving.iter().all(|pod| !pod.labels().contains_key(QUARANTINE)));
    assert_eq!(setting.stream.unsettled().await, 1, "it was acknowledged before Slack had it");
    setting.sinks.release();
    setting.settled(&worker, 1).await;

    let answered = lines_of(&worker, PLAYBOOK);
    let done = ["isolate", "notify"].map(|step| (step.to_owned(), "applied".to_owned()));
    assert_eq!(steps(&answered[0]), done, "{answered:?}");
    assert!(answered[0]["steps"][0]["detail"].as_str().unwrap().contains("Effective"));
    assert_eq!(setting.sinks.messages().len(), 1);
    let kept = setting.desk.must(&["responses", "list", "--output", "json"]).await;
    let kept: serde_json::Value = serde_json::from_str(kept.trim()).expect("one response");
    assert_eq!(kept["status"]["phase"], "Succeeded", "{kept}");
    assert!(kept["status"]["expiresAt"].is_string(), "{kept}");

    let told = setting.desk.must(&["responses", "revert", "--playbook", PLAYBOOK]).await;
    assert!(policies(cluster, &namespace).await.is_empty(), "{told}");
    // Its owner adopts it, and may delete one that it now has too many: the pod's own labels are the proof.
    let back = testbed::until("the Deployment has two pods again", PATIENCE, async || {
        let now = cluster.running_pods(&namespace, "web", 2).await;
        now.map_err(|error| error.to_string())
    });
    back.await.unwrap();
    let left = pods(cluster, &namespace).await.list(&ListParams::default()).await.unwrap().items;
    assert!(left.iter().all(|pod| !pod.labels().contains_key(QUARANTINE)), "{left:?}");
    setting.leaves_nothing(worker).await;
}

#[tokio::test]
async fn where_nobody_knows_that_policies_are_enforced_the_pod_goes_in_place_of_it() {
    let stream = OnKafka::new("unproven").await;
    let setting = Setting::new(Some("unexpected-connection.yaml"), stream).await;
    let cluster = setting.cluster;
    let namespace = cluster.create_namespace("shop").await.unwrap();
    let both = cluster.create_deployment(&namespace, "web", 2).await.unwrap();
    let worker = setting.desk.run().await;
    setting.stream.publish(&about(recorded(CONNECTION, "Warning"), &both[0])).await;

    gone(cluster, &both[0]).await;
    setting.settled(&worker, 1).await;
    assert!(is_alive(cluster, &both[1]).await, "a sibling was deleted");
    let answered = lines_of(&worker, PLAYBOOK);
    let done = [("isolate", "failed"), ("delete", "applied"), ("notify", "applied")];
    assert_eq!(
        steps(&answered[0]),
        done.map(|(step, outcome)| (step.to_owned(), outcome.to_owned()))
    );
    let told = setting.sinks.messages();
    assert!(told[0].to_string().contains("Unproven"), "{told:?}");
    setting.leaves_nothing(worker).await;
}
