//! The policies that are tried: each holds one of the two pods, and nothing else.

use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::{
    Aspect,
    pods::{CLIENT, ROLE, SERVER},
};
use crate::act::{actions::CLUSTER_NETWORK_POLICY, api::Kind};

/// Kubernetes' own.
pub(super) const NETWORK_POLICY: Kind = Kind {
    group: "networking.k8s.io",
    version: "v1",
    kind: "NetworkPolicy",
    plural: "networkpolicies",
    namespaced: true,
};

/// One policy of its kind.
pub(super) type Policy = (&'static Kind, DynamicObject);

/// Every place where a policy of a probe can be.
pub(super) const PLACES: [(&Kind, &str); 3] =
    [(&NETWORK_POLICY, SERVER), (&NETWORK_POLICY, CLIENT), (&CLUSTER_NETWORK_POLICY, CLIENT)];

/// What holds for an aspect while it is tried.
pub(super) fn policies(aspect: Aspect, namespace: &str) -> Vec<Policy> {
    let on = |role: &str| json!({"matchLabels": {ROLE: role}});
    let network_policy = |role, spec| policy(&NETWORK_POLICY, role, namespace, spec);
    match aspect {
        Aspect::Ingress => {
            let spec = json!({"podSelector": on(SERVER), "policyTypes": ["Ingress"]});
            vec![network_policy(SERVER, spec)]
        }
        Aspect::Egress => {
            let spec = json!({"podSelector": on(CLIENT), "policyTypes": ["Egress"]});
            vec![network_policy(CLIENT, spec)]
        }
        Aspect::ClusterDeny => {
            let allows =
                json!({"podSelector": on(CLIENT), "policyTypes": ["Egress"], "egress": [{}]});
            let denies = json!({
                "tier": "Admin", "priority": 0,
                "subject": {"pods": {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                    "podSelector": on(CLIENT)
                }},
                "egress": [{"action": "Deny", "to": [{"networks": ["0.0.0.0/0", "::/0"]}]}]
            });
            vec![
                network_policy(CLIENT, allows),
                policy(&CLUSTER_NETWORK_POLICY, CLIENT, namespace, denies),
            ]
        }
    }
}

fn policy(kind: &'static Kind, role: &str, namespace: &str, spec: Value) -> Policy {
    let mut policy = DynamicObject::new(role, &kind.resource());
    policy.metadata.namespace = kind.namespaced.then(|| namespace.to_owned());
    policy.metadata.labels =
        serde_json::from_value(json!({"app.kubernetes.io/managed-by": "stoop", ROLE: role})).ok();
    (kind, policy.data(json!({ "spec": spec })))
}
