//! One patch on a pod's labels and annotations, bound to the pod as it was read.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::{Api, ApiError};
use crate::act::object::Uid;

/// What is to change: a value, or `None` for a key to take away.
type Changes = BTreeMap<String, Option<String>>;

/// A change of a pod's labels and annotations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::act) struct Relabel {
    /// The pod as it was read: one that has changed since is a conflict.
    pub(in crate::act) resource_version: String,
    pub(in crate::act) labels: Changes,
    pub(in crate::act) annotations: Changes,
}

impl Api {
    /// Changes the labels and annotations of the pod with this uid, and of no other of its name.
    ///
    /// The server answers 422 for another uid and 409 for another version.
    pub(in crate::act) async fn relabel_pod(
        &self,
        (namespace, name): (&str, &str),
        uid: &Uid,
        change: &Relabel,
        dry_run: bool,
    ) -> Result<(), ApiError> {
        let patch = json!({"metadata": {
            "uid": uid.as_str(),
            "resourceVersion": change.resource_version,
            "labels": change.labels,
            "annotations": change.annotations,
        }});
        let params = PatchParams { dry_run, ..PatchParams::default() };
        self.call(|client| async move {
            let pods = kube::Api::<Pod>::namespaced(client, namespace);
            pods.patch_metadata(name, &params, &Patch::Merge(patch)).await.map(drop)
        })
        .await
    }
}
