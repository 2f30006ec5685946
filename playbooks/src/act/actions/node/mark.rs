//! The two marks that a node can get: a taint, or that it is cordoned.

use std::fmt;

use k8s_openapi::api::core::v1::Node;
use serde_json::json;

use crate::act::{actions::hold::Hold, api::Operations};

/// A taint as a playbook wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::act::actions) struct Taint {
    pub(in crate::act::actions) key: String,
    pub(in crate::act::actions) value: String,
    pub(in crate::act::actions) effect: &'static str,
}

/// What can be put on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::act::actions) enum Mark {
    Taint(Taint),
    Cordon,
}

/// The kinds of marks, each with notes of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Taint,
    Cordon,
}

pub(super) const KINDS: [Kind; 2] = [Kind::Taint, Kind::Cordon];

/// What a cordon is called in its notes, and the value that it sets.
const UNSCHEDULABLE: (&str, &str) = ("unschedulable", "true");

impl Mark {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Mark::Taint(_) => Kind::Taint,
            Mark::Cordon => Kind::Cordon,
        }
    }

    /// What it is called in the notes: what can be on a node once.
    pub(super) fn name(&self) -> String {
        match self {
            Mark::Taint(taint) => format!("{}:{}", taint.key, taint.effect),
            Mark::Cordon => UNSCHEDULABLE.0.to_owned(),
        }
    }

    /// The value that is set.
    pub(super) fn value(&self) -> &str {
        match self {
            Mark::Taint(taint) => &taint.value,
            Mark::Cordon => UNSCHEDULABLE.1,
        }
    }

    /// Puts it on a node that doesn't have it. Other taints are not named, and so can't be touched.
    pub(super) fn put(&self, operations: &mut Operations, node: &Node) {
        let Mark::Taint(taint) = self else {
            operations.add(&["spec", "unschedulable"], true);
            return;
        };
        let Taint { key, value, effect } = taint;
        let value = match value.is_empty() {
            true => json!({"key": key, "effect": effect}),
            false => json!({"key": key, "value": value, "effect": effect}),
        };
        match taints(node).next() {
            Some(_) => operations.add(&["spec", "taints", "-"], value),
            None => operations.add(&["spec", "taints"], json!([value])),
        }
    }

    /// That the node has it, in words.
    pub(super) fn said_of(&self, node: &str) -> String {
        match self {
            Mark::Taint(taint) => format!("node {node} has the taint {taint}"),
            Mark::Cordon => format!("node {node} is cordoned"),
        }
    }
}

/// As kubectl writes it.
impl fmt::Display for Taint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if !self.value.is_empty() {
            write!(f, "={}", self.value)?;
        }
        write!(f, ":{}", self.effect)
    }
}

impl Kind {
    /// Where marks of this kind are written down.
    pub(super) fn notes(self) -> &'static str {
        match self {
            Kind::Taint => "stoop.dev/taints",
            Kind::Cordon => "stoop.dev/cordon",
        }
    }

    /// The value that the mark of this name has on a node.
    pub(super) fn value(self, node: &Node, name: &str) -> Option<String> {
        match self {
            Kind::Taint => {
                taints(node).find(|(_, of, _)| of == name).map(|(_, _, value)| value.to_owned())
            }
            Kind::Cordon => is_cordoned(node).then(|| UNSCHEDULABLE.1.to_owned()),
        }
    }

    /// Takes those of these marks off that are as they were put there; says which.
    pub(super) fn take_off(
        self,
        operations: &mut Operations,
        node: &Node,
        marks: &[(String, Hold)],
    ) -> Vec<String> {
        let ours: Vec<_> = marks
            .iter()
            .filter(|(name, hold)| self.value(node, name).as_ref() == Some(&hold.set))
            .map(|(name, _)| name.clone())
            .collect();
        match self {
            Kind::Cordon if ours.is_empty() => {}
            Kind::Cordon => operations.remove(&["spec", "unschedulable"]),
            Kind::Taint => {
                let at: Vec<_> = taints(node).filter(|(_, name, _)| ours.contains(name)).collect();
                match at.len() == taints(node).count() {
                    true if at.is_empty() => {}
                    true => operations.remove(&["spec", "taints"]),
                    // From the end, since each removal moves those behind it.
                    false => at.iter().rev().for_each(|(index, ..)| {
                        operations.remove(&["spec", "taints", &index.to_string()]);
                    }),
                }
            }
        }
        ours
    }
}

/// A node's taints: where each is in the list, what it would be called in our notes, its value.
fn taints(node: &Node) -> impl Iterator<Item = (usize, String, &str)> {
    node.spec.iter().flat_map(|spec| spec.taints.iter().flatten()).enumerate().map(
        |(index, taint)| {
            let name = format!("{}:{}", taint.key, taint.effect);
            (index, name, taint.value.as_deref().unwrap_or_default())
        },
    )
}

/// True where nothing is scheduled to the node, by its own word.
pub(super) fn is_cordoned(node: &Node) -> bool {
    node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true)
}
