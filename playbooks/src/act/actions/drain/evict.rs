//! One pod of the node, evicted.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;

use crate::act::{
    api::{Api, Class, Grace, Write},
    outcome::Failure,
};

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Evicted {
    /// The API server has taken the eviction.
    Asked,
    /// It went by itself.
    Gone,
    /// A PodDisruptionBudget can't spare it now.
    HeldUp,
}

/// Evicts the very pod that was listed.
///
/// The API server takes an eviction off the disruption budget before it compares uids, so that a stale one would cost a
/// living pod's budget: it is read again right before.
pub(super) async fn evict(api: &Api, pod: &Pod, dry_run: bool) -> Result<Evicted, Failure> {
    let (namespace, name) = (pod.namespace().unwrap_or_default(), pod.name_any());
    let live = api.pod(&namespace, &name).await?;
    let is_same = |live: &Pod| {
        live.metadata.uid == pod.metadata.uid && live.metadata.deletion_timestamp.is_none()
    };
    if !live.as_ref().is_some_and(is_same) {
        return Ok(Evicted::Gone);
    }
    let own = pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds);
    let grace = own.and_then(|own| u32::try_from(own).ok()).and_then(Grace::new);
    let write = Write { grace: grace.unwrap_or(Grace::LEAST), dry_run };
    let Err(error) = api.evict_listed(pod, write).await else { return Ok(Evicted::Asked) };
    match (error.class(), error.code()) {
        (Class::NotFound | Class::Conflict, _) => Ok(Evicted::Gone),
        (_, Some(429)) if error.has_cause("DisruptionBudget") => Ok(Evicted::HeldUp),
        (_, Some(500)) if error.to_string().contains("more than one PodDisruptionBudget") => {
            let help = "leave the pod to one PodDisruptionBudget";
            Err(Failure::permanent(format!("pod {namespace}/{name}: {error}; {help}")))
        }
        _ => Err(error.into()),
    }
}
