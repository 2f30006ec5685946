//! One right on the API server, and whether the worker has it.

use std::fmt;

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::PostParams;
use serde::Serialize;

use super::{Api, ApiError};

/// A verb on a kind of object: what a ClusterRole grants.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Permission {
    /// The API group; empty for the core group.
    pub group: String,
    /// The resource's plural, lower case.
    pub resource: String,
    /// Where the right is on a subresource only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subresource: Option<String>,
    /// `get`, `list`, `delete`, …
    pub verb: String,
    /// Where the right is needed in one namespace only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Where the right is needed on one object only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Permission {
    /// A verb on every object of a resource, given as `pods`, `pods/eviction`, in the API group `group`.
    pub fn new(group: &str, resource: &str, verb: &str) -> Permission {
        let (resource, subresource) = match resource.split_once('/') {
            Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
            None => (resource, None),
        };
        Permission {
            group: group.to_owned(),
            resource: resource.to_owned(),
            subresource,
            verb: verb.to_owned(),
            namespace: None,
            name: None,
        }
    }

    /// The same right in one namespace only.
    pub fn within(mut self, namespace: &str) -> Permission {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// The same right on one object only.
    pub fn on(mut self, namespace: &str, name: &str) -> Permission {
        self.namespace = Some(namespace.to_owned());
        self.name = Some(name.to_owned());
        self
    }
}

/// Resources without namespaces, among those that any action asks for.
const WITHOUT_NAMESPACES: [&str; 6] = [
    "nodes",
    "namespaces",
    "adminnetworkpolicies",
    "ciliumclusterwidenetworkpolicies",
    "clusternetworkpolicies",
    "globalnetworkpolicies",
];

impl Permission {
    /// Whether the objects are a namespace's, so that a role there can grant it.
    pub(in crate::act) fn has_namespaces(&self) -> bool {
        !WITHOUT_NAMESPACES.contains(&self.resource.as_str())
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if let Some(subresource) = &self.subresource {
            write!(f, "/{subresource}")?;
        }
        if let Some(name) = &self.name {
            write!(f, " {name}")?;
        }
        match &self.namespace {
            Some(namespace) => write!(f, " in {namespace}"),
            None => Ok(()),
        }
    }
}

impl Api {
    /// Asks the API server whether the worker has this right.
    pub async fn can_i(&self, permission: &Permission) -> Result<bool, ApiError> {
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    group: Some(permission.group.clone()),
                    resource: Some(permission.resource.clone()),
                    subresource: permission.subresource.clone(),
                    verb: Some(permission.verb.clone()),
                    namespace: permission.namespace.clone(),
                    name: permission.name.clone(),
                    ..ResourceAttributes::default()
                }),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let answer = self
            .call(|client| async move {
                kube::Api::<SelfSubjectAccessReview>::all(client)
                    .create(&PostParams::default(), &review)
                    .await
            })
            .await?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }
}
