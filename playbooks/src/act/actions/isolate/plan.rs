//! What has still to be done for a pod to be isolated: a pure decision.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{
    api::networking::v1::NetworkPolicy, apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::api::DynamicObject;

use super::{
    quarantine::{Reach, is_ours},
    restriction::{Direction, Restriction, governs},
    scene::Scene,
    selector::{Labels, needed_keys, selects},
    tier::Tier,
};
use crate::act::{
    api::Relabel,
    outcome::Failure,
    target::{Id, KEPT, Kept, QUARANTINE, controller},
};

/// What is wanted for one pod.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) reach: Reach,
    pub(super) restriction: Restriction,
    /// The kind in which a policy denies the same on top.
    pub(super) tier: Option<Tier>,
    pub(super) playbook: String,
}

/// The changes that are left, in the order in which they are made.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    /// Applied first: it selects nothing before the pod wears its mark, and from the moment that the pod leaves the
    /// policies that held it before, ours holds it.
    pub(super) policy: Option<NetworkPolicy>,
    /// Applied next, on top of the policy and before the mark that it selects by too.
    pub(super) denial: Option<DynamicObject>,
    /// Applied last: the mark, and the labels that it leaves.
    pub(super) relabel: Option<Relabel>,
    /// The labels as they will be.
    pub(super) labels: Labels,
    /// Which Services and owner the pod leaves.
    pub(super) leaves: Vec<String>,
}

impl Plan {
    /// True where everything is as it should be.
    pub(super) fn is_done(&self) -> bool {
        self.policy.is_none() && self.denial.is_none() && self.relabel.is_none()
    }
}

/// Compares what is wanted with what is.
///
/// # Errors
///
/// Where a policy that isn't ours has our policy's name.
pub(super) fn plan(scene: &Scene, order: &Order) -> Result<Plan, Failure> {
    let policy = plan_policy(scene, order)?;
    let labels = scene.labels();
    let Reach::Pod(id) = &order.reach else {
        return Ok(Plan { policy, denial: None, relabel: None, labels, leaves: Vec::new() });
    };
    let denial = plan_denial(scene, order, id)?;
    let taken = labels_to_take(scene, order, &labels);
    let mut after = labels.clone();
    after.retain(|key, _| !taken.contains(key));
    after.insert(QUARANTINE.to_owned(), id.as_str().to_owned());
    let holds = |labels: &Labels, selector| selects(selector, labels) == Ok(true);
    let leaves = scene
        .holders
        .iter()
        .filter(|holder| holds(&labels, &holder.selector) && !holds(&after, &holder.selector))
        .map(ToString::to_string)
        .collect();
    let relabel = relabel(scene, id, &labels, &after);
    Ok(Plan { policy, denial, relabel, labels: after, leaves })
}

fn plan_policy(scene: &Scene, order: &Order) -> Result<Option<NetworkPolicy>, Failure> {
    let name = order.reach.policy_name();
    let stored =
        scene.policies.iter().find(|policy| policy.metadata.name.as_deref() == Some(&name));
    let uid = scene.pod.metadata.uid.as_deref().unwrap_or_default();
    if stored.is_some_and(|stored| !is_ours(&stored.metadata, uid)) {
        return Err(not_ours("NetworkPolicy", &name));
    }
    let before = stored.and_then(|stored| stored.spec.as_ref());
    let restriction = match before {
        Some(spec) => order.restriction.and(&Restriction::of_policy(spec)),
        None => order.restriction.clone(),
    };
    if before == Some(&order.reach.spec(&restriction)) {
        return Ok(None);
    }
    Ok(Some(order.reach.policy(&scene.pod, &restriction, &order.playbook, stored)))
}

/// A direction that another playbook has had denied stays so.
fn plan_denial(scene: &Scene, order: &Order, id: &Id) -> Result<Option<DynamicObject>, Failure> {
    let Some(tier) = order.tier else { return Ok(None) };
    let meta = &scene.pod.metadata;
    let stored = scene.denial.as_ref();
    if stored.is_some_and(|it| !is_ours(&it.metadata, meta.uid.as_deref().unwrap_or_default())) {
        return Err(not_ours(tier.kind().kind, &order.reach.policy_name()));
    }
    let before = stored.and_then(|stored| stored.data.get("spec"));
    let mut cut = order.restriction.directions();
    cut.extend(before.map(|spec| tier.cut_by(spec)).unwrap_or_default());
    let spec = tier.spec(meta.namespace.as_deref().unwrap_or_default(), id, &cut);
    if before == Some(&spec) {
        return Ok(None);
    }
    let stored = stored.map(|stored| &stored.metadata);
    Ok(Some(tier.policy(&scene.pod, order, spec, stored)))
}

fn not_ours(kind: &str, name: &str) -> Failure {
    Failure::permanent(format!(
        "the {kind} {name} is there and not ours: it is left alone, rename or delete it"
    ))
}

/// The keys without which no Service, no owner, and no policy that opens what is to be cut off selects the pod.
///
/// Where ingress is left as it is, so are the policies that limit it: to leave one would open the pod.
fn labels_to_take(scene: &Scene, order: &Order, labels: &Labels) -> BTreeSet<String> {
    let selector = |policy: &NetworkPolicy| -> Option<LabelSelector> {
        Some(policy.spec.as_ref()?.pod_selector.clone().unwrap_or_default())
    };
    let keeps_ingress = !order.restriction.cuts(Direction::Ingress);
    let limits_ingress = |policy: &&NetworkPolicy| {
        policy.spec.as_ref().is_some_and(|spec| governs(spec, Direction::Ingress))
    };
    let bound: Vec<_> = match keeps_ingress {
        true => scene.policies.iter().filter(limits_ingress).filter_map(selector).collect(),
        false => Vec::new(),
    };
    let bound = bound.iter().filter(|selector| selects(selector, labels) != Ok(false));
    let stays: BTreeSet<&str> = bound.flat_map(needed_keys).chain([QUARANTINE]).collect();

    let ours = order.reach.policy_name();
    let open = |policy: &&NetworkPolicy| {
        policy.metadata.name.as_deref() != Some(&ours)
            && !order.restriction.opened_by(policy).is_empty()
    };
    let open: Vec<_> = scene.policies.iter().filter(open).filter_map(selector).collect();
    let holders = scene.holders.iter().map(|holder| &holder.selector);
    let escape: Vec<_> = open.iter().chain(holders).collect();

    let (mut left, mut taken) = (labels.clone(), BTreeSet::new());
    loop {
        // A key that is gone can bring in a selector that wants it gone, with keys of its own.
        let held = escape.iter().filter(|selector| selects(selector, &left) != Ok(false));
        let keys: BTreeSet<_> = held
            .flat_map(|selector| needed_keys(selector))
            .filter(|key| left.contains_key(*key) && !stays.contains(key))
            .map(str::to_owned)
            .collect();
        if keys.is_empty() {
            return taken;
        }
        left.retain(|key, _| !keys.contains(key));
        taken.extend(keys);
    }
}

fn relabel(scene: &Scene, id: &Id, before: &Labels, after: &Labels) -> Option<Relabel> {
    let kept = Kept::of(&scene.pod, id);
    if before == after && kept.is_some() {
        return None;
    }
    let mut kept = kept.unwrap_or_else(|| Kept { id: id.as_str().to_owned(), ..Kept::default() });
    let lost = before.iter().filter(|(key, value)| after.get(*key) != Some(value));
    kept.owner = controller(&scene.pod).cloned().or(kept.owner);
    kept.labels.extend(lost.map(|(key, value)| (key.clone(), value.clone())));
    let mut labels: BTreeMap<_, _> = before
        .keys()
        .filter(|key| !after.contains_key(*key))
        .map(|key| (key.clone(), None))
        .collect();
    labels.insert(QUARANTINE.to_owned(), Some(id.as_str().to_owned()));
    Some(Relabel {
        resource_version: scene.pod.metadata.resource_version.clone().unwrap_or_default(),
        labels,
        annotations: BTreeMap::from([(KEPT.to_owned(), Some(kept.to_text()))]),
    })
}

#[cfg(test)]
mod tests;
