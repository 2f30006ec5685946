//! Whether the cluster's network enforces what was applied: what the configuration says of it, what it serves, what
//! its agents say. A kind of policy that is served proves nothing.

use std::sync::Arc;

use super::{
    agent,
    plan::Order,
    proof::{Denial, Enforcement},
    served::Served,
    tier::{Tier, ties},
};
use crate::act::{
    api::{Api, Rival},
    outcome::Failure,
    target::Verified,
};

/// How many ClusterNetworkPolicies are looked at.
const LOOK: u32 = 500;

/// Shared by everything that isolates in one cluster.
#[derive(Debug, Clone, Default)]
pub(in crate::act) struct Network {
    /// Whether it is known to enforce NetworkPolicies.
    pub(in crate::act) policies: bool,
    /// Whether it is known to enforce ClusterNetworkPolicies.
    pub(in crate::act) cluster_policies: bool,
    pub(super) served: Arc<Served>,
}

/// What was applied, and for whom.
pub(super) struct Question<'a> {
    pub(super) api: &'a Api,
    pub(super) target: &'a Verified,
    pub(super) order: &'a Order,
    pub(super) dry_run: bool,
}

impl Network {
    /// Whether our deny is known to be enforced.
    pub(super) async fn judge(&self, asked: &Question<'_>) -> Result<Denial, Failure> {
        let Some(tier) = asked.order.tier else { return Ok(Denial::None) };
        let cut = asked.order.restriction.directions();
        let doubt = match tier {
            Tier::Cilium if asked.dry_run => {
                Some("a dry run can't show what Cilium's agent does".to_owned())
            }
            Tier::Cilium => {
                let policy = asked.order.reach.policy_name();
                agent::holds(asked.api, asked.target, &policy, &cut, self.policies).await?
            }
            Tier::ClusterNetworkPolicy if !self.cluster_policies => Some(
                "whether this cluster's network enforces ClusterNetworkPolicies is not known: set \
                 cluster.enforcesClusterNetworkPolicies once it is"
                    .to_owned(),
            ),
            Tier::ClusterNetworkPolicy => {
                let (others, more) = asked.api.customs(tier.kind(), "", LOOK).await?;
                let mut ties = ties(&others, &asked.order.reach.policy_name());
                ties.extend(more.then(|| format!("any beyond the first {LOOK}")));
                let named = (!ties.is_empty()).then(|| ties.join(", "));
                named.map(|ties| format!("it need not come before {ties}, of the same priority"))
            }
        };
        Ok(doubt.map_or(Denial::Enforced(tier), Denial::Moot))
    }

    /// Whether NetworkPolicies are known to be enforced, and nothing else that the network obeys overrules them.
    pub(super) async fn enforcement(
        &self,
        asked: &Question<'_>,
        denial: &Denial,
    ) -> Result<Enforcement, Failure> {
        if *denial == Denial::Enforced(Tier::Cilium) {
            // Whatever anybody allows, of whatever kind, is moot.
            return Ok(Enforcement::Known);
        }
        if !self.policies {
            return Ok(Enforcement::Unknown(
                "whether this cluster's network enforces NetworkPolicies is not known: set \
                 cluster.enforcesNetworkPolicies once it is"
                    .into(),
            ));
        }
        let known = match denial {
            // Ours comes before all others of its kind: they were looked at.
            Denial::Enforced(tier) => Some(tier.kind()),
            Denial::None | Denial::Moot(_) => None,
        };
        let rivals = asked.api.rivals(asked.target.namespace(), known).await?;
        if rivals.is_empty() {
            return Ok(Enforcement::Known);
        }
        let words = rivals.iter().map(|rival| match rival {
            Rival::Present(kind) => format!("there are {kind}, which can overrule NetworkPolicies"),
            Rival::Forbidden(kind) => format!("{kind} may not be listed: grant list"),
        });
        Ok(Enforcement::Unknown(words.collect::<Vec<_>>().join(", ")))
    }
}
