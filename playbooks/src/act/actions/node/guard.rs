//! What holds a change of one node back, as far as the node itself tells.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;

use super::Whereabouts;
use crate::act::outcome::{Guardrail, Outcome, Refusal, SkipReason};

/// Labels of nodes that run the control plane, of the distributions that set them, and taints of the same keys.
const CONTROL_PLANE: [&str; 4] = [
    "node-role.kubernetes.io/control-plane",
    "node-role.kubernetes.io/master",
    "node-role.kubernetes.io/controlplane",
    "node-role.kubernetes.io/etcd",
];

/// What is asked of the node before anything is done to it.
pub(in crate::act::actions) struct NodeGuard {
    /// The refusal of what takes pods off the worker's own node.
    pub(in crate::act::actions) own_node: Option<Refusal>,
}

impl NodeGuard {
    /// The outcome where this node must not, or need not, be changed.
    pub(in crate::act::actions) fn judge(
        &self,
        node: &Node,
        whereabouts: Whereabouts<'_>,
    ) -> Option<Outcome> {
        let name = whereabouts.node;
        if whereabouts.uid.is_some_and(|uid| node.metadata.uid.as_deref() != Some(uid.as_str())) {
            let why = format!("node {name} is gone, its name belongs to another one now");
            return Some(Outcome::Skipped(SkipReason::Gone, why));
        }
        if is_younger(node, whereabouts.at) {
            let why = format!("node {name} is gone, its name belongs to a younger one now");
            return Some(Outcome::Skipped(SkipReason::Gone, why));
        }
        if node.metadata.deletion_timestamp.is_some() {
            let why = format!("node {name} is being deleted");
            return Some(Outcome::Skipped(SkipReason::Gone, why));
        }
        if runs_control_plane(node) {
            let why = format!("node {name} runs the control plane");
            return Some(Outcome::refused(Guardrail::ControlPlane, why));
        }
        self.own_node.clone().map(Outcome::from)
    }
}

/// True for a node that there was not yet when the pod was seen: clouds give a new machine its predecessor's name.
fn is_younger(node: &Node, at: Timestamp) -> bool {
    node.metadata.creation_timestamp.as_ref().is_some_and(|created| created.0 > at)
}

fn runs_control_plane(node: &Node) -> bool {
    let labels = node.metadata.labels.iter().flat_map(|all| all.keys());
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    labels.chain(taints.map(|taint| &taint.key)).any(|key| CONTROL_PLANE.contains(&key.as_str()))
}
