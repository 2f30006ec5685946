//! What an isolation is planned and proven by: the live pod, and everything that selects it.

use std::fmt;

use k8s_openapi::{
    api::{core::v1::Pod, networking::v1::NetworkPolicy},
    apimachinery::pkg::apis::meta::v1::{LabelSelector, OwnerReference},
};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};

use super::selector::{Labels, of_map};
use crate::act::{
    api::{Api, ApiError, Class, Permission},
    outcome::Failure,
    target::{Verified, controller},
};

/// Everything that was read.
#[derive(Debug, Clone, Default)]
pub(super) struct Scene {
    pub(super) pod: Pod,
    /// All of the namespace, ours among them.
    pub(super) policies: Vec<NetworkPolicy>,
    /// Ours that denies, or what else has its name.
    pub(super) denial: Option<DynamicObject>,
    /// What the pod has to be taken out of, beside policies.
    pub(super) holders: Vec<Holder>,
    /// The owner whose selector can't be read, for want of knowing its kind.
    pub(super) unknown_owner: Option<String>,
}

/// A Service, or the pod's owner.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) selector: LabelSelector,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

impl Scene {
    /// The pod's labels.
    pub(super) fn labels(&self) -> Labels {
        self.pod.metadata.labels.clone().unwrap_or_default()
    }
}

/// What was found in the target's place.
#[derive(Debug)]
pub(super) enum Sight {
    /// The target, and what is around it.
    Scene(Box<Scene>),
    /// The target is gone, and why that is known.
    Gone(String),
}

/// Which workloads' selectors can be read: kind, group, version, plural.
const WORKLOADS: [(&str, &str, &str, &str); 5] = [
    ("ReplicaSet", "apps", "v1", "replicasets"),
    ("StatefulSet", "apps", "v1", "statefulsets"),
    ("DaemonSet", "apps", "v1", "daemonsets"),
    ("Job", "batch", "v1", "jobs"),
    ("ReplicationController", "", "v1", "replicationcontrollers"),
];

/// The rights that reading a scene takes, beyond the pod.
pub(super) fn permissions(holders: bool) -> Vec<Permission> {
    let mut all = vec![Permission::new("networking.k8s.io", "networkpolicies", "list")];
    if holders {
        all.push(Permission::new("", "services", "list"));
        let workloads = WORKLOADS.iter();
        all.extend(workloads.map(|(_, group, _, plural)| Permission::new(group, plural, "get")));
    }
    all
}

/// Reads it live, the pod first; `holders` says whether Services and the owner matter.
///
/// The policy that denies is not read here: its kind need not be served.
pub(super) async fn look(api: &Api, target: &Verified, holders: bool) -> Result<Sight, Failure> {
    let Some(pod) = api.pod(target.namespace(), target.name()).await? else {
        return Ok(Sight::Gone(format!("{} is gone", target.object())));
    };
    if pod.metadata.uid.as_deref() != Some(target.uid().as_str()) {
        let why = format!("{} is gone, its name belongs to another pod now", target.object());
        return Ok(Sight::Gone(why));
    }
    let policies = api.policies(target.namespace()).await?;
    let mut scene = Scene { pod, policies, ..Scene::default() };
    if holders {
        for service in api.services(target.namespace()).await? {
            let selector = service.spec.as_ref().and_then(|spec| of_map(spec.selector.as_ref()));
            scene.holders.extend(selector.map(|selector| Holder {
                kind: "Service".into(),
                name: service.metadata.name.unwrap_or_default(),
                selector,
            }));
        }
        if let Some(owner) = controller(&scene.pod).cloned() {
            match workload(api, target.namespace(), &owner).await? {
                Some(selector) => scene.holders.extend(selector.map(|selector| Holder {
                    kind: owner.kind,
                    name: owner.name,
                    selector,
                })),
                None => scene.unknown_owner = Some(format!("{} {}", owner.kind, owner.name)),
            }
        }
    }
    Ok(Sight::Scene(Box::new(scene)))
}

/// The owner's selector, `Some(None)` where the owner is gone; `None` for a kind whose selector isn't known.
async fn workload(
    api: &Api,
    namespace: &str,
    owner: &OwnerReference,
) -> Result<Option<Option<LabelSelector>>, ApiError> {
    let known = WORKLOADS.iter().find(|(kind, group, version, _)| {
        let of =
            if group.is_empty() { (*version).to_owned() } else { format!("{group}/{version}") };
        owner.kind == *kind && owner.api_version == of
    });
    let Some((kind, group, version, plural)) = known else { return Ok(None) };
    let resource =
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
    let read = api
        .call(|client| async move {
            kube::Api::<DynamicObject>::namespaced_with(client, namespace, &resource)
                .get(&owner.name)
                .await
        })
        .await;
    let object = match read {
        Ok(object) if object.metadata.uid.as_deref() == Some(owner.uid.as_str()) => object,
        Ok(_) => return Ok(Some(None)),
        Err(error) if *error.class() == Class::NotFound => return Ok(Some(None)),
        Err(error) => return Err(error),
    };
    let selector = object.data.pointer("/spec/selector").cloned().unwrap_or_default();
    let read = match *kind {
        "ReplicationController" => of_map(serde_json::from_value(selector).ok().as_ref()),
        _ => serde_json::from_value(selector).ok(),
    };
    Ok(Some(read))
}
