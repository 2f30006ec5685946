//! What only a real API server can show: that its answers are what the tests beside this one play.

mod budget;
mod capture;
mod definitions;
mod eviction;
mod fleet;
mod isolate;
mod nodes;
mod objects;
mod probe;
mod races;
mod responses;
mod rights;
mod roles;
mod run;
mod sinks;
mod targets;
mod tiers;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use playbooks::act::Api;
use serde_json::{Value, json};
use testbed::cluster::{Access, Cluster};

use crate::{
    fixtures::{ago, event_at},
    wire::DEADLINE,
};

/// Deletes a pod that nothing owns, as the pods made here are.
const DELETE: &str = "mode: enforce\nactions: [delete: {owners: [Standalone]}]";
const EVICT: &str = "mode: enforce\nactions: [delete: {owners: [Standalone], evict: true}]";

/// An API server without controllers: objects stay as they are written.
async fn api_server() -> &'static Access {
    Cluster::shared_api_server().await.map_err(|error| error.to_string()).expect("an API server")
}

/// The administrator's connection, set up as the worker's is.
async fn connect(access: &Access) -> Api {
    let config = access.config().await.map_err(|error| error.to_string()).expect("a configuration");
    Api::from_config(config, DEADLINE).map_err(|error| error.to_string()).expect("a connection")
}

async fn namespace(access: &Access) -> String {
    access.create_namespace("act").await.map_err(|error| error.to_string()).expect("a namespace")
}

/// A container id as a runtime would give it, in full.
fn container_id(seed: &str) -> String {
    format!("{:0<64}", seed.bytes().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// A running pod with one container.
async fn pod(access: &Access, namespace: &str, name: &str, container: &str) -> Pod {
    let id = format!("containerd://{container}");
    let pod = access.create_pod_with_status(namespace, name, &[&id]).await;
    pod.map_err(|error| error.to_string()).expect("a pod")
}

async fn pods(access: &Access, namespace: &str) -> kube::Api<Pod> {
    kube::Api::namespaced(
        access.client().await.map_err(|error| error.to_string()).expect("a client"),
        namespace,
    )
}

/// What Falco would say about this very pod, now.
fn event_about(pod: &Pod, container: Option<&str>) -> Value {
    let mut event = event_at(ago(0));
    event["hostname"] = json!(null);
    event["output_fields"] = json!({
        "container.id": container.map(|id| &id[..12]),
        "k8s.ns.name": pod.namespace(),
        "k8s.pod.name": pod.name_any(),
        "k8s.pod.uid": pod.uid()
    });
    event
}

/// The uid of the pod of this name, if there is one that is not ending.
async fn alive(pods: &kube::Api<Pod>, name: &str) -> Option<String> {
    let pod = pods.get_opt(name).await.expect("a read")?;
    pod.metadata.deletion_timestamp.is_none().then(|| pod.uid().expect("a uid"))
}
