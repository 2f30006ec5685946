//! GKE's demo: a miner's pod is kept, cut off and killed, its node is marked, and two are told.

use k8s_openapi::api::{core::v1::Node, networking::v1::NetworkPolicy};
use kube::{Api, ResourceExt, api::ListParams};
use testbed::cluster::Access;

use super::{
    cluster::{gone, is_alive},
    event::{SHELL, about, miner, recorded},
    setting::{Setting, lines_of, steps},
    stream::{OnPubSub, Stream},
};
use crate::worker::PATIENCE;

const TAINT: &str = "stoop.dev/suspect";

/// The nodes that are marked.
async fn marked(cluster: &Access) -> Vec<String> {
    let nodes = Api::<Node>::all(cluster.client().await.unwrap());
    let nodes = nodes.list(&ListParams::default()).await.unwrap().items;
    let is_marked = |node: &Node| {
        let mut taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
        taints.any(|taint| taint.key == TAINT)
    };
    nodes.iter().filter(|node| is_marked(node)).map(ResourceExt::name_any).collect()
}

/// Waits for a policy, which goes with the pod.
async fn first_policy(cluster: &Access, namespace: &str) {
    let policies = Api::<NetworkPolicy>::namespaced(cluster.client().await.unwrap(), namespace);
    let there = testbed::until("a policy is there", PATIENCE, async || {
        let found = policies.list(&ListParams::default()).await.unwrap().items;
        if found.is_empty() { Err("none is".to_owned()) } else { Ok(()) }
    });
    there.await.unwrap();
}

#[tokio::test]
async fn a_miner_is_kept_cut_off_killed_and_told_of_before_the_event_is_acknowledged() {
    let stream = OnPubSub::new("miner").await;
    let proven = [("STOOP_CLUSTER__ENFORCES_NETWORK_POLICIES", "true")];
    let setting = Setting::with(Some("cryptominer.yaml"), stream, &proven).await;
    let cluster = setting.cluster;
    let namespace = cluster.create_namespace("shop").await.unwrap();
    let both = cluster.create_deployment(&namespace, "web", 2).await.unwrap();
    let node = both[0].spec.as_ref().unwrap().node_name.clone().unwrap();
    let worker = setting.desk.run().await;
    setting.sinks.hold();
    let mut lesser = miner(&both[1]);
    lesser["priority"] = "Warning".into();
    tokio::join!(first_policy(cluster, &namespace), async {
        setting.stream.publish(&lesser).await;
        setting.stream.publish(&about(recorded(SHELL, "Critical"), &both[1])).await;
        setting.stream.publish(&miner(&both[0])).await;
    });

    setting.sinks.called(&worker).await;
    gone(cluster, &both[0]).await;
    assert_eq!(marked(cluster).await, [node]);
    let serving = cluster.running_pods(&namespace, "web", 2).await.unwrap();
    assert!(serving.iter().any(|pod| pod.uid() == both[1].uid()), "a sibling was touched");
    setting.settled(&worker, 2).await;
    let acked = worker.metric("stoop_settled_total", &["how=\"acked\""]).await
        + worker.metric("stoop_messages_total", &["skipped"]).await;
    assert_eq!(acked, 2.0, "it was acknowledged before anybody was told");
    setting.sinks.release();
    setting.settled(&worker, 3).await;

    let answered = lines_of(&worker, "cryptominer");
    let [line] = &answered[..] else { panic!("{answered:?}") };
    let done = ["capture", "isolate", "taint", "delete", "notify"];
    assert_eq!(steps(line), done.map(|step| (step.to_owned(), "applied".to_owned())), "{line}");
    assert!(line["steps"][1]["detail"].as_str().unwrap().contains("Effective"), "{line}");
    let captures = setting.captures();
    let [(capture, files)] = &captures[..] else { panic!("{captures:?}") };
    for file in ["falco-event.json", "pod.json", "node.json", "owner-1.json"] {
        assert!(files.iter().any(|name| name == file), "no {file} in {files:?}");
    }
    setting.desk.must(&["evidence", "verify", capture]).await;
    let about = format!("{namespace}/{}", both[0].name_any());
    let (told, findings) = (setting.sinks.messages(), setting.sinks.findings());
    assert!(told.len() == 1 && told[0].to_string().contains(&about), "{told:?}");
    let [finding] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!(
        (&finding["resourceName"], &finding["severity"]),
        (&about.into(), &"CRITICAL".into())
    );
    assert!(setting.tokens_given() > 0, "nobody has asked who we are");
    assert!(is_alive(cluster, &both[1]).await);
    // The role of this playbook lets the taint be taken back too.
    setting.desk.must(&["responses", "revert", "--playbook", "cryptominer"]).await;
    assert!(marked(cluster).await.is_empty());
    setting.leaves_nothing(worker).await;
}
