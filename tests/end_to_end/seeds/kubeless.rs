//! Falco's demo with Kubeless: a shell in a container ends with its pod, and its traces are kept first.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use testbed::cluster::Access;

use super::{
    cluster::{gone, is_alive, pods},
    event::{SHELL, about, recorded},
    setting::{Setting, lines_of, steps},
    stream::{OnNats, Stream},
};
use crate::worker::PATIENCE;

/// A Deployment whose pods no scheduler takes: what runs in them is for the test to say.
async fn deployment(cluster: &Access, namespace: &str) {
    let labels = json!({"app": "web"});
    let container = json!({"name": "web", "image": "alpine"});
    let deployment = json!({
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"schedulerName": "none", "containers": [container]},
            },
        },
    });
    let deployments = Api::<Deployment>::namespaced(cluster.client().await.unwrap(), namespace);
    let deployment = serde_json::from_value(deployment).unwrap();
    deployments.create(&PostParams::default(), &deployment).await.unwrap();
}

async fn two(pods: &Api<Pod>) -> Vec<Pod> {
    let found = testbed::until("there are two pods", PATIENCE, async || {
        let found = pods.list(&ListParams::default()).await.unwrap().items;
        if found.len() == 2 { Ok(found) } else { Err(format!("{} pods", found.len())) }
    });
    found.await.unwrap()
}

/// As a kubelet would report of containerd.
async fn run(pods: &Api<Pod>, pod: &Pod, container: &str) {
    let status = json!({
        "name": "web", "containerID": format!("containerd://{container:0<64}"), "image": "alpine",
        "imageID": "alpine", "ready": true, "restartCount": 0,
        "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
    });
    let status = json!({"status": {"phase": "Running", "containerStatuses": [status]}});
    let name = pod.name_any();
    pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
}

/// The recorded event with the container's id as Falco had it, and no uid.
fn event(pod: &Pod) -> Value {
    let recorded = recorded(SHELL, "Notice");
    let id = recorded["output_fields"]["container.id"].clone();
    let mut event = about(recorded, pod);
    event["output_fields"]["container.id"] = id;
    event["output_fields"].as_object_mut().unwrap().remove("k8s.pod.uid");
    event
}

#[tokio::test]
async fn the_pod_goes_after_its_traces_are_kept_and_is_told_of_before_the_event_is_acknowledged() {
    let setting = Setting::new(Some("shell-in-a-container.yaml"), OnNats::new().await).await;
    let cluster = setting.cluster;
    let namespace = cluster.create_namespace("shop").await.unwrap();
    deployment(cluster, &namespace).await;
    let here = pods(cluster, &namespace).await;
    let both = two(&here).await;
    run(&here, &both[0], "6ac7d190134e").await;
    run(&here, &both[1], "bbbbbbbbbbbb").await;
    let worker = setting.desk.run().await;
    setting.sinks.hold();
    let event = event(&both[0]);
    setting.stream.publish(&event).await;

    setting.sinks.called(&worker).await;
    gone(cluster, &both[0]).await;
    let now = two(&here).await;
    assert!(is_alive(cluster, &both[1]).await, "a sibling was deleted");
    assert_eq!(setting.stream.unsettled().await, 1, "it was acknowledged before Slack had it");
    setting.sinks.release();
    setting.settled(&worker, 1).await;

    let answered = lines_of(&worker, "shell-in-a-container");
    assert_eq!(answered.len(), 1, "{answered:?}");
    let done = ["capture", "delete", "notify"].map(|step| (step.to_owned(), "applied".to_owned()));
    assert_eq!(steps(&answered[0]), done, "{answered:?}");
    let captures = setting.captures();
    let [(capture, files)] = &captures[..] else { panic!("{captures:?}") };
    for file in ["falco-event.json", "pod.json", "owner-1.json", "owner-2.json"] {
        assert!(files.iter().any(|name| name == file), "no {file} in {files:?}");
    }
    setting.desk.must(&["evidence", "verify", capture]).await;

    // Sent once more, as Falcosidekick does: under another id, when the name's pods are others.
    let mut again = event;
    again["uuid"] = "00000000-0000-4000-8000-000000000000".into();
    setting.stream.publish(&again).await;
    setting.settled(&worker, 2).await;
    for pod in &now {
        assert!(is_alive(cluster, pod).await, "an innocent pod was deleted");
    }
    assert_eq!(lines_of(&worker, "shell-in-a-container").len(), 1, "it was answered already");
    assert_eq!(setting.captures().len(), 1, "it was kept already");
    let told = setting.sinks.messages();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].to_string().contains(&format!("{namespace}/{}", both[0].name_any())));
    setting.leaves_nothing(worker).await;
}
