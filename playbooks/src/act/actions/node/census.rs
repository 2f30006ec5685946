//! Counts the nodes: how many others take pods, and how many are held already.

use k8s_openapi::api::core::v1::Node;

use super::{
    mark::{KINDS, is_cordoned},
    share::Share,
};
use crate::act::{
    actions::hold::Holds,
    api::{Api, ApiError},
    outcome::{Guardrail, Refusal},
};

/// The nodes of a cluster, as far as a change of one of them depends on the others.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Census {
    nodes: usize,
    /// Others that take pods.
    open: usize,
    /// Others that a playbook holds.
    held: usize,
}

impl Census {
    /// Counts by live reads; only a page of nodes is in memory at a time.
    pub(super) async fn take(api: &Api, node: &str) -> Result<Census, ApiError> {
        let mut census = Census::default();
        let mut token = None;
        loop {
            let page = api.nodes(token).await?;
            page.items.iter().for_each(|other| census.count(other, node));
            token = page.metadata.continue_.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(census);
            }
        }
    }

    fn count(&mut self, other: &Node, node: &str) {
        self.nodes += 1;
        if other.metadata.name.as_deref() != Some(node) {
            self.open += usize::from(takes_pods(other));
            self.held += usize::from(is_held(other));
        }
    }

    /// The refusal where no other node would take this one's pods.
    pub(super) fn judge_last(&self, node: &str) -> Option<Refusal> {
        let why = || format!("no other node than {node} would take pods");
        (self.open == 0).then(|| Refusal::new(Guardrail::LastNode, why()))
    }

    /// The refusal where the node can't be spared.
    pub(super) fn judge(&self, node: &str, share: Share) -> Option<Refusal> {
        if let Some(last) = self.judge_last(node) {
            return Some(last);
        }
        let allowed = share.of(self.nodes);
        (self.held >= allowed).then(|| {
            let why = format!(
                "{} of {} nodes are held already, maxShare ({share}) allows {allowed}",
                self.held, self.nodes
            );
            Refusal::new(Guardrail::NodeShare, why)
        })
    }
}

/// True for a node that a pod without tolerations can go to: ready, and neither cordoned nor tainted.
fn takes_pods(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let is_ready = conditions
        .into_iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True");
    let mut taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    let is_closed = taints.any(|taint| taint.effect != "PreferNoSchedule");
    is_ready && !is_closed && !is_cordoned(node) && node.metadata.deletion_timestamp.is_none()
}

/// True where a mark of ours is on the node; notes that can't be read count as one.
fn is_held(node: &Node) -> bool {
    KINDS.iter().any(|kind| match Holds::read(kind.notes(), &node.metadata) {
        Ok(holds) => {
            holds.iter().any(|(name, hold)| kind.value(node, name).as_ref() == Some(&hold.set))
        }
        Err(_) => true,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn node(change: impl FnOnce(&mut Value)) -> Node {
        let mut node = json!({
            "metadata": {"name": "other"}, "spec": {},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]}
        });
        change(&mut node);
        serde_json::from_value(node).unwrap()
    }

    #[test]
    fn a_node_takes_pods_only_if_nothing_speaks_against_it() {
        assert!(takes_pods(&node(|_| {})));
        assert!(takes_pods(&node(|node| {
            node["spec"]["taints"] = json!([{"key": "a", "effect": "PreferNoSchedule"}]);
        })));
        let closed = [
            node(|node| node["spec"]["unschedulable"] = json!(true)),
            node(|node| node["spec"]["taints"] = json!([{"key": "a", "effect": "NoSchedule"}])),
            node(|node| node["spec"]["taints"] = json!([{"key": "a", "effect": "NoExecute"}])),
            node(|node| node["status"]["conditions"][0]["status"] = json!("Unknown")),
            node(|node| node["status"] = json!({})),
            node(|node| node["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z")),
        ];
        assert!(closed.iter().all(|node| !takes_pods(node)));
    }

    #[test]
    fn a_node_is_held_while_our_mark_is_on_it() {
        let notes = json!({"stoop.dev/cordon": r#"{"unschedulable":{"set":"true","by":["u/p"]}}"#});
        let cordoned = |by_us: bool, is_so: bool| {
            node(|node| {
                node["spec"]["unschedulable"] = json!(is_so);
                if by_us {
                    node["metadata"]["annotations"] = notes.clone();
                }
            })
        };
        assert!(is_held(&cordoned(true, true)));
        assert!(!is_held(&cordoned(true, false)), "somebody has uncordoned it");
        assert!(!is_held(&cordoned(false, true)), "somebody else's");
        assert!(is_held(&node(|node| {
            node["metadata"]["annotations"] = json!({"stoop.dev/taints": "garbled"});
        })));
    }

    #[test]
    fn the_last_one_and_one_too_many_are_refused() {
        let share = serde_json::from_value::<super::super::share::WrittenShare>(json!("50%"))
            .unwrap()
            .read()
            .unwrap();
        let table = [
            // (nodes, open others, held others, refusal)
            (4, 3, 0, None),
            (4, 1, 1, None),
            (4, 1, 2, Some(Guardrail::NodeShare)),
            (4, 0, 0, Some(Guardrail::LastNode)),
            (1, 0, 0, Some(Guardrail::LastNode)),
            (2, 1, 0, None),
            (2, 1, 1, Some(Guardrail::NodeShare)),
        ];
        for (nodes, open, held, expected) in table {
            let refusal = Census { nodes, open, held }.judge("n", share);
            assert_eq!(refusal.map(|refusal| refusal.guardrail), expected, "{nodes} {open} {held}");
        }
    }
}
