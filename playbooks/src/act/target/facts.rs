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
    act::{
        api::{Api, ApiError, Class, Permission},
        outcome::Failure,
    },
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
    pub(super) unread: Unread,
}

/// What was asked for and could not be read, and why: nobody may take that for a no.
#[derive(Debug, Default)]
pub(super) struct Unread {
    namespace: Option<Failure>,
    owner_chain: Option<Failure>,
}

impl Unread {
    /// As far as it is needed.
    pub(super) fn of(&self, needs: Needs) -> impl Iterator<Item = &Failure> {
        let namespace = self.namespace.iter().filter(move |_| needs.namespace);
        namespace.chain(self.owner_chain.iter().filter(move |_| needs.owner_chain))
    }
}

/// Gathers the facts, each for itself: what one may not read keeps no other from being known.
pub(super) async fn gather(api: &Api, pod: &Pod, needs: Needs) -> Gathered {
    let mut gathered = Gathered {
        facts: Facts {
            namespace: pod.metadata.namespace.clone(),
            pod_labels: labels_before(pod),
            images: images(pod),
            ..Facts::default()
        },
        ..Gathered::default()
    };
    let owner = owner_before(pod);
    gathered.facts.owners.extend(owner.as_ref().map(named));
    let Some(namespace) = pod.metadata.namespace.as_deref() else { return gathered };
    let (around, above) = tokio::join!(
        async {
            match needs.namespace {
                true => Some(read_namespace(api, namespace).await),
                false => None,
            }
        },
        async {
            match &owner {
                Some(owner) if needs.owner_chain => Some(owner_above(api, namespace, owner).await),
                _ => None,
            }
        },
    );
    match around {
        Some(Ok(metadata)) => {
            gathered.facts.namespace_labels = metadata.labels.unwrap_or_default();
            gathered.namespace_annotations = Some(metadata.annotations.unwrap_or_default());
        }
        Some(Err(failure)) => gathered.unread.namespace = Some(failure),
        None => {}
    }
    match above {
        Some(Ok(above)) => gathered.facts.owners.extend(above.as_ref().map(named)),
        Some(Err(error)) => gathered.unread.owner_chain = Some(error.into()),
        None => {}
    }
    gathered
}

async fn read_namespace(api: &Api, name: &str) -> Result<ObjectMeta, Failure> {
    let read = api.call(|client| async move {
        let object = kube::Api::<Namespace>::all(client).get_metadata(name).await?;
        Ok(object.metadata)
    });
    match read.await {
        Err(error) if *error.class() == Class::NotFound => {
            Err(Failure::transient(format!("the pod's namespace is being deleted: {error}")))
        }
        read => Ok(read?),
    }
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
    namespace: &str,
    owner: &OwnerReference,
) -> Result<Option<OwnerReference>, ApiError> {
    let name = &owner.name;
    let read = match (owner.api_version.as_str(), owner.kind.as_str()) {
        ("apps/v1", "ReplicaSet") => {
            api.call(|client| async move {
                let object = kube::Api::<ReplicaSet>::namespaced(client, namespace)
                    .get_metadata(name)
                    .await?;
                Ok(object.metadata)
            })
            .await
        }
        ("batch/v1", "Job") => {
            api.call(|client| async move {
                let object =
                    kube::Api::<Job>::namespaced(client, namespace).get_metadata(name).await?;
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
