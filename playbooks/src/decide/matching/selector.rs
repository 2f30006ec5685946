//! One playbook's `match`, compiled.

use super::Facts;
use super::object::ObjectMatch;
use super::pattern::Patterns;
use super::when::When;
use crate::decide::{Event, EventError, FieldValue, Fields, Playbook, Priorities, Priority, Reach};

/// Which events and objects a playbook answers. All conditions that it has must hold.
#[derive(Debug)]
pub struct Match {
    pub(super) rules: Option<Patterns>,
    pub(super) subjects: Option<Patterns>,
    pub(super) priorities: Priorities,
    pub(super) sources: Option<Vec<String>>,
    pub(super) tags: Option<Vec<String>>,
    pub(super) fields: Vec<FieldMatch>,
    pub(super) when: Option<When>,
    pub(super) object: ObjectMatch,
}

/// A field, and the values it may have.
#[derive(Debug, Clone)]
pub(super) struct FieldMatch {
    pub(super) key: String,
    pub(super) values: Patterns,
}

/// What a playbook says to an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    No,
    Yes,
    /// Everything but `when` holds, and that can't be evaluated.
    WhenFailed(String),
}

impl Match {
    /// Which priorities the playbook answers.
    pub fn priorities(&self) -> Priorities {
        self.priorities
    }

    /// Whether the source is one of those asked for.
    pub(super) fn allows_source(&self, source: &str) -> bool {
        self.sources.as_ref().is_none_or(|sources| sources.iter().any(|wanted| wanted == source))
    }

    /// Whether the event has one of the tags asked for.
    pub(super) fn allows_tags(&self, event: &Event<'_>) -> bool {
        self.tags
            .as_ref()
            .is_none_or(|tags| event.tags.iter().any(|tag| tags.iter().any(|wanted| wanted == tag)))
    }

    /// A field that must have one of some texts, if there is such a one.
    pub(super) fn needed_field(&self) -> Option<&FieldMatch> {
        let needs = self.when.as_ref().map_or(&[][..], When::needs);
        self.fields.iter().chain(needs).find(|field| !field.values.has_globs())
    }

    /// Everything that rule and priority don't decide.
    pub(super) fn judge(&self, event: &Event<'_>) -> Result<Verdict, EventError> {
        if !self.allows_source(&event.source) || !self.allows_tags(event) {
            return Ok(Verdict::No);
        }
        if !self.fields.is_empty() {
            let fields = event.fields()?;
            if !self.fields.iter().all(|field| field.holds(fields)) {
                return Ok(Verdict::No);
            }
        }
        let Some(when) = &self.when else { return Ok(Verdict::Yes) };
        Ok(match when.holds(event, event.fields()?) {
            Ok(true) => Verdict::Yes,
            Ok(false) => Verdict::No,
            Err(error) => Verdict::WhenFailed(error),
        })
    }
}

impl FieldMatch {
    /// Whether the event has the field with one of the values.
    pub(super) fn holds(&self, fields: &Fields<'_>) -> bool {
        fields.get(&self.key).is_some_and(|value| self.allows(&value))
    }

    /// Whether the value, or one of a list's, is allowed. A value that Falco says is missing never is.
    pub(super) fn allows(&self, value: &FieldValue<'_>) -> bool {
        match value {
            FieldValue::List(values) => values.iter().any(|value| self.allows(value)),
            value => value.text().is_some_and(|text| self.values.match_text(&text)),
        }
    }
}

/// The subject that Falcosidekick publishes a rule of this slug under.
pub(super) fn subject(slug: &str, priority: Priority) -> String {
    format!("falco.{}.{slug}", priority.as_lower())
}

impl Playbook {
    /// Whether it asks for something that only the verified object can tell.
    pub fn needs_object(&self) -> bool {
        !self.selector.object.is_empty() || self.reach != Reach::Cluster
    }

    /// The rules that it names in full; globs are not among them.
    pub fn named_rules(&self) -> &[String] {
        self.selector.rules.as_ref().map(Patterns::exact).unwrap_or_default()
    }

    /// Whether it asks for the labels of the object's namespace, which cost a read of their own.
    pub fn needs_namespace_labels(&self) -> bool {
        !self.selector.object.namespace_labels.is_empty()
    }

    /// Whether it asks for the object's owners, whose chain costs reads of its own.
    pub fn needs_owners(&self) -> bool {
        self.selector.object.owners.is_some()
    }

    /// Whether a verified object is within its reach, and `namespaces` and `target` hold for it.
    pub fn selects(&self, facts: &Facts) -> bool {
        self.reach.covers(facts.namespace.as_deref()) && self.selector.object.holds(facts)
    }

    /// Whether an object that can't be read any more, once of this namespace, could have been selected.
    ///
    /// Nothing may be changed on the strength of it: the namespace is only what the event claims, and so it never is one
    /// of a playbook that is bound to a namespace.
    pub fn could_select_in(&self, namespace: Option<&str>) -> bool {
        if self.reach != Reach::Cluster {
            return false;
        }
        let Some(namespace) = namespace else { return true };
        let facts = Facts { namespace: Some(namespace.to_owned()), ..Facts::default() };
        self.selector.object.in_namespaces(&facts)
            && self.selector.object.outside_namespaces(&facts)
    }
}
