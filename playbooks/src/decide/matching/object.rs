//! The conditions on the verified object: never judged on what the event claims.

use super::Facts;
use super::pattern::Patterns;

/// `namespaces` and `target`.
#[derive(Debug, Clone, Default)]
pub(super) struct ObjectMatch {
    pub(super) namespaces: Option<Patterns>,
    pub(super) not_namespaces: Option<Patterns>,
    pub(super) pod_labels: Vec<(String, Patterns)>,
    pub(super) namespace_labels: Vec<(String, Patterns)>,
    pub(super) owners: Option<Patterns>,
    pub(super) images: Option<Patterns>,
}

impl ObjectMatch {
    /// Whether there is any condition.
    pub(super) fn is_empty(&self) -> bool {
        self.namespaces.is_none()
            && self.not_namespaces.is_none()
            && self.pod_labels.is_empty()
            && self.namespace_labels.is_empty()
            && self.owners.is_none()
            && self.images.is_none()
    }

    /// Whether all conditions hold. Something that the object doesn't have fails every condition that asks for it.
    pub(super) fn holds(&self, facts: &Facts) -> bool {
        self.in_namespaces(facts)
            && self.outside_namespaces(facts)
            && self.pod_labels.iter().all(|(key, values)| has_label(&facts.pod_labels, key, values))
            && self
                .namespace_labels
                .iter()
                .all(|(key, values)| has_label(&facts.namespace_labels, key, values))
            && self.owners.as_ref().is_none_or(|owners| owned_by(facts, owners))
            && self
                .images
                .as_ref()
                .is_none_or(|images| facts.images.iter().any(|image| images.match_text(image)))
    }

    pub(super) fn in_namespaces(&self, facts: &Facts) -> bool {
        let among = |names: &Patterns| {
            facts.namespace.as_deref().is_some_and(|name| names.match_text(name))
        };
        self.namespaces.as_ref().is_none_or(among)
    }

    pub(super) fn outside_namespaces(&self, facts: &Facts) -> bool {
        let among = |names: &Patterns| {
            facts.namespace.as_deref().is_some_and(|name| names.match_text(name))
        };
        !self.not_namespaces.as_ref().is_some_and(among)
    }
}

pub(super) fn has_label(
    labels: &std::collections::BTreeMap<String, String>,
    key: &str,
    values: &Patterns,
) -> bool {
    labels.get(key).is_some_and(|value| values.match_text(value))
}

pub(super) fn owned_by(facts: &Facts, owners: &Patterns) -> bool {
    facts.owners.iter().any(|owner| owners.match_text(&format!("{}/{}", owner.kind, owner.name)))
}
