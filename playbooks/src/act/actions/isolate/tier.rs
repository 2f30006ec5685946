//! Policies whose deny beats every allow: the kinds that a cluster may serve, and what one of ours says in each.

use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::api::DynamicObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{peers::NAMESPACE_NAME, plan::Order, restriction::Direction};
use crate::act::{
    api::{Kind, Permission},
    target::{Id, QUARANTINE},
};

/// A kind of policy that can deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tier {
    /// <https://docs.cilium.io/en/stable/security/policy/deny/>
    Cilium,
    /// <https://network-policy-api.sigs.k8s.io/api-overview/>
    ClusterNetworkPolicy,
}

const CILIUM: Kind = Kind {
    group: "cilium.io",
    version: "v2",
    kind: "CiliumNetworkPolicy",
    plural: "ciliumnetworkpolicies",
    namespaced: true,
};

/// Of SIG Network's Network Policy API.
pub(in crate::act) const CLUSTER_NETWORK_POLICY: Kind = Kind {
    group: "policy.networking.k8s.io",
    version: "v1alpha2",
    kind: "ClusterNetworkPolicy",
    plural: "clusternetworkpolicies",
    namespaced: false,
};

/// What Cilium's agent says of the one pod.
pub(super) const ENDPOINT: Kind = Kind {
    group: "cilium.io",
    version: "v2",
    kind: "CiliumEndpoint",
    plural: "ciliumendpoints",
    namespaced: true,
};

impl Tier {
    /// In the order in which they are preferred: what denies more comes first.
    pub(super) const ALL: [Tier; 2] = [Tier::Cilium, Tier::ClusterNetworkPolicy];

    pub(super) fn kind(self) -> &'static Kind {
        match self {
            Tier::Cilium => &CILIUM,
            Tier::ClusterNetworkPolicy => &CLUSTER_NETWORK_POLICY,
        }
    }

    /// True where its deny leaves nobody out. A ClusterNetworkPolicy can name neither what comes from outside the
    /// cluster nor a pod on its node's network, so that its ingress is worth having and proves nothing.
    pub(super) fn settles(self, direction: Direction) -> bool {
        match self {
            Tier::Cilium => true,
            Tier::ClusterNetworkPolicy => direction == Direction::Egress,
        }
    }

    /// The spec of a policy that denies these directions to the pod with the quarantine label.
    pub(super) fn spec(self, namespace: &str, id: &Id, cut: &[Direction]) -> Value {
        let pod = json!({"matchLabels": {QUARANTINE: id.as_str()}});
        let mut spec = match self {
            Tier::Cilium => json!({"endpointSelector": pod}),
            Tier::ClusterNetworkPolicy => json!({
                "tier": "Admin",
                // Before every other: of two with the same priority nobody knows which one decides.
                "priority": 0,
                "subject": {"pods": {
                    "namespaceSelector": {"matchLabels": {NAMESPACE_NAME: namespace}},
                    "podSelector": pod,
                }},
            }),
        };
        let rules = cut.iter().map(|it| (self.field(*it).to_owned(), self.rules(*it)));
        if let Some(fields) = spec.as_object_mut() {
            fields.extend(rules);
        }
        spec
    }

    fn rules(self, direction: Direction) -> Value {
        match (self, direction) {
            (Tier::Cilium, Direction::Ingress) => json!([{"fromEntities": ["all"]}]),
            (Tier::Cilium, Direction::Egress) => json!([{"toEntities": ["all"]}]),
            (Tier::ClusterNetworkPolicy, Direction::Ingress) => {
                json!([{"action": "Deny", "from": [{"namespaces": {}}]}])
            }
            (Tier::ClusterNetworkPolicy, Direction::Egress) => {
                json!([{"action": "Deny", "to": [{"networks": ["0.0.0.0/0", "::/0"]}]}])
            }
        }
    }

    /// The directions that a policy of ours says something of.
    pub(super) fn cut_by(self, spec: &Value) -> Vec<Direction> {
        let says = |direction: &Direction| spec.get(self.field(*direction)).is_some();
        Direction::BOTH.into_iter().filter(says).collect()
    }

    fn field(self, direction: Direction) -> &'static str {
        match (self, direction) {
            (Tier::Cilium, Direction::Ingress) => "ingressDeny",
            (Tier::Cilium, Direction::Egress) => "egressDeny",
            (Tier::ClusterNetworkPolicy, Direction::Ingress) => "ingress",
            (Tier::ClusterNetworkPolicy, Direction::Egress) => "egress",
        }
    }

    /// The policy, as it is applied: in place of `stored`, or made anew.
    pub(super) fn policy(
        self,
        pod: &Pod,
        order: &Order,
        spec: Value,
        stored: Option<&ObjectMeta>,
    ) -> DynamicObject {
        let mut metadata = order.reach.metadata(pod, &order.playbook, stored);
        if !self.kind().namespaced {
            metadata.namespace = None;
            // The garbage collector would take it away at once: nothing in a namespace can own what is in none.
            metadata.owner_references = None;
        }
        let mut policy = DynamicObject::new("", &self.kind().resource());
        policy.metadata = metadata;
        policy.data(json!({ "spec": spec }))
    }

    /// The rights that it takes, those to take it back among them.
    pub(super) fn permissions(self) -> Vec<Permission> {
        let on = |kind: &Kind, verb| Permission::new(kind.group, kind.plural, verb);
        let verbs = ["get", "create", "patch", "delete"];
        let mut all: Vec<_> = verbs.map(|verb| on(self.kind(), verb)).into();
        all.push(match self {
            Tier::Cilium => on(&ENDPOINT, "get"),
            Tier::ClusterNetworkPolicy => on(self.kind(), "list"),
        });
        all
    }
}

/// Which kind a playbook asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::act) enum Choice {
    /// None beside the NetworkPolicy.
    #[default]
    NetworkPolicy,
    /// A CiliumNetworkPolicy.
    Cilium,
    /// A ClusterNetworkPolicy.
    ClusterNetworkPolicy,
    /// The first that the cluster serves.
    Auto,
}

impl Choice {
    /// What can come of it.
    pub(super) fn tiers(self) -> &'static [Tier] {
        match self {
            Choice::NetworkPolicy => &[],
            Choice::Cilium => &[Tier::Cilium],
            Choice::ClusterNetworkPolicy => &[Tier::ClusterNetworkPolicy],
            Choice::Auto => &Tier::ALL,
        }
    }

    /// What comes of it in a cluster that serves these; why not where one was named and isn't among them.
    pub(super) fn pick(self, served: &[Tier]) -> Result<Option<Tier>, String> {
        let found = self.tiers().iter().find(|tier| served.contains(tier)).copied();
        match (self, found) {
            (Choice::Cilium | Choice::ClusterNetworkPolicy, None) => {
                let wanted = self.tiers().iter().map(|tier| tier.kind());
                let wanted: Vec<_> =
                    wanted.map(|it| format!("{}.{} {}", it.plural, it.group, it.version)).collect();
                Err(format!("this cluster serves no {}", wanted.join(", ")))
            }
            (_, found) => Ok(found),
        }
    }
}

/// The other ClusterNetworkPolicies that ours need not come before: nobody knows which of them decides.
pub(super) fn ties(others: &[DynamicObject], ours: &str) -> Vec<String> {
    let is_tie = |policy: &&DynamicObject| {
        let spec = policy.data.get("spec").unwrap_or(&Value::Null);
        let admin = spec["tier"] != "Baseline";
        let first = spec["priority"].as_i64().is_none_or(|priority| priority <= 0);
        policy.metadata.name.as_deref() != Some(ours) && admin && first && opens(spec)
    };
    let names = others.iter().filter(is_tie).map(|policy| policy.metadata.name.clone());
    names.map(Option::unwrap_or_default).collect()
}

/// Whether a ClusterNetworkPolicy does more than deny.
fn opens(spec: &Value) -> bool {
    let rules = |field: &str| spec[field].as_array().into_iter().flatten().collect::<Vec<_>>();
    rules("ingress").into_iter().chain(rules("egress")).any(|rule| rule["action"] != "Deny")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::object::Uid;

    #[test]
    fn a_spec_says_of_itself_what_it_cuts_off() {
        use Direction::{Egress, Ingress};
        let id = Id::of(&Uid::new("u"));
        for tier in Tier::ALL {
            for cut in [vec![], vec![Ingress], vec![Egress], vec![Ingress, Egress]] {
                assert_eq!(tier.cut_by(&tier.spec("shop", &id, &cut)), cut, "{tier:?}");
            }
        }
    }

    #[test]
    fn what_is_served_decides_and_what_is_named_and_missing_is_said() {
        let (cilium, cluster) = (Tier::Cilium, Tier::ClusterNetworkPolicy);
        let table = [
            (Choice::NetworkPolicy, vec![cilium, cluster], Ok(None)),
            (Choice::Auto, vec![], Ok(None)),
            (Choice::Auto, vec![cluster], Ok(Some(cluster))),
            (Choice::Auto, vec![cluster, cilium], Ok(Some(cilium))),
            (Choice::ClusterNetworkPolicy, vec![cilium, cluster], Ok(Some(cluster))),
            (
                Choice::Cilium,
                vec![cluster],
                Err("this cluster serves no ciliumnetworkpolicies.cilium.io v2".into()),
            ),
        ];
        for (choice, served, picked) in table {
            assert_eq!(choice.pick(&served), picked, "{choice:?}");
        }
    }

    #[test]
    fn only_one_that_may_come_first_and_opens_something_is_a_tie() {
        let policy = |name: &str, spec: Value| {
            let mut policy = DynamicObject::new(name, &CLUSTER_NETWORK_POLICY.resource());
            policy.data = json!({ "spec": spec });
            policy
        };
        let accept = json!([{"action": "Accept"}]);
        let table = [
            (json!({"tier": "Admin", "priority": 0, "ingress": accept}), true),
            (json!({"tier": "Admin", "priority": 0, "egress": [{"action": "Pass"}]}), true),
            (json!({"tier": "Admin", "ingress": accept}), true),
            (json!({"tier": "New", "priority": 0, "ingress": accept}), true),
            (json!({"tier": "Admin", "priority": 1, "ingress": accept}), false),
            (json!({"tier": "Baseline", "priority": 0, "ingress": accept}), false),
            (json!({"tier": "Admin", "priority": 0, "ingress": [{"action": "Deny"}]}), false),
        ];
        for (spec, tied) in table {
            let all = [policy("theirs", spec.clone()), policy("ours", spec.clone())];
            assert_eq!(!ties(&all, "ours").is_empty(), tied, "{spec}");
        }
    }
}
