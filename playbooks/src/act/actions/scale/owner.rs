//! From a verified pod to the Deployment that it belongs to.

use k8s_openapi::{api::apps::v1::ReplicaSet, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::ResourceExt as _;

use crate::act::{
    api::{Api, Place},
    outcome::{Failure, Guardrail, Outcome, SkipReason},
    target::Verified,
};

/// What the owners came to.
pub(super) enum Found {
    /// The Deployment, by the reference of the ReplicaSet that the pod belongs to.
    Deployment(OwnerReference),
    /// There is none to scale.
    Settled(Outcome),
}

/// Follows the owners, each by its uid.
pub(super) async fn find(api: &Api, target: &Verified) -> Result<Found, Failure> {
    let owner = match target.owner() {
        Some(owner) if is(owner, "ReplicaSet") => owner,
        other => return Ok(refused(target, other)),
    };
    let place = Place { namespace: Some(target.namespace()), name: &owner.name };
    let set = api.live::<ReplicaSet>(place).await?;
    let Some(set) = set.filter(|set| set.metadata.uid.as_deref() == Some(owner.uid.as_str()))
    else {
        let why = format!("the ReplicaSet {} is gone, and its pods follow", owner.name);
        return Ok(Found::Settled(Outcome::Skipped(SkipReason::Gone, why)));
    };
    let above = set.owner_references().iter().find(|above| above.controller == Some(true));
    Ok(match above {
        Some(above) if is(above, "Deployment") => Found::Deployment(above.clone()),
        Some(above) => refused(target, Some(above)),
        None => refused(target, Some(owner)),
    })
}

fn is(owner: &OwnerReference, kind: &str) -> bool {
    owner.kind == kind && owner.api_version.starts_with("apps/")
}

fn refused(target: &Verified, owner: Option<&OwnerReference>) -> Found {
    let why = match owner {
        Some(owner) => format!(
            "{} belongs to {} {}: only Deployments are scaled",
            target.object(),
            owner.kind,
            owner.name
        ),
        None => format!("{} has no owner: only Deployments are scaled", target.object()),
    };
    Found::Settled(Outcome::refused(Guardrail::OwnerKind, why))
}
