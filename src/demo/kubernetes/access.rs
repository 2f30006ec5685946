//! Who may do what, and the review that tells.

use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use serde_json::{Value, json};

use super::status::{Failure, bad_request, details, forbidden, qualified};

/// Whoever doesn't impersonate another.
pub(super) const ADMIN: &str = "admin";

/// What somebody wants to do: the attributes that a rule judges, empty where they don't apply.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of Kubernetes' ResourceAttributes")]
pub struct Access {
    pub user: String,
    pub verb: String,
    pub group: String,
    pub resource: String,
    pub subresource: String,
    pub namespace: String,
    pub name: String,
}

pub(super) type Rule = Box<dyn Fn(&Access) -> bool + Send>;

/// The rule to begin with: the administrator may do everything, nobody else anything.
pub(super) fn admin_only() -> Rule {
    Box::new(|access| access.user == ADMIN)
}

pub(super) fn check(rule: &Rule, access: &Access) -> Result<(), Failure> {
    if rule(access) {
        return Ok(());
    }
    let Access { user, verb, group, resource, subresource, namespace, name } = access;
    let dotted = qualified(resource, group);
    let object = if name.is_empty() { dotted } else { format!("{dotted} {name:?}") };
    let what = if subresource.is_empty() { resource } else { &format!("{resource}/{subresource}") };
    let place = match namespace.as_str() {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace {namespace:?}"),
    };
    let why =
        format!("User {user:?} cannot {verb} resource {what:?} in API group {group:?} {place}");
    Err(forbidden(&format!("{object} is forbidden: {why}"), details(group, resource, name)))
}

/// Answers a SelfSubjectAccessReview by the same rule that requests are held to.
pub(super) fn review(rule: &Rule, user: &str, body: Value) -> Result<Value, Failure> {
    let review: SelfSubjectAccessReview =
        serde_json::from_value(body).map_err(|error| bad_request(&error.to_string()))?;
    let asked = review.spec.resource_attributes.clone().unwrap_or_default();
    let allowed = rule(&Access {
        user: user.to_owned(),
        verb: asked.verb.unwrap_or_default(),
        group: asked.group.unwrap_or_default(),
        resource: asked.resource.unwrap_or_default(),
        subresource: asked.subresource.unwrap_or_default(),
        namespace: asked.namespace.unwrap_or_default(),
        name: asked.name.unwrap_or_default(),
    });
    let mut answer = json!(review);
    answer["status"] = json!({ "allowed": allowed });
    Ok(answer)
}
