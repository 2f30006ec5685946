//! What is cut off: which directions, and who is excepted; and what a policy allows beyond that.

use std::{collections::BTreeSet, fmt};

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
    NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::peers::Peer;

/// One way of the traffic, seen from the pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Direction {
    Ingress,
    Egress,
}

impl Direction {
    pub(super) const BOTH: [Direction; 2] = [Direction::Ingress, Direction::Egress];

    /// As policies write it.
    fn as_policy_type(self) -> &'static str {
        match self {
            Direction::Ingress => "Ingress",
            Direction::Egress => "Egress",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::Ingress => "ingress",
            Direction::Egress => "egress",
        })
    }
}

/// Who a direction is still open to; nobody where it is empty.
type Allowed = BTreeSet<Peer>;

/// What a policy of ours cuts off: a direction that is `None` is left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Restriction {
    ingress: Option<Allowed>,
    egress: Option<Allowed>,
}

impl Restriction {
    /// Both directions, but for these.
    pub(super) fn both(allowed: Allowed) -> Restriction {
        Restriction { ingress: Some(allowed.clone()), egress: Some(allowed) }
    }

    /// What the pod sends, but to these.
    pub(super) fn egress_only(allowed: Allowed) -> Restriction {
        Restriction { ingress: None, egress: Some(allowed) }
    }

    fn allowed(&self, direction: Direction) -> Option<&Allowed> {
        match direction {
            Direction::Ingress => self.ingress.as_ref(),
            Direction::Egress => self.egress.as_ref(),
        }
    }

    /// True where this direction is cut off.
    pub(super) fn cuts(&self, direction: Direction) -> bool {
        self.allowed(direction).is_some()
    }

    /// The directions that are cut off.
    pub(super) fn directions(&self) -> Vec<Direction> {
        Direction::BOTH.into_iter().filter(|direction| self.cuts(*direction)).collect()
    }

    /// True where somebody is excepted.
    pub(super) fn has_exceptions(&self) -> bool {
        [&self.ingress, &self.egress].into_iter().flatten().any(|allowed| !allowed.is_empty())
    }

    /// What both together cut off: every direction that either does, open only to whom both leave it open.
    ///
    /// Two playbooks that isolate one pod share its policy, and neither may loosen what the other has done.
    pub(super) fn and(&self, other: &Restriction) -> Restriction {
        let and = |one: &Option<Allowed>, other: &Option<Allowed>| match (one, other) {
            (Some(one), Some(other)) => Some(one.intersection(other).cloned().collect()),
            (one, other) => one.clone().or_else(|| other.clone()),
        };
        Restriction {
            ingress: and(&self.ingress, &other.ingress),
            egress: and(&self.egress, &other.egress),
        }
    }

    /// The spec of a policy that does this to the pods that `pods` selects.
    pub(super) fn to_policy(&self, pods: LabelSelector) -> NetworkPolicySpec {
        let peers = |allowed: &Option<Allowed>| -> Option<Vec<NetworkPolicyPeer>> {
            let peers: Vec<_> = allowed.iter().flatten().map(Peer::to_policy).collect();
            // A rule without peers would allow everybody.
            (!peers.is_empty()).then_some(peers)
        };
        let types = self.directions().into_iter();
        NetworkPolicySpec {
            pod_selector: Some(pods),
            policy_types: Some(types.map(|direction| direction.as_policy_type().into()).collect()),
            ingress: peers(&self.ingress)
                .map(|from| vec![NetworkPolicyIngressRule { from: Some(from), ports: None }]),
            egress: peers(&self.egress)
                .map(|to| vec![NetworkPolicyEgressRule { to: Some(to), ports: None }]),
        }
    }

    /// What a policy of ours cuts off, as it is stored; an exception that we would not write is left out.
    pub(super) fn of_policy(spec: &NetworkPolicySpec) -> Restriction {
        let allowed = |direction: Direction| -> Option<Allowed> {
            let peers = match direction {
                _ if !governs(spec, direction) => return None,
                Direction::Ingress => {
                    let rules = spec.ingress.iter().flatten();
                    rules.flat_map(|rule| rule.from.iter().flatten()).collect::<Vec<_>>()
                }
                Direction::Egress => {
                    let rules = spec.egress.iter().flatten();
                    rules.flat_map(|rule| rule.to.iter().flatten()).collect()
                }
            };
            Some(peers.into_iter().filter_map(Peer::of_policy).collect())
        };
        Restriction { ingress: allowed(Direction::Ingress), egress: allowed(Direction::Egress) }
    }

    /// True where a policy of ours cuts off all of this.
    pub(super) fn is_kept_by(&self, spec: &NetworkPolicySpec) -> bool {
        let cut = |direction: &Direction| !self.cuts(*direction) || governs(spec, *direction);
        Direction::BOTH.iter().all(cut)
    }

    /// The directions of this restriction in which a policy allows somebody who is not excepted.
    pub(super) fn opened_by(&self, policy: &NetworkPolicy) -> Vec<Direction> {
        let Some(spec) = &policy.spec else { return Vec::new() };
        let home = policy.metadata.namespace.as_deref().unwrap_or_default();
        let opens = |direction: &Direction| {
            let Some(allowed) = self.allowed(*direction) else { return false };
            if !governs(spec, *direction) {
                return false;
            }
            // A rule's ports only narrow it down; a rule without peers is open to everybody.
            let beyond = |peers: Option<&Vec<NetworkPolicyPeer>>| match peers {
                None => true,
                Some(peers) if peers.is_empty() => true,
                Some(peers) => peers
                    .iter()
                    .any(|peer| !allowed.iter().any(|allowed| allowed.covers(peer, home))),
            };
            match direction {
                Direction::Ingress => {
                    spec.ingress.iter().flatten().any(|rule| beyond(rule.from.as_ref()))
                }
                Direction::Egress => {
                    spec.egress.iter().flatten().any(|rule| beyond(rule.to.as_ref()))
                }
            }
        };
        Direction::BOTH.into_iter().filter(opens).collect()
    }
}

/// Whether a policy says anything about a direction, by the API's own default where it doesn't say.
pub(super) fn governs(spec: &NetworkPolicySpec, direction: Direction) -> bool {
    match spec.policy_types.as_deref().filter(|types| !types.is_empty()) {
        Some(types) => types.iter().any(|it| it == direction.as_policy_type()),
        None => match direction {
            Direction::Ingress => true,
            Direction::Egress => spec.egress.as_ref().is_some_and(|rules| !rules.is_empty()),
        },
    }
}

impl fmt::Display for Restriction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut: Vec<_> = self.directions().iter().map(ToString::to_string).collect();
        f.write_str(&cut.join(" and "))?;
        let excepted: BTreeSet<_> =
            [&self.ingress, &self.egress].into_iter().flatten().flatten().collect();
        for (at, peer) in excepted.into_iter().enumerate() {
            write!(f, "{} {peer}", if at == 0 { ", but for" } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::{collection, option, prelude::*};
    use serde_json::{Value, json};

    use super::{super::peers::tests::peer, *};

    pub(in super::super) fn restriction() -> impl Strategy<Value = Restriction> {
        let allowed = || option::of(collection::btree_set(peer(), 0..3));
        (allowed(), allowed()).prop_map(|(ingress, egress)| Restriction { ingress, egress })
    }

    pub(in super::super) fn policy(spec: Value) -> NetworkPolicy {
        serde_json::from_value(
            json!({"metadata": {"name": "p", "namespace": "shop"}, "spec": spec}),
        )
        .unwrap()
    }

    #[test]
    fn what_a_policy_opens_is_what_its_rules_allow_in_the_directions_it_governs() {
        use Direction::{Egress, Ingress};
        let allowed = Allowed::from([Peer::cidr("10.0.0.0/8").unwrap()]);
        let nobody = Restriction::both(Allowed::new());
        let some = Restriction::both(allowed.clone());
        let egress = Restriction::egress_only(Allowed::new());
        let to_us =
            json!([{"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}], "ports": [{"port": 53}]}]);
        let table = [
            (&nobody, json!({"podSelector": {}}), vec![]),
            (&nobody, json!({"policyTypes": ["Ingress", "Egress"]}), vec![]),
            (&nobody, json!({"ingress": [{}]}), vec![Ingress]),
            (&nobody, json!({"ingress": [{"from": []}]}), vec![Ingress]),
            (&nobody, json!({"ingress": [{"from": [{"podSelector": {}}]}]}), vec![Ingress]),
            (&nobody, json!({"ingress": [{"ports": [{"port": 80}]}]}), vec![Ingress]),
            (&nobody, json!({"egress": [{}]}), vec![Egress]),
            (&nobody, json!({"egress": [{}], "policyTypes": ["Ingress"]}), vec![]),
            (&nobody, json!({"ingress": [{}], "egress": [{}]}), vec![Ingress, Egress]),
            (&nobody, json!({"egress": to_us}), vec![Egress]),
            (&some, json!({"egress": to_us}), vec![]),
            (
                &some,
                json!({"egress": [{"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}, {"podSelector": {}}]}]}),
                vec![Egress],
            ),
            (&some, json!({"egress": [{"ports": [{"port": 53}]}]}), vec![Egress]),
            (&egress, json!({"ingress": [{}]}), vec![]),
            (&egress, json!({"ingress": [{}], "egress": [{}]}), vec![Egress]),
        ];
        for (restriction, spec, opened) in table {
            assert_eq!(
                restriction.opened_by(&policy(spec.clone())),
                opened,
                "{restriction}: {spec}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_restriction_is_read_back_as_it_was_written(restriction in restriction()) {
            prop_assume!(restriction.ingress.is_some() || restriction.egress.is_some());
            let spec = restriction.to_policy(LabelSelector::default());
            prop_assert_eq!(Restriction::of_policy(&spec), restriction.clone());
            // And opens nothing that it says is cut off.
            let written = NetworkPolicy { spec: Some(spec), ..NetworkPolicy::default() };
            prop_assert_eq!(restriction.opened_by(&written), vec![]);
        }

        #[test]
        fn two_together_never_open_what_either_cuts_off(one in restriction(), other in restriction()) {
            let both = one.and(&other);
            prop_assume!(both.ingress.is_some() || both.egress.is_some());
            let written = NetworkPolicy {
                spec: Some(both.to_policy(LabelSelector::default())),
                ..NetworkPolicy::default()
            };
            prop_assert_eq!(one.opened_by(&written), vec![]);
            prop_assert_eq!(other.opened_by(&written), vec![]);
            for direction in Direction::BOTH {
                prop_assert_eq!(both.cuts(direction), one.cuts(direction) || other.cuts(direction));
            }
            prop_assert_eq!(other.and(&one), both.clone());
            prop_assert_eq!(both.and(&one), both);
        }
    }
}
