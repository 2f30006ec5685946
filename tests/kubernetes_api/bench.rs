//! Where a behaviour is tried out: a client, a namespace of its own, and the objects most behaviours need.

use std::time::Duration;

use k8s_openapi::{NamespaceResourceScope, api::core::v1::Pod};
use kube::{
    Client, Config, Resource,
    api::{Api, DeleteParams, PostParams, Preconditions},
    core::Status,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use stoop::demo::kubernetes::Server;

/// Longer than any cluster takes for anything here; only a broken one gets there.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) struct Bench {
    pub(crate) client: Client,
    pub(crate) config: Config,
    pub(crate) namespace: String,
    /// Kept so that it runs as long as the behaviour does.
    _server: Option<Server>,
}

impl Bench {
    pub(crate) async fn in_memory() -> Bench {
        let server = Server::start().await.expect("a loopback port");
        let create = |object| server.create(object).expect("created");
        create(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-a"}}));
        create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "contract"}}));
        Bench::new(server.config(), "contract".into(), Some(server))
    }

    /// On the cluster that this binary's tests share.
    #[cfg(feature = "servers")]
    pub(crate) async fn real() -> Bench {
        let cluster = testbed::cluster::Cluster::shared().await.expect("a cluster");
        let namespace = cluster.create_namespace("contract").await.expect("a namespace");
        let mut config = cluster.config().await.expect("a configuration");
        // kube's own retries would wait until a 429 is over.
        config.default_retry = false;
        Bench::new(config, namespace, None)
    }

    fn new(config: Config, namespace: String, server: Option<Server>) -> Bench {
        let client = Client::try_from(config.clone()).expect("a client");
        Bench { client, config, namespace, _server: server }
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) fn pods(&self) -> Api<Pod> {
        self.api()
    }

    pub(crate) async fn create<K>(&self, json: Value) -> K
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + Serialize,
        K: DeserializeOwned,
        K::DynamicType: Default,
    {
        let made = self.api::<K>().create(&PostParams::default(), &object(json)).await;
        made.expect("the object is created")
    }

    /// A pod that no scheduler looks at: it stays as it is.
    pub(crate) async fn unscheduled(&self, name: &str) -> Pod {
        let mut pod = pod(name);
        pod["spec"]["schedulerName"] = "none".into();
        self.create(pod).await
    }

    /// A pod on a node that doesn't exist: nobody ends it when it is deleted.
    pub(crate) async fn bound(&self, name: &str) -> Pod {
        let mut pod = pod(name);
        pod["spec"]["nodeName"] = format!("ghost-of-{}", self.namespace).into();
        self.create(pod).await
    }

    /// Pods of one Deployment, once they are ready.
    pub(crate) async fn deployed(&self, name: &str, replicas: usize) -> Vec<Pod> {
        self.create::<k8s_openapi::api::apps::v1::Deployment>(workload(name, replicas)).await;
        let pods = self.pods();
        eventually("every pod is ready", async || {
            let ready: Vec<Pod> =
                labelled(&pods, name).await.into_iter().filter(is_ready).collect();
            (ready.len() == replicas).then_some(ready)
        })
        .await
    }
}

pub(crate) fn pod(name: &str) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": "registry.example/app:1"}]},
    })
}

/// The body of a Deployment; a StatefulSet's is nearly the same.
pub(crate) fn workload(name: &str, replicas: usize) -> Value {
    let labels = json!({"app": name});
    json!({
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod(name)["spec"]},
        },
    })
}

pub(crate) fn object<K: DeserializeOwned>(json: Value) -> K {
    serde_json::from_value(json).expect("the object's shape")
}

pub(crate) async fn labelled(pods: &Api<Pod>, app: &str) -> Vec<Pod> {
    let with_label = kube::api::ListParams::default().labels(&format!("app={app}"));
    pods.list(&with_label).await.expect("a list").items
}

/// Ready, and running: a hollow kubelet may report the one before the other.
fn is_ready(pod: &Pod) -> bool {
    let Some(status) = &pod.status else { return false };
    let mut conditions = status.conditions.iter().flatten();
    pod.metadata.deletion_timestamp.is_none()
        && status.phase.as_deref() == Some("Running")
        && conditions.any(|it| it.type_ == "Ready" && it.status == "True")
}

pub(crate) fn uid<K: Resource>(object: &K) -> String {
    object.meta().uid.clone().expect("a uid")
}

pub(crate) fn name<K: Resource>(object: &K) -> String {
    object.meta().name.clone().expect("a name")
}

pub(crate) fn resource_version<K: Resource>(object: &K) -> String {
    object.meta().resource_version.clone().expect("a resource version")
}

/// A uid that no object has.
pub(crate) fn foreign_uid() -> String {
    "00000000-0000-4000-8000-000000000000".into()
}

pub(crate) fn only_uid(uid: &str) -> DeleteParams {
    let preconditions = Preconditions { uid: Some(uid.into()), resource_version: None };
    DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() }
}

/// The `Status` that a request was refused with.
pub(crate) fn refusal<T: std::fmt::Debug>(answer: kube::Result<T>) -> Status {
    match answer.expect_err("the request is refused") {
        kube::Error::Api(status) => *status,
        other => panic!("not an answer of the API: {other}"),
    }
}

/// Checks a refusal's code, reason, and the object it names.
#[track_caller]
pub(crate) fn assert_refusal(status: &Status, code: u16, reason: &str, kind: &str, name: &str) {
    let details = status.details.as_ref().expect("details");
    let found = (status.code, status.reason.as_str(), details.kind.as_str(), details.name.as_str());
    assert_eq!(found, (code, reason, kind, name), "{status:?}");
    assert!(status.is_failure() && !status.message.is_empty(), "{status:?}");
}

/// Waits until the condition holds and gives back what it found.
pub(crate) async fn eventually<T>(what: &str, condition: impl AsyncFn() -> Option<T>) -> T {
    let probe = async || condition().await.ok_or_else(|| "it does not".to_owned());
    testbed::until(what, PATIENCE, probe).await.expect("it comes about")
}
