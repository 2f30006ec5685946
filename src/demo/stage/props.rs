//! What the story finds in place: the objects of the cluster, the worker's configuration and its playbooks.

use std::path::Path;

use serde_json::{Value, json};

use crate::demo::{kubernetes::Server, pager::Pager, worker::INTAKE};

/// stoop's own namespace.
pub(super) const HOME: &str = "stoop";

/// Where stoop writes down what it does.
pub(super) const NOTES: &str = "/apis/stoop.dev/v1alpha1/namespaces/stoop/";

/// Below the stage's folder.
pub(super) const EVIDENCE: &str = "evidence";

const PLAYBOOKS: &str = include_str!("playbooks.yaml");

pub(super) fn write(folder: &Path, cluster: &Server, pager: &Pager) -> std::io::Result<()> {
    let evidence = folder.join(EVIDENCE);
    std::fs::create_dir(&evidence)?;
    // JSON is YAML.
    let config = json!({
        "cluster": {"name": "demo"},
        "playbooks": [folder.join("playbooks.yaml")],
        "subscriptions": {
            INTAKE: {"journal": {"path": folder.join("journal"), "listen": "127.0.0.1:0"}},
        },
        "notifiers": {"pager": {"webhook": {"url": pager.url()}}},
        "defaultNotifiers": ["pager"],
        "evidence": {"url": format!("file://{}", evidence.display())},
        "namespace": HOME,
        "health": {"listen": "127.0.0.1:0"},
        "control": {"listen": "127.0.0.1:0", "allow": ["approve", "revert", "redrive", "drop"]},
    });
    std::fs::write(folder.join("stoop.yaml"), format!("{config:#}\n"))?;
    std::fs::write(folder.join("kubeconfig"), cluster.kubeconfig())?;
    std::fs::write(folder.join("playbooks.yaml"), PLAYBOOKS)
}

pub(super) fn objects() -> Vec<Value> {
    let namespaces = ["shop", "kube-system"]
        .map(|name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
    let nodes = ["node-a", "node-b"]
        .map(|name| json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}));
    let workloads = [
        workload("Deployment", "shop", "cart", 2),
        workload("Deployment", "shop", "web", 2),
        workload("StatefulSet", "shop", "db", 1),
        workload("Deployment", "kube-system", "coredns", 1),
    ];
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "shop", "name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    });
    nodes.into_iter().chain(namespaces).chain(workloads).chain([service]).collect()
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
