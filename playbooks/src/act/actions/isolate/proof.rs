//! Whether a pod is isolated, judged by everything that could still let it talk: a pure decision.

use std::fmt;

use k8s_openapi::api::{core::v1::PodSpec, networking::v1::NetworkPolicy};
use serde::Deserialize;

use super::{
    plan::Order,
    quarantine::is_ours,
    restriction::Direction,
    selector::{Labels, selects},
    tier::Tier,
};

/// What is known of the cluster's network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Enforcement {
    /// It enforces NetworkPolicies, and nothing that it also obeys says otherwise.
    Known,
    /// Why it can't be told.
    Unknown(String),
}

/// A way to fall short, by the word under which a playbook accepts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum Accepted {
    Partial,
    Unproven,
}

/// A policy that lets the pod talk, and in which direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) policy: String,
    pub(super) directions: Vec<Direction>,
}

/// One reason why a pod can't be called isolated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shortfall {
    /// Nothing is cut off.
    Ineffective(String),
    /// Policies allow what ours cuts off: policies add up.
    Partial(Vec<Opening>),
    /// Nobody knows whether policies are enforced, or whether these are all that count.
    Unproven(String),
}

impl Shortfall {
    fn is(&self, accepted: Accepted) -> bool {
        matches!(
            (self, accepted),
            (Shortfall::Partial(_), Accepted::Partial)
                | (Shortfall::Unproven(_), Accepted::Unproven)
        )
    }
}

/// What a deny of ours in a stronger tier is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Denial {
    /// There is none.
    None,
    /// It is enforced: what anybody allows in the directions that the tier settles is moot.
    Enforced(Tier),
    /// It is in place, and nobody is known to enforce it: why.
    Moot(String),
}

impl Denial {
    fn settles(&self, direction: Direction) -> bool {
        matches!(self, Denial::Enforced(tier) if tier.settles(direction))
    }
}

/// What is left to doubt; `Effective` where nothing is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proof {
    shortfalls: Vec<Shortfall>,
    /// Why a deny that was asked for doesn't make up for them.
    unaided: Option<String>,
}

impl Proof {
    pub(super) fn is_effective(&self) -> bool {
        self.shortfalls.is_empty()
    }

    /// True where the playbook has accepted everything that it falls short of.
    pub(super) fn is_enough(&self, accept: &[Accepted]) -> bool {
        self.shortfalls.iter().all(|shortfall| accept.iter().any(|word| shortfall.is(*word)))
    }
}

/// What is judged.
pub(super) struct Evidence<'a> {
    pub(super) spec: Option<&'a PodSpec>,
    pub(super) uid: &'a str,
    pub(super) labels: &'a Labels,
    /// All of the namespace, ours among them.
    pub(super) policies: &'a [NetworkPolicy],
    pub(super) enforcement: &'a Enforcement,
    pub(super) denial: &'a Denial,
}

/// Judges whether what was ordered holds.
pub(super) fn prove(order: &Order, evidence: &Evidence<'_>) -> Proof {
    let unaided = match evidence.denial {
        Denial::Moot(why) => Some(why.clone()),
        Denial::None | Denial::Enforced(_) => None,
    };
    if evidence.spec.is_some_and(on_host_network) {
        let why = "the pod is on its node's network, which no NetworkPolicy reaches";
        return Proof { shortfalls: vec![Shortfall::Ineffective(why.into())], unaided };
    }
    let name = order.reach.policy_name();
    let selected = |policy: &NetworkPolicy| {
        let selector = policy.spec.as_ref().map(|spec| spec.pod_selector.clone());
        selector
            .map_or(Ok(false), |selector| selects(&selector.unwrap_or_default(), evidence.labels))
    };
    let holds = |policy: &&NetworkPolicy| {
        policy.metadata.name.as_deref() == Some(&name)
            && is_ours(&policy.metadata, evidence.uid)
            && selected(policy) == Ok(true)
            && policy.spec.as_ref().is_some_and(|spec| order.restriction.is_kept_by(spec))
    };
    if !evidence.policies.iter().any(|policy| holds(&policy)) {
        let why = format!("the NetworkPolicy {name} is not there or doesn't hold the pod");
        return Proof { shortfalls: vec![Shortfall::Ineffective(why)], unaided };
    }

    let mut shortfalls = Vec::new();
    let mut openings = Vec::new();
    for policy in evidence.policies {
        let mut directions = order.restriction.opened_by(policy);
        directions.retain(|direction| !evidence.denial.settles(*direction));
        let name = policy.metadata.name.clone().unwrap_or_default();
        match selected(policy) {
            _ if directions.is_empty() => {}
            Ok(false) => {}
            Ok(true) => openings.push(Opening { policy: name, directions }),
            Err(error) => shortfalls.push(Shortfall::Unproven(format!(
                "whether the NetworkPolicy {name} selects the pod can't be told: {error}"
            ))),
        }
    }
    if !openings.is_empty() {
        shortfalls.insert(0, Shortfall::Partial(openings));
    }
    let cut = order.restriction.directions();
    let rests_on_policies = cut.iter().any(|direction| !evidence.denial.settles(*direction));
    if let (true, Enforcement::Unknown(why)) = (rests_on_policies, evidence.enforcement) {
        shortfalls.push(Shortfall::Unproven(why.clone()));
    }
    Proof { shortfalls, unaided }
}

/// True for a pod that shares its node's network: whatever a policy says of it, it says in vain.
pub(super) fn on_host_network(spec: &PodSpec) -> bool {
    spec.host_network == Some(true)
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_effective() {
            return f.write_str("Effective");
        }
        for (at, shortfall) in self.shortfalls.iter().enumerate() {
            if at > 0 {
                f.write_str("; ")?;
            }
            shortfall.fmt(f)?;
        }
        match &self.unaided {
            Some(why) => write!(f, "; no deny makes up for that: {why}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shortfall::Ineffective(why) => write!(f, "Ineffective: {why}"),
            Shortfall::Unproven(why) => write!(f, "Unproven: {why}"),
            Shortfall::Partial(openings) => {
                f.write_str("Partial: ")?;
                for (at, Opening { policy, directions }) in openings.iter().enumerate() {
                    let directions: Vec<_> = directions.iter().map(ToString::to_string).collect();
                    let comma = if at > 0 { ", " } else { "" };
                    write!(
                        f,
                        "{comma}the NetworkPolicy {policy} still allows {}",
                        directions.join(" and ")
                    )?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests;
