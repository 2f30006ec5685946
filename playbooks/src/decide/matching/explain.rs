//! Why a playbook is for an event, or not: condition by condition.

use super::Facts;
use super::object::{has_label, owned_by};
use super::selector::subject;
use crate::decide::event::slug;
use crate::decide::{Event, Playbook, Priorities, Priority, Reach};

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It can't be told: never a silent no, the event goes to the dead letters.
    Errs,
}

impl Holds {
    /// Whether all of them hold. One that does not settles it, whatever else can't be told.
    pub fn all(checks: &[Check]) -> Holds {
        let any = |answer| checks.iter().any(|check| check.holds == answer);
        match (any(Holds::No), any(Holds::Errs)) {
            (true, _) => Holds::No,
            (false, true) => Holds::Errs,
            (false, false) => Holds::Yes,
        }
    }
}

impl From<bool> for Holds {
    fn from(holds: bool) -> Holds {
        if holds { Holds::Yes } else { Holds::No }
    }
}

/// One condition, and whether it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The key of `match` that it is about.
    pub what: &'static str,
    /// Whether it holds.
    pub holds: Holds,
    /// What was asked for and what there was; what went wrong, where it can't be told.
    pub why: String,
}

impl Check {
    /// A condition that was judged.
    pub fn new(what: &'static str, holds: impl Into<Holds>, why: impl Into<String>) -> Check {
        Check { what, holds: holds.into(), why: why.into() }
    }
}

/// A set of priorities as it would be written in a playbook.
fn written(asked: Priorities) -> String {
    let among = Priority::ALL.map(|priority| asked.contain(priority));
    let names: Vec<_> =
        Priority::ALL.into_iter().filter(|p| asked.contain(*p)).map(Priority::as_str).collect();
    match names.as_slice() {
        all if all.len() == among.len() => "any".to_owned(),
        [one] => (*one).to_owned(),
        [least, ..] if among.is_sorted() => format!(">= {least}"),
        [.., most] if among.is_sorted_by(|a, b| a >= b) => format!("<= {most}"),
        some => format!("one of {some:?}"),
    }
}

impl Playbook {
    /// What each condition on the event says, in the order they are written of in the documentation.
    pub fn explain(&self, event: &Event<'_>) -> Vec<Check> {
        let selector = &self.selector;
        let mut checks = Vec::new();
        if event.is_internal() {
            let why = "events about Falco or stoop itself are never acted on";
            checks.push(Check::new("event", false, why));
        }
        if let Some(rules) = &selector.rules {
            let passed = rules.match_text(&event.rule);
            checks.push(Check::new(
                "rules",
                passed,
                format!("asks for {rules}, the rule is `{}`", event.rule),
            ));
        }
        if let Some(subjects) = &selector.subjects {
            let subject = subject(&slug(&event.rule), event.priority);
            let passed = subjects.match_text(&subject);
            checks.push(Check::new(
                "subjects",
                passed,
                format!("asks for {subjects}, the subject is `{subject}`"),
            ));
        }
        let priority = event.priority;
        let passed = selector.priorities.contain(priority);
        let why = format!("asks for {}, the priority is {priority}", written(selector.priorities));
        checks.push(Check::new("priority", passed, why));
        if let Some(sources) = &selector.sources {
            let why = format!("asks for one of {sources:?}, the source is `{}`", event.source);
            checks.push(Check::new("sources", selector.allows_source(&event.source), why));
        }
        if let Some(tags) = &selector.tags {
            let why = format!("asks for one of {tags:?}, the tags are {:?}", event.tags);
            checks.push(Check::new("tags", selector.allows_tags(event), why));
        }
        if selector.fields.is_empty() && selector.when.is_none() {
            return checks;
        }
        match event.fields() {
            Err(error) => checks.push(Check::new("fields", Holds::Errs, error.to_string())),
            Ok(fields) => {
                checks.extend(selector.fields.iter().map(|field| {
                    let value = fields.get(&field.key);
                    let found = value
                        .as_ref()
                        .map_or_else(|| "missing".to_owned(), |value| format!("{value:?}"));
                    let passed = value.is_some_and(|value| field.allows(&value));
                    Check::new(
                        "fields",
                        passed,
                        format!("`{}` must be {}, it is {found}", field.key, field.values),
                    )
                }));
                if let Some(when) = &selector.when {
                    checks.push(match when.holds(event, fields) {
                        Ok(passed) => Check::new("when", passed, format!("`{when}` is {passed}")),
                        Err(error) => {
                            Check::new("when", Holds::Errs, format!("{error}, in `{when}`"))
                        }
                    });
                }
            }
        }
        checks
    }

    /// What each condition on the verified object says.
    pub fn explain_object(&self, facts: &Facts) -> Vec<Check> {
        let object = &self.selector.object;
        let namespace = facts.namespace.as_deref().unwrap_or("none");
        let mut checks = Vec::new();
        if let Reach::Namespace(own) = &self.reach {
            let why = format!("is bound to {own}, the namespace is {namespace}");
            let passed = self.reach.covers(facts.namespace.as_deref());
            checks.push(Check::new("reach", passed, why));
        }
        if let Some(names) = &object.namespaces {
            let why = format!("asks for {names}, the namespace is {namespace}");
            checks.push(Check::new("namespaces", object.in_namespaces(facts), why));
        }
        if let Some(names) = &object.not_namespaces {
            let why = format!("leaves out {names}, the namespace is {namespace}");
            checks.push(Check::new("namespaces", object.outside_namespaces(facts), why));
        }
        for (what, wanted, labels) in [
            ("podLabels", &object.pod_labels, &facts.pod_labels),
            ("namespaceLabels", &object.namespace_labels, &facts.namespace_labels),
        ] {
            checks.extend(wanted.iter().map(|(key, values)| {
                let found = labels.get(key).map_or("missing", String::as_str);
                Check::new(
                    what,
                    has_label(labels, key, values),
                    format!("`{key}` must be {values}, it is {found}"),
                )
            }));
        }
        if let Some(owners) = &object.owners {
            let chain: Vec<String> =
                facts.owners.iter().map(|owner| format!("{}/{}", owner.kind, owner.name)).collect();
            let why = format!("asks for {owners}, the owners are {chain:?}");
            checks.push(Check::new("owners", owned_by(facts, owners), why));
        }
        if let Some(images) = &object.images {
            let passed = facts.images.iter().any(|image| images.match_text(image));
            checks.push(Check::new(
                "images",
                passed,
                format!("asks for {images}, the images are {:?}", facts.images),
            ));
        }
        checks
    }
}
