//! What a playbook may not that is bound to one namespace: whoever writes it there widens nothing that the fleet allows.
//!
//! Refused when it is read: actions that reach beyond their target, by their names alone before any of their configuration is
//! looked at, and limits looser than those that hold without any.
//! Refused when it runs, whoever asked: every step, the telling ones too, unless a pod of that namespace was verified.

use super::{
    action::Action,
    config::ConfigError,
    outcome::{Guardrail, Refusal},
    response::Standing,
    target::{Needs, foresee},
};
use crate::decide::{BudgetScope, Claim, Limits, Playbook, PlaybookError, Reach, yaml::Path};

/// The actions of our own that a playbook may not have that is bound to its namespace, whatever their configuration, and why.
pub(super) const BEYOND: [(&[&str], &str); 3] = [
    (&["cordon", "drain", "taint"], "act on nodes, which no namespace has"),
    (&["run"], "starts what runs beyond the target"),
    (&["call", "capture", "forward"], "carry what they know out of the namespace"),
];

/// Whether the playbook may have an action of this name: asked before it is configured, which may read what it names.
///
/// # Errors
///
/// It is bound to a namespace, and the action is one that is not.
pub(super) fn allows_name(playbook: &Playbook, action: &str) -> Result<(), ConfigError> {
    let is_beyond = BEYOND.iter().any(|(names, _)| names.contains(&action));
    match playbook.reach {
        Reach::Namespace(_) if is_beyond => Err(reaches_beyond(action)),
        Reach::Namespace(_) | Reach::Cluster => Ok(()),
    }
}

/// That an action is for no playbook that is bound to a namespace.
pub(super) fn reaches_beyond(action: &str) -> ConfigError {
    let why = format!("`{action}` reaches beyond the playbook's own namespace");
    ConfigError::new(why).help("make it a ClusterPlaybook")
}

/// Whether the playbook may have an action, as it is configured.
///
/// # Errors
///
/// It is bound to a namespace, and the action is not.
pub(super) fn allows(playbook: &Playbook, action: &dyn Action) -> Result<(), ConfigError> {
    match playbook.reach {
        Reach::Cluster => Ok(()),
        Reach::Namespace(_) => action.within_namespace(),
    }
}

/// Limits that are looser than a playbook's that is bound to a namespace may be.
pub(super) fn loose_limits<'a>(
    playbook: &Playbook,
    actions: impl Iterator<Item = &'a dyn Action>,
) -> Vec<PlaybookError> {
    if playbook.reach == Reach::Cluster {
        return Vec::new();
    }
    let (limits, most) = (&playbook.limits, Limits::default());
    // As for each of its actions: what is refused for one must not be widened for another.
    let oldest = actions.map(Action::max_event_age).min();
    let age = oldest.filter(|oldest| limits.max_event_age.is_some_and(|asked| asked > *oldest));
    let shared = limits.budget.is_some_and(|budget| budget.scope == BudgetScope::Cluster);
    let found = [
        (limits.timeout > most.timeout).then(|| ("timeout", at_most(most.timeout))),
        (limits.attempts > most.attempts)
            .then(|| ("attempts", (format!("at most {}", most.attempts), String::new()))),
        age.map(|oldest| ("maxEventAge", at_most(oldest))),
        shared.then(|| {
            let why = "may not use up the budget that the whole cluster shares".to_owned();
            ("budget", (why, "count it per playbook, owner or rule".to_owned()))
        }),
    ];
    let refuse = |(key, (what, help)): (&str, (String, String))| {
        let path = Path::root().key("spec").key("limits").key(key);
        let help = match help.as_str() {
            "" => "leave it out, or make it a ClusterPlaybook".to_owned(),
            _ => help,
        };
        let message = format!("{what}, in a playbook that is bound to its namespace");
        playbook.error_at(&path, message, help)
    };
    found.into_iter().flatten().map(refuse).collect()
}

fn at_most(limit: std::time::Duration) -> (String, String) {
    (format!("at most {}", humantime::format_duration(limit)), String::new())
}

/// Whether what an event claims can be verified to be within it at all: a pod is looked for nowhere but in the namespace that
/// the event names, if it names one, and nothing but a pod is in a namespace.
pub fn could_cover(reach: &Reach, claim: &Claim) -> bool {
    match reach {
        Reach::Cluster => true,
        Reach::Namespace(_) => {
            let is_named = claim.namespace.is_some();
            let is_elsewhere = is_named && !reach.covers(claim.namespace.as_deref());
            !is_elsewhere && foresee(claim, Needs::default()).is_none()
        }
    }
}

/// The refusal of every step where no pod within the playbook's reach was verified.
pub(super) fn judge(playbook: &Playbook, standing: &Standing) -> Option<Refusal> {
    let Reach::Namespace(own) = &playbook.reach else { return None };
    let namespace = standing.target().map(|target| target.namespace());
    if playbook.reach.covers(namespace) {
        return None;
    }
    let found = match namespace {
        Some(other) => format!("the event's pod was verified to be in {other}"),
        None => "no pod was verified".to_owned(),
    };
    let name = &playbook.name;
    Some(Refusal::new(
        Guardrail::Identity,
        format!("{name} is bound to the namespace {own}: {found}"),
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::act::registry::Registry;

    /// Those of which something may stay within, and say so themselves.
    const WITHIN: [&str; 6] = ["annotate", "delete", "isolate", "label", "notify", "scale"];

    #[test]
    fn each_action_of_our_own_is_known_to_stay_within_or_is_refused_by_its_name() {
        let registry = Registry::standard();
        let beyond = BEYOND.iter().flat_map(|(names, _)| names.iter());
        let known: BTreeSet<_> = beyond.chain(&WITHIN).copied().collect();
        assert_eq!(registry.names().collect::<BTreeSet<_>>(), known);
    }
}
