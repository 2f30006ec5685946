//! What tests make in a cluster, and wait for.

use std::time::Duration;

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Namespace, Pod, ServiceAccount},
};
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

use super::Access;
use crate::{error::Error, wait::until};

/// Long, since only a failure waits for its end, and a busy machine is none.
const PATIENCE: Duration = Duration::from_secs(90);

impl Access {
    /// A namespace of one's own: `prefix` and a random end. It has its `default` ServiceAccount, so
    /// pods can be made in it at once.
    ///
    /// # Errors
    /// If the API server refuses.
    pub async fn create_namespace(&self, prefix: &str) -> Result<String, Error> {
        let client = self.client().await?;
        let namespace = from(json!({"metadata": {"generateName": format!("{prefix}-")}}))?;
        let namespace: Namespace = create(&Api::all(client.clone()), &namespace).await?;
        let name = namespace.name_any();
        let accounts = Api::<ServiceAccount>::namespaced(client, &name);
        match create(&accounts, &from(json!({"metadata": {"name": "default"}}))?).await {
            // The controller, where there is one, may be first.
            Err(error) if !error.already_exists() => Err(error),
            _ => Ok(name),
        }
    }

    /// A Deployment whose pods are labelled `app=name`, and its pods, all running.
    ///
    /// # Errors
    /// If the API server refuses, or the pods don't run.
    pub async fn create_deployment(
        &self,
        namespace: &str,
        name: &str,
        replicas: usize,
    ) -> Result<Vec<Pod>, Error> {
        let labels = json!({"app": name});
        let deployment: Deployment = from(json!({
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [container()]},
                },
            },
        }))?;
        create(&Api::namespaced(self.client().await?, namespace), &deployment).await?;
        self.running_pods(namespace, name, replicas).await
    }

    /// The pods labelled `app=name`, once there are `count`, all of them run and none is ending.
    ///
    /// # Errors
    /// If that does not come about.
    pub async fn running_pods(
        &self,
        namespace: &str,
        name: &str,
        count: usize,
    ) -> Result<Vec<Pod>, Error> {
        let pods = self.pods(namespace).await?;
        let labelled = ListParams::default().labels(&format!("app={name}"));
        until(format!("{count} pods of {namespace}/{name} run"), PATIENCE, async || {
            let pods = pods.list(&labelled).await.map_err(|error| error.to_string())?.items;
            if pods.len() == count && pods.iter().all(is_running) {
                return Ok(pods);
            }
            Err(describe(&pods))
        })
        .await
    }

    /// Waits until the very pod with this uid is gone; another of its name is fine.
    ///
    /// # Errors
    /// If it stays.
    pub async fn pod_gone(&self, namespace: &str, name: &str, uid: &str) -> Result<(), Error> {
        let pods = self.pods(namespace).await?;
        until(format!("pod {namespace}/{name} with uid {uid} is gone"), PATIENCE, async || {
            match pods.get_opt(name).await.map_err(|error| error.to_string())? {
                Some(pod) if pod.uid().as_deref() == Some(uid) => Err(describe(&[pod])),
                _ => Ok(()),
            }
        })
        .await
    }

    /// A pod that no scheduler takes, running as far as its status says, with one container for
    /// each of `container_ids` (as in `containerd://4a5b…`). It is gone at once when deleted.
    ///
    /// # Errors
    /// If the API server refuses.
    pub async fn create_pod_with_status(
        &self,
        namespace: &str,
        name: &str,
        container_ids: &[&str],
    ) -> Result<Pod, Error> {
        let names = || (0..container_ids.len()).map(|position| format!("c{position}"));
        let containers: Vec<_> = names()
            .map(|name| {
                let mut container = container();
                container["name"] = json!(name);
                container
            })
            .collect();
        let statuses: Vec<_> = names()
            .zip(container_ids)
            .map(|(name, id)| {
                json!({
                    "name": name, "containerID": id, "image": IMAGE, "imageID": IMAGE,
                    "ready": true, "started": true, "restartCount": 0,
                    "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
                })
            })
            .collect();
        let pods = self.pods(namespace).await?;
        let pod: Pod = from(json!({
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"schedulerName": "none", "containers": containers},
        }))?;
        create(&pods, &pod).await?;
        let status = json!({"status": {"phase": "Running", "containerStatuses": statuses}});
        pods.patch_status(name, &PatchParams::default(), &Patch::Merge(status))
            .await
            .map_err(Error::api(format!("can't set the status of pod {namespace}/{name}")))
    }

    async fn pods(&self, namespace: &str) -> Result<Api<Pod>, Error> {
        Ok(Api::namespaced(self.client().await?, namespace))
    }
}

const IMAGE: &str = "docker.io/library/busybox:1.36";

fn container() -> serde_json::Value {
    json!({"name": "main", "image": IMAGE, "command": ["sleep", "infinity"]})
}

/// Runs and is not being deleted.
fn is_running(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none() && phase(pod) == "Running"
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("no phase")
}

fn describe(pods: &[Pod]) -> String {
    let describe = |pod: &Pod| {
        let ending = if pod.metadata.deletion_timestamp.is_some() { ", ending" } else { "" };
        format!("{} ({}{ending})", pod.name_any(), phase(pod))
    };
    let pods: Vec<String> = pods.iter().map(describe).collect();
    if pods.is_empty() { "no pod".to_owned() } else { pods.join(", ") }
}

async fn create<K>(api: &Api<K>, object: &K) -> Result<K, Error>
where
    K: kube::Resource
        + Clone
        + std::fmt::Debug
        + k8s_openapi::serde::Serialize
        + k8s_openapi::serde::de::DeserializeOwned,
    K::DynamicType: Default,
{
    let kind = K::kind(&K::DynamicType::default()).into_owned();
    api.create(&PostParams::default(), object)
        .await
        .map_err(Error::api(format!("can't create a {kind}")))
}

fn from<K: k8s_openapi::serde::de::DeserializeOwned>(
    object: serde_json::Value,
) -> Result<K, Error> {
    serde_json::from_value(object)
        .map_err(|error| Error::api("can't make an object")(kube::Error::SerdeError(error)))
}
