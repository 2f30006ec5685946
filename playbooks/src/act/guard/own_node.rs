//! The node that the worker runs on: what empties it would end the worker in the middle of its answer.

use super::OwnPod;
use crate::act::outcome::{Guardrail, Refusal};

/// Which node this worker runs on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum OwnNode {
    /// None of the cluster's.
    #[default]
    Outside,
    /// This one.
    Named(String),
    /// One of the cluster's, and it was not told which.
    Unknown,
}

impl OwnNode {
    /// Finds out by `NODE_NAME`, which the downward API sets from `spec.nodeName`.
    pub fn detect() -> OwnNode {
        let in_pod =
            OwnPod::detect().is_some() || std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
        OwnNode::tell(std::env::var("NODE_NAME").ok(), in_pod)
    }

    fn tell(name: Option<String>, in_pod: bool) -> OwnNode {
        match name.filter(|name| !name.is_empty()) {
            Some(name) => OwnNode::Named(name),
            None if in_pod => OwnNode::Unknown,
            None => OwnNode::Outside,
        }
    }

    /// The refusal of what would take the pods off this node.
    pub(in crate::act) fn judge(&self, node: &str) -> Option<Refusal> {
        let why = match self {
            OwnNode::Named(own) if own == node => {
                format!("this worker runs on the node {node}, and would be taken off it")
            }
            OwnNode::Unknown => "which node this worker runs on is not known: \
                 set NODE_NAME from spec.nodeName by the downward API"
                .to_owned(),
            OwnNode::Named(_) | OwnNode::Outside => return None,
        };
        Some(Refusal::new(Guardrail::OwnNode, why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_in_a_pod_that_was_not_told_its_node_empties_none() {
        let table = [
            (Some("n"), true, false),
            (Some("n"), false, false),
            (Some("other"), true, true),
            (Some("other"), false, true),
            (None, false, true),
            (None, true, false),
            (Some(""), true, false),
        ];
        for (name, in_pod, may) in table {
            let own = OwnNode::tell(name.map(str::to_owned), in_pod);
            assert_eq!(own.judge("n").is_none(), may, "{name:?} {in_pod}");
        }
    }
}
