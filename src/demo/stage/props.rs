//! What the story finds in place: the objects of the cluster, and the worker's configuration.

use std::path::Path;

use serde_json::{Value, json};

use crate::demo::{kubernetes::Server, pager::Pager, worker::INTAKE};

const PLAYBOOK: &str = "\
apiVersion: stoop.dev/v1alpha1
kind: Playbook
metadata:
  name: shell-in-container
spec:
  mode: enforce
  match:
    rules: [Terminal shell in container]
    priority: '>= Notice'
  actions:
    - delete: {gracePeriod: 1s, owners: [ReplicaSet, StatefulSet]}
    - notify: {to: [pager]}
";

pub(super) fn write(folder: &Path, cluster: &Server, pager: &Pager) -> std::io::Result<()> {
    // JSON is YAML.
    let config = json!({
        "cluster": {"name": "demo"},
        "playbooks": [folder.join("playbooks")],
        "subscriptions": {
            INTAKE: {"journal": {"path": folder.join("journal"), "listen": "127.0.0.1:0"}},
        },
        "notifiers": {"pager": {"webhook": {"url": pager.url()}}},
        "defaultNotifiers": ["pager"],
        "health": {"listen": "127.0.0.1:0"},
        "control": {"listen": "127.0.0.1:0"},
    });
    std::fs::write(folder.join("stoop.yaml"), format!("{config:#}\n"))?;
    std::fs::write(folder.join("kubeconfig"), cluster.kubeconfig())?;
    std::fs::create_dir(folder.join("playbooks"))?;
    std::fs::write(folder.join("playbooks/shell-in-container.yaml"), PLAYBOOK)
}

pub(super) fn objects() -> Vec<Value> {
    let namespaces = ["shop", "kube-system"]
        .map(|name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
    let nodes = ["node-a", "node-b"]
        .map(|name| json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}));
    let workloads = [
        workload("Deployment", "shop", "web", 2),
        workload("StatefulSet", "shop", "db", 1),
        workload("Deployment", "kube-system", "coredns", 1),
    ];
    nodes.into_iter().chain(namespaces).chain(workloads).collect()
}

fn workload(kind: &str, namespace: &str, name: &str, replicas: u32) -> Value {
    let image = format!("registry.example/{name}:1.0");
    json!({
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": name, "image": image}]},
            },
        },
    })
}
