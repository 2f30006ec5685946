//! From a claim to a verified target: the only place where a [`Verified`] is made.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    Gone, Needs, Verification, Verified, facts,
    judge::{Evidence, Host, Kind},
    lookup::{Found, find},
    node::verify_node,
};
use crate::{
    act::{
        api::Api,
        object::{ClusterId, ObjectRef},
        outcome::Failure,
    },
    decide::{Claim, ClaimSource},
};

/// What is to be identified, and by whom.
#[derive(Debug)]
pub(in crate::act) struct Identify<'a> {
    pub(in crate::act) claim: &'a Claim,
    /// When it happened.
    pub(in crate::act) time: Timestamp,
    /// `k8s.pod.sandbox_id`
    pub(in crate::act) sandbox: Option<&'a str>,
    /// Our clock.
    pub(in crate::act) now: Timestamp,
    pub(in crate::act) cluster: Option<&'a ClusterId>,
    pub(in crate::act) needs: Needs,
}

/// What a claim comes to whatever the API server says; `None` where that has to be asked.
pub fn foresee(claim: &Claim, needs: Needs) -> Option<Verification> {
    let refused = |why: &str| Some(Verification::Refused(why.to_owned()));
    match &claim.source {
        ClaimSource::Host if needs.node && claim.node.is_some() => None,
        ClaimSource::Host if needs.node => refused("the host event names no host"),
        ClaimSource::Host | ClaimSource::None => Some(Verification::NoTarget),
        ClaimSource::Audit { resource } if resource.as_deref() != Some("pods") => {
            Some(Verification::NoTarget)
        }
        ClaimSource::Audit { .. } if claim.namespace.is_none() || claim.pod.is_none() => {
            refused("the audit event names no namespace or no pod")
        }
        ClaimSource::Container if claim.pod_uid.is_none() && claim.container_id.is_none() => {
            refused("the event carries neither container.id nor k8s.pod.uid: let Falco append them")
        }
        ClaimSource::Audit { .. } | ClaimSource::Container => None,
    }
}

/// Identifies the pod, or the node that a host event names, by live reads: nothing is cached, the first request goes out at once.
///
/// A failure is never an answer: 403 or an outage must not look like "gone". Of what is asked about a pod, the pod itself
/// knows what could not be read.
pub(in crate::act) async fn verify(
    api: &Api,
    identify: Identify<'_>,
) -> Result<Verification, Failure> {
    let claim = identify.claim;
    // Before any request: a bare name proves nothing, whatever the API server says about it.
    if let Some(known) = foresee(claim, identify.needs) {
        return Ok(known);
    }
    if let (ClaimSource::Host, Some(node)) = (&claim.source, &claim.node) {
        return verify_node(api, node, &identify).await;
    }
    let kind = match &claim.source {
        // What is about no pod has its answer.
        ClaimSource::Audit { .. } | ClaimSource::Host | ClaimSource::None => Kind::Audit,
        ClaimSource::Container => Kind::Container {
            uid: claim.pod_uid.as_deref(),
            container: claim.container_id.as_deref(),
            sandbox: identify.sandbox,
            host: claim.node.as_deref().map(|name| Host { name, is_node: None }),
        },
    };
    let evidence = Evidence { kind, time: identify.time, now: identify.now };
    Ok(match find(api, claim, &evidence).await? {
        Found::Pod(pod) => {
            let gathered = facts::gather(api, &pod, identify.needs).await;
            match Verified::new(identify.cluster.cloned(), *pod, gathered) {
                Some(verified) => Verification::Target(Arc::new(verified)),
                None => Verification::Refused("the API server returned a pod without a uid".into()),
            }
        }
        // What had the uid or ran the container is not made again.
        Found::Absent(why) => gone(claim, why, claim.is_lasting()),
        Found::Gone(why) => gone(claim, why, claim.is_lasting() && claim.pod_uid.is_some()),
        Found::NotYet(why) => return Err(Failure::transient(why)),
        Found::Refused(why) => Verification::Refused(why),
    })
}

/// The same pod as it was read, with what is asked about it read now; `None` where it lacks what every stored pod has.
pub(in crate::act) async fn learn(api: &Api, target: &Verified, needs: Needs) -> Option<Verified> {
    let gathered = facts::gather(api, target.pod(), needs).await;
    Verified::new(target.cluster().cloned(), target.pod().clone(), gathered)
}

fn gone(claim: &Claim, why: String, is_final: bool) -> Verification {
    let object = claim.pod.as_ref().map(|name| ObjectRef {
        kind: "Pod",
        namespace: claim.namespace.clone(),
        name: name.clone(),
    });
    Verification::Gone(Gone { object, why, is_final })
}
