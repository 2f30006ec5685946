//! What playbooks and guardrails can ask about a verified pod, read only as far as they ask.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::ReplicaSet,
        batch::v1::Job,
        core::v1::{Namespace, Pod},
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};

use super::kept::{labels_before, owner_before};
use crate::{
    act::api::{Api, ApiError, Class, Permission},
    decide::{Facts, Owner},
};

/// Which facts cost a read of their own. None by default: the pod itself tells the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// The namespace's labels and annotations.
    pub namespace: bool,
    /// The owner's owner: a ReplicaSet's Deployment, a Job's CronJob.
    pub owner_chain: bool,
    /// The node that a host event names, where it names one.
    pub node: bool,
}

impl Needs {
    /// What either of the two needs.
    #[must_use]
    pub fn and(self, other: Needs) -> Needs {
        Needs {
            namespace: self.namespace || other.namespace,
            owner_chain: self.owner_chain || other.owner_chain,
            node: self.node || other.node,
        }
    }
}

/// The rights that reading facts takes.
pub(in crate::act) fn permissions(needs: Needs) -> Vec<Permission> {
    let mut all = Vec::new();
    if needs.namespace {
        all.push(Permission::new("", "namespaces", "get"));
    }
    if needs.owner_chain {
        all.push(Permission::new("apps", "replicasets", "get"));
        all.push(Permission::new("batch", "jobs", "get"));
    }
    if needs.node {
        all.push(Permission::new("", "nodes", "get"));
    }
    all
}

/// What was read of and around a pod.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) facts: Facts,
    /// Where the namespace was read.
    pub(super) namespace_annotations: Option<BTreeMap<String, String>>,
}

/// Gathers the facts.
pub(super) async fn gather(api: &Api, pod: &Pod, needs: Needs) -> Result<Gathered, ApiError> {
    let namespace = pod.metadata.namespace.clone();
    let mut facts = Facts {
        namespace: namespace.clone(),
        pod_labels: labels_before(pod),
        images: images(pod),
        ..Facts::default()
    };
    let Some(namespace) = namespace else { return Ok(Gathered { facts, ..Gathered::default() }) };
    let mut namespace_annotations = None;
    if needs.namespace {
        let object = api
            .call(|client| async move {
                kube::Api::<Namespace>::all(client).get_metadata(&namespace).await
            })
            .await?;
        facts.namespace_labels = object.metadata.labels.unwrap_or_default();
        namespace_annotations = Some(object.metadata.annotations.unwrap_or_default());
    }
    if let Some(owner) = owner_before(pod) {
        facts.owners.push(named(&owner));
        if needs.owner_chain
            && let Some(above) = owner_above(api, pod, &owner).await?
        {
            facts.owners.push(named(&above));
        }
    }
    Ok(Gathered { facts, namespace_annotations })
}

fn images(pod: &Pod) -> Vec<String> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let init = spec.init_containers.iter().flatten();
    let ephemeral =
        spec.ephemeral_containers.iter().flatten().filter_map(|container| container.image.clone());
    spec.containers
        .iter()
        .chain(init)
        .filter_map(|container| container.image.clone())
        .chain(ephemeral)
        .collect()
}

fn named(owner: &OwnerReference) -> Owner {
    Owner { kind: owner.kind.clone(), name: owner.name.clone() }
}

/// The controller of a ReplicaSet or Job; other kinds have none that users write playbooks for.
async fn owner_above(
    api: &Api,
    pod: &Pod,
    owner: &OwnerReference,
) -> Result<Option<OwnerReference>, ApiError> {
    let Some(namespace) = pod.metadata.namespace.clone() else { return Ok(None) };
    let name = owner.name.clone();
    let read = match (owner.api_version.as_str(), owner.kind.as_str()) {
        ("apps/v1", "ReplicaSet") => {
            api.call(|client| async move {
                let object = kube::Api::<ReplicaSet>::namespaced(client, &namespace)
                    .get_metadata(&name)
                    .await?;
                Ok(object.metadata)
            })
            .await
        }
        ("batch/v1", "Job") => {
            api.call(|client| async move {
                let object =
                    kube::Api::<Job>::namespaced(client, &namespace).get_metadata(&name).await?;
                Ok(object.metadata)
            })
            .await
        }
        _ => return Ok(None),
    };
    match read {
        Ok(meta) => Ok(controller_of(meta, &owner.uid)),
        // Deleted meanwhile, its pods about to follow.
        Err(error) if *error.class() == Class::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The controller, if the object is still the one that the reference meant.
fn controller_of(meta: ObjectMeta, uid: &str) -> Option<OwnerReference> {
    if meta.uid.as_deref() != Some(uid) {
        return None;
    }
    meta.owner_references?.into_iter().find(|owner| owner.controller == Some(true))
}
