//! Which of a node's pods are to go.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;

use crate::act::{actions::delete::Owners, guard::Guardrails, target::is_mirror};

/// What becomes of one pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Evict,
    /// It is on its way out already.
    Ending,
    /// It stays, and why in a word.
    Stay(&'static str),
}

/// A node's pods, sorted.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    pub(super) evict: Vec<Pod>,
    pub(super) ending: usize,
    pub(super) staying: Staying,
}

/// How many stay, by why.
#[derive(Debug, Default)]
pub(super) struct Staying(BTreeMap<&'static str, usize>);

impl Sorted {
    pub(super) fn add(&mut self, pod: Pod, guardrails: &Guardrails, owners: &Owners) {
        match fate(&pod, guardrails, owners) {
            Fate::Evict => self.evict.push(pod),
            Fate::Ending => self.ending += 1,
            Fate::Stay(why) => self.stays(why),
        }
    }

    /// Counts one that stays.
    pub(super) fn stays(&mut self, why: &'static str) {
        *self.staying.0.entry(why).or_default() += 1;
    }
}

fn fate(pod: &Pod, guardrails: &Guardrails, owners: &Owners) -> Fate {
    let spec = pod.spec.as_ref();
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let owner = pod.owner_references().iter().find(|owner| owner.controller == Some(true));
    let priority = spec.and_then(|spec| spec.priority_class_name.as_deref());
    // The worker's own pod is in a protected namespace as well: its own.
    if pod.namespace().is_none_or(|namespace| guardrails.protects(&namespace)) {
        return Fate::Stay("protected");
    }
    if is_mirror(pod) {
        return Fate::Stay("static");
    }
    if priority.is_some_and(|class| class.starts_with("system-")) {
        return Fate::Stay("system priority");
    }
    if matches!(phase, Some("Succeeded" | "Failed")) {
        return Fate::Stay("ended");
    }
    // It would come back at once: a DaemonSet's pods go to cordoned nodes too.
    if owner.is_some_and(|owner| owner.kind == "DaemonSet") {
        return Fate::Stay("of a DaemonSet");
    }
    if owners.judge(owner).is_some() {
        return Fate::Stay("of an owner that drain.owners doesn't list");
    }
    match pod.metadata.deletion_timestamp {
        Some(_) => Fate::Ending,
        None => Fate::Evict,
    }
}

impl fmt::Display for Staying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none stays");
        }
        for (at, (why, count)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{count} {why}")?;
        }
        f.write_str(if self.0.values().sum::<usize>() == 1 { " stays" } else { " stay" })
    }
}
