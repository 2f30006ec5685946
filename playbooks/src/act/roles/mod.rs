//! The least roles for what was loaded: each right once, where it is needed, and for whom.
//!
//! Pure: from rights to rules and their text. What an action takes is the action's to say.

mod yaml;

use std::collections::{BTreeMap, BTreeSet};

use super::api::Permission;

/// A right, and who needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// The right.
    pub permission: Permission,
    /// Who needs it, such as `shell-in-container: delete`; one line.
    pub needed_by: String,
}

impl Right {
    /// A right that is needed by `needed_by`.
    pub fn new(permission: Permission, needed_by: impl Into<String>) -> Right {
        Right { permission, needed_by: needed_by.into() }
    }
}

/// Who is bound to the roles, and what they are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound<'a> {
    /// The name of every role and binding.
    pub role: &'a str,
    /// The namespace of the worker's ServiceAccount.
    pub namespace: &'a str,
    /// The worker's ServiceAccount.
    pub account: &'a str,
}

/// The least roles that grant some rights.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roles {
    /// In every namespace, and on what has none.
    cluster: Vec<Rule>,
    /// By namespace, in that namespace alone.
    namespaced: BTreeMap<String, Vec<Rule>>,
}

/// The verbs on one resource that the same ones need.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Rule {
    group: String,
    /// With its subresource, as in `pods/eviction`.
    resource: String,
    /// On this object alone.
    name: Option<String>,
    needed_by: BTreeSet<String>,
    verbs: BTreeSet<String>,
}

impl Roles {
    /// Grants these rights, and nothing else.
    pub fn granting(rights: impl IntoIterator<Item = Right>) -> Roles {
        let mut needed_by = BTreeMap::<Permission, BTreeSet<String>>::new();
        for right in rights {
            needed_by.entry(right.permission).or_default().insert(right.needed_by);
        }
        let mut roles = Roles::default();
        for (permission, needed_by) in needed_by {
            let rules = match &permission.namespace {
                Some(namespace) => roles.namespaced.entry(namespace.clone()).or_default(),
                None => &mut roles.cluster,
            };
            Rule::new(permission, needed_by).join(rules);
        }
        roles.cluster.sort();
        roles.namespaced.values_mut().for_each(|rules| rules.sort());
        roles
    }

    /// True where nothing is needed at all.
    pub fn is_empty(&self) -> bool {
        self.cluster.is_empty() && self.namespaced.is_empty()
    }
}

impl Rule {
    fn new(permission: Permission, needed_by: BTreeSet<String>) -> Rule {
        let Permission { group, resource, subresource, verb, name, namespace: _ } = permission;
        let resource = match subresource {
            Some(subresource) => format!("{resource}/{subresource}"),
            None => resource,
        };
        Rule { group, resource, name, needed_by, verbs: BTreeSet::from([verb]) }
    }

    /// Adds its verb to the rule that says the rest already, or itself.
    fn join(self, rules: &mut Vec<Rule>) {
        let says_the_rest = |rule: &&mut Rule| {
            (&rule.group, &rule.resource, &rule.name, &rule.needed_by)
                == (&self.group, &self.resource, &self.name, &self.needed_by)
        };
        match rules.iter_mut().find(says_the_rest) {
            Some(rule) => rule.verbs.extend(self.verbs),
            None => rules.push(self),
        }
    }
}

#[cfg(test)]
mod tests;
