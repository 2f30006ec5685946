//! What a rehearsal can't tell, and why a playbook was never asked.

use std::time::Duration;

use playbooks::{
    act::Plan,
    decide::{Budget, Check, Event, Holds, OnFailure, Playbook, Step},
};

use super::{answers::is_counted, seen::Rules};

/// What no rehearsal can tell.
pub(super) const LIMITS: [&str; 4] = [
    "age: all of this is past. Live, an event older than `limits.maxEventAge`, or than its action allows, is refused",
    "time: here an answer takes none, so a burst is as long as the cooldown. Live it is longer by what the answer takes",
    "namespaces and pods are what events claim. Live, only the verified object counts",
    "what an answer would have changed: a deleted pod raises no more events, so enforcing would have met fewer",
];

/// What only a look at the live cluster can tell of a playbook's answers.
pub(super) fn live_checks(plan: &Plan, budget: Option<Budget>) -> Vec<String> {
    let mut checks = Vec::new();
    if plan.needs_target() {
        checks.push(
            "whether the pod is still there, and by its uid or container the very one".to_owned(),
        );
    }
    if plan.playbook.needs_object() {
        checks.push(
            "whether the live object is one that `match` asks for: namespaces, labels, owners, images"
                .to_owned(),
        );
    }
    for step in steps(&plan.playbook.actions) {
        if step.action == "delete" {
            let owners = step.config.get("owners").map(ToString::to_string);
            let owners = owners.unwrap_or_else(|| r#"["ReplicaSet"]"#.to_owned());
            checks.push(format!("delete: whether the pod's owner is one of {owners}"));
            if let Some(least) = step.config.get("minHealthy") {
                checks.push(format!("delete: whether minHealthy {least} would still hold"));
            }
        }
        if step.action == "isolate" {
            checks.push(
                "isolate: which policies select the pod, and so what it would be worth".to_owned(),
            );
        }
    }
    if plan.contains() {
        checks
            .push("mirror pods, system priority classes, the kill switch, the breaker".to_owned());
    }
    if let Some(budget) = budget.filter(|budget| !is_counted(budget.scope)) {
        checks.push(format!("the budget of {budget}, which is not counted here"));
    }
    checks
}

/// All steps, fallbacks included.
fn steps(all: &[Step]) -> Vec<&Step> {
    let mut found = Vec::new();
    for step in all {
        found.push(step);
        if let OnFailure::Run(below) = &step.on_failure {
            found.extend(steps(below));
        }
    }
    found
}

/// Why a playbook was never asked: rules that were not there, or the condition that stood in the way.
pub(super) fn never(playbook: &Playbook, seen: &Rules) -> Vec<String> {
    let mut why = Vec::new();
    for rule in playbook.named_rules() {
        if seen.get(rule).is_some() {
            continue;
        }
        why.push(match seen.nearest(rule) {
            Some(near) => format!("no event of the rule `{rule}`; is `{near}` meant?"),
            None => format!("no event of the rule `{rule}`"),
        });
    }
    why.extend(near_miss(playbook, seen));
    why
}

/// The event that failed the fewest conditions, its rule not among them.
fn near_miss(playbook: &Playbook, seen: &Rules) -> Option<String> {
    let failed = |checks: &[Check]| checks.iter().filter(|check| check.holds == Holds::No).count();
    let is_wanted = |checks: &[Check]| {
        checks
            .iter()
            .all(|c| c.holds != Holds::No || !matches!(c.what, "rules" | "subjects" | "event"))
    };
    let mut nearest: Option<(usize, &str, u64, Vec<Check>)> = None;
    for (rule, of) in seen.iter() {
        for event in of.samples.iter().filter_map(|sample| Event::decode(sample).ok()) {
            let checks = playbook.explain(&event);
            let failed = failed(&checks);
            if is_wanted(&checks) && nearest.as_ref().is_none_or(|(fewest, ..)| failed < *fewest) {
                nearest = Some((failed, rule, of.events, checks));
            }
        }
    }
    let (_, rule, events, checks) = nearest?;
    let why: Vec<_> = checks
        .iter()
        .filter(|check| check.holds == Holds::No)
        .map(|check| format!("{} {}", check.what, check.why))
        .collect();
    match why.is_empty() {
        // It matches, and the object that the event claims is none of its.
        true => Some(format!("events of `{rule}` match, but for the namespace that they claim")),
        false => Some(format!("nearest are the {events} events of `{rule}`: {}", why.join("; "))),
    }
}

/// A length of time for a person.
pub(super) fn span(duration: Duration) -> String {
    let span = jiff::SignedDuration::try_from(duration).unwrap_or_default();
    format!("{span:#}")
}
