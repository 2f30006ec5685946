//! A cluster that keeps Responses, apart from the one of the other tests: the definition holds for all that is in a cluster.

use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams},
};
use playbooks::decide::yaml;
use serde_json::{Value, json};
use testbed::cluster::{Access, Cluster, Size};
use tokio::sync::OnceCell;

use crate::worker::{Desk, PATIENCE};

/// With one to spare, for a playbook that takes a node out of use.
const NODES: usize = 2;

/// The cluster that all seeds share.
pub async fn shared() -> &'static Access {
    static SHARED: OnceCell<Cluster> = OnceCell::const_new();
    let start = async || {
        let cluster = Cluster::start(Size::Nodes(NODES)).await.unwrap();
        let desk = Desk::empty(cluster.kubeconfig());
        apply(&cluster, &desk.must(&["crds"]).await).await;
        desk.file("stoop.yaml", "");
        let served = testbed::until("Responses are served", PATIENCE, async || {
            match desk.call(&["responses", "list"]).await {
                (0, ..) => Ok(()),
                (_, _, err) => Err(err),
            }
        });
        served.await.unwrap();
        cluster
    };
    SHARED.get_or_init(start).await
}

/// As `kubectl apply` of what a command has printed.
pub async fn apply(access: &Access, printed: &str) {
    let client = access.client().await.unwrap();
    for document in yaml::parse_all("printed", printed).unwrap() {
        apply_one(&client, &document.value).await;
    }
}

async fn apply_one(client: &Client, document: &Value) {
    let text = |key: &str| document[key].as_str().unwrap_or_default();
    let (group, version) = text("apiVersion").split_once('/').unwrap_or(("", text("apiVersion")));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, text("kind")));
    let metadata = &document["metadata"];
    let api: Api<DynamicObject> = match metadata["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let name = metadata["name"].as_str().unwrap();
    let params = PatchParams::apply("test").force();
    api.patch(name, &params, &Patch::Apply(document)).await.unwrap();
}

pub async fn create_account(access: &Access, namespace: &str, name: &str) {
    let accounts = Api::<ServiceAccount>::namespaced(access.client().await.unwrap(), namespace);
    let account = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    accounts.create(&PostParams::default(), &account).await.unwrap();
}

pub async fn annotate_namespace(access: &Access, name: &str, key: &str, value: &str) {
    let namespaces = Api::<Namespace>::all(access.client().await.unwrap());
    let patch = json!({"metadata": {"annotations": {key: value}}});
    namespaces.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

pub async fn pods(access: &Access, namespace: &str) -> Api<Pod> {
    Api::namespaced(access.client().await.unwrap(), namespace)
}

/// Whether this very pod is there, and not on its way out.
pub async fn is_alive(access: &Access, pod: &Pod) -> bool {
    let pods = pods(access, &pod.namespace().unwrap()).await;
    let now = pods.get_opt(&pod.name_any()).await.unwrap();
    now.is_some_and(|now| now.uid() == pod.uid() && now.metadata.deletion_timestamp.is_none())
}

pub async fn gone(access: &Access, pod: &Pod) {
    let (namespace, uid) = (pod.namespace().unwrap(), pod.uid().unwrap());
    access.pod_gone(&namespace, &pod.name_any(), &uid).await.unwrap();
}
