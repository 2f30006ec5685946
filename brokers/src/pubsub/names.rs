//! The full names of Pub/Sub's resources: <https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names>

use std::fmt;

use crate::contract::Error;

/// `projects/P/subscriptions/S`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subscription(String);

/// `projects/P/topics/T`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Topic(String);

impl Subscription {
    /// What the configuration's `key` names, which is an id of `project` or a full name.
    pub(super) fn new(project: &str, key: &str, name: &str) -> Result<Self, Error> {
        full(project, "subscriptions", key, name).map(Self)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn id(&self) -> &str {
        id(&self.0)
    }
}

impl Topic {
    /// As of a subscription.
    pub(super) fn new(project: &str, key: &str, name: &str) -> Result<Self, Error> {
        full(project, "topics", key, name).map(Self)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn id(&self) -> &str {
        id(&self.0)
    }
}

impl fmt::Display for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn id(full: &str) -> &str {
    full.rsplit('/').next().unwrap_or(full)
}

fn full(project: &str, kind: &str, key: &str, name: &str) -> Result<String, Error> {
    let parts: Vec<_> = name.split('/').collect();
    match parts.as_slice() {
        [id] if is_id(id) => Ok(format!("projects/{project}/{kind}/{id}")),
        ["projects", project, of, id] if *of == kind && !project.is_empty() && is_id(id) => {
            Ok(name.to_owned())
        }
        _ => Err(Error::Configuration(format!(
            "{key} {name:?} is no name of Pub/Sub's: write an id of 3 to 255 letters, digits and -._~+% that begins with a \
             letter, or projects/PROJECT/{kind}/ID"
        ))),
    }
}

fn is_id(id: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~+%".contains(c);
    (3..=255).contains(&id.len())
        && id.starts_with(|c: char| c.is_ascii_alphabetic())
        && id.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_projects_and_a_full_name_is_taken_as_it_is() {
        let name = |name| Topic::new("acme", "topic", name).map(|topic| topic.to_string()).ok();
        assert_eq!(name("falco").as_deref(), Some("projects/acme/topics/falco"));
        let other = "projects/other/topics/falco";
        assert_eq!(name(other).as_deref(), Some(other));
        assert_eq!(Topic::new("acme", "topic", other).unwrap().id(), "falco");
        for wrong in [
            "",
            "ab",
            "1ab",
            "a b c",
            "projects/other/subscriptions/falco",
            "projects//topics/falco",
        ] {
            assert_eq!(name(wrong), None, "{wrong}");
        }
    }
}
