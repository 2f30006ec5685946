//! The calls on pods: two ways to read, two ways to remove.

use k8s_openapi::{
    api::{core::v1::Pod, policy::v1::Eviction},
    apimachinery::pkg::apis::meta::v1::{DeleteOptions, ObjectMeta, Preconditions},
};
use kube::api::{DeleteParams, ListParams, ObjectList, PostParams};

use super::{Api, ApiError, Class};
use crate::act::{outcome::Failure, target::Verified};

/// How many pods one page of a list holds.
const PAGE: u32 = 500;

/// A grace period that can't be zero.
///
/// Zero would take the object out of the API without the kubelet's word, while the process may live on unseen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::act) struct Grace(u32);

impl Grace {
    /// The least there is.
    pub(in crate::act) const LEAST: Grace = Grace(1);

    /// `None` where `seconds` is zero.
    pub(in crate::act) fn new(seconds: u32) -> Option<Grace> {
        (seconds > 0).then_some(Grace(seconds))
    }

    /// In seconds, at least one.
    pub(in crate::act) fn seconds(self) -> u32 {
        self.0
    }
}

/// How a write is to be made.
#[derive(Debug, Clone, Copy)]
pub(in crate::act) struct Write {
    pub(in crate::act) grace: Grace,
    /// Have the server judge it and change nothing.
    pub(in crate::act) dry_run: bool,
}

impl Api {
    /// A live read; `None` where the API server says there is no such pod.
    ///
    /// The names must have been checked: they become part of the request's path.
    pub(in crate::act) async fn pod(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Pod>, ApiError> {
        let pod = self
            .call(|client| async move {
                kube::Api::<Pod>::namespaced(client, namespace).get(name).await
            })
            .await;
        match pod {
            Ok(pod) => Ok(Some(pod)),
            Err(error) if *error.class() == Class::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One page of pods of all namespaces; the token asks for the next one.
    pub(in crate::act) async fn pods(
        &self,
        selector: &PodSelector<'_>,
        token: Option<String>,
    ) -> Result<ObjectList<Pod>, ApiError> {
        let mut params = ListParams::default().limit(selector.limit.unwrap_or(PAGE));
        params.continue_token = token;
        params.field_selector = selector.fields.clone();
        params.label_selector = selector.labels.clone();
        self.call(|client| async move {
            match selector.namespace {
                Some(namespace) => {
                    kube::Api::<Pod>::namespaced(client, namespace).list(&params).await
                }
                None => kube::Api::<Pod>::all(client).list(&params).await,
            }
        })
        .await
    }

    /// Deletes the verified pod, and no other of its name.
    pub(in crate::act) async fn delete_pod(
        &self,
        target: &Verified,
        write: Write,
    ) -> Result<(), ApiError> {
        let params = DeleteParams {
            dry_run: write.dry_run,
            grace_period_seconds: Some(write.grace.seconds()),
            preconditions: Some(kube::api::Preconditions {
                uid: Some(target.uid().to_string()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        let (namespace, name) = (target.namespace(), target.name());
        self.call(|client| async move {
            kube::Api::<Pod>::namespaced(client, namespace).delete(name, &params).await.map(drop)
        })
        .await
    }

    /// Evicts the verified pod, and no other of its name.
    ///
    /// Not by kube's `Api::evict`: it puts the options under a key that the API doesn't have, so that the
    /// precondition would be dropped in silence.
    pub(in crate::act) async fn evict_pod(
        &self,
        target: &Verified,
        write: Write,
    ) -> Result<(), ApiError> {
        let (namespace, name) = (target.namespace(), target.name());
        self.evict(namespace, name, target.uid().as_str(), write).await
    }

    /// Evicts the very pod that was listed, and no other of its name.
    pub(in crate::act) async fn evict_listed(
        &self,
        pod: &Pod,
        write: Write,
    ) -> Result<(), ApiError> {
        let (Some(namespace), Some(name), Some(uid)) =
            (&pod.metadata.namespace, &pod.metadata.name, &pod.metadata.uid)
        else {
            return Err(Failure::permanent("the API server listed a pod without a uid").into());
        };
        self.evict(namespace, name, uid, write).await
    }

    async fn evict(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
        write: Write,
    ) -> Result<(), ApiError> {
        let eviction = Eviction {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            delete_options: Some(DeleteOptions {
                dry_run: write.dry_run.then(|| vec!["All".to_owned()]),
                grace_period_seconds: Some(i64::from(write.grace.seconds())),
                preconditions: Some(Preconditions {
                    uid: Some(uid.to_owned()),
                    resource_version: None,
                }),
                ..DeleteOptions::default()
            }),
        };
        let params = PostParams { dry_run: write.dry_run, ..PostParams::default() };
        self.call(|client| async move {
            kube::Api::<Pod>::namespaced(client, namespace)
                .create_subresource::<_, serde_json::Value>("eviction", name, &params, &eviction)
                .await
                .map(drop)
        })
        .await
    }
}

/// Which pods to list.
#[derive(Debug, Default)]
pub(in crate::act) struct PodSelector<'a> {
    pub(in crate::act) namespace: Option<&'a str>,
    pub(in crate::act) fields: Option<String>,
    pub(in crate::act) labels: Option<String>,
    pub(in crate::act) limit: Option<u32>,
}
