//! Scheduler and kubelets: a pod gets a node, runs there, and ends as soon as it is told to.
//!
//! A pod bound to a node that doesn't exist has no kubelet: nothing starts it, and deleted it stays Terminating.

use serde_json::{Value, json};

use crate::demo::kubernetes::{
    kinds::{NODE, POD},
    meta,
    store::{Key, Store},
};

pub(super) fn run(store: &mut Store) {
    let pods: Vec<(Key, Value)> =
        store.all(&POD).map(|(key, pod)| (key.clone(), pod.clone())).collect();
    for (key, mut pod) in pods {
        let node = pod["spec"]["nodeName"].as_str().map(str::to_owned);
        let Some(node) = node.or_else(|| scheduled(store, &pod)) else { continue };
        pod["spec"]["nodeName"] = node.clone().into();
        if store.get(&Key::new(&NODE, "", &node)).is_some() {
            if meta::is_terminating(&pod) {
                store.remove(&key);
                continue;
            }
            if pod["status"]["phase"] == "Pending" {
                pod["status"] = running(&pod);
            }
        }
        store.put_changed(key, pod);
    }
}

/// The schedulable node with the fewest pods.
fn scheduled(store: &Store, pod: &Value) -> Option<String> {
    if pod["spec"]["schedulerName"] != "default-scheduler" {
        return None;
    }
    let nodes = store.all(&NODE).filter(|(_, node)| node["spec"]["unschedulable"] != true);
    let load =
        |node: &str| store.all(&POD).filter(|(_, pod)| pod["spec"]["nodeName"] == node).count();
    nodes.map(|(key, _)| key.name.clone()).min_by_key(|name| load(name))
}

fn running(pod: &Value) -> Value {
    let now = meta::now();
    let report = |container: &Value, ready: bool, state: Value| {
        json!({
            "name": container["name"],
            "image": container["image"],
            "imageID": "",
            "containerID": meta::container_id(),
            "ready": ready,
            "restartCount": 0,
            "state": state,
        })
    };
    let each = |field: &str, ready: bool, state: Value| -> Vec<Value> {
        let containers = pod["spec"][field].as_array().into_iter().flatten();
        containers.map(|container| report(container, ready, state.clone())).collect()
    };
    let ended = json!({"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": now}});
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": now});
    let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map(condition);
    let address = format!("10.0.{}.{}", fastrand::u8(..), fastrand::u8(1..));
    json!({
        "phase": "Running",
        "startTime": now,
        "podIP": address,
        "podIPs": [{"ip": address}],
        "conditions": conditions,
        "initContainerStatuses": each("initContainers", true, ended),
        "containerStatuses": each("containers", true, json!({"running": {"startedAt": now}})),
    })
}
