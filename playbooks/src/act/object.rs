//! Names of objects, kept apart by type so that a name can't stand in for a uid.

use std::fmt;

use serde::Serialize;

/// `metadata.uid`: the only name that is never reused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Uid(String);

impl Uid {
    /// A uid as the API server gave it.
    pub fn new(uid: impl Into<String>) -> Uid {
        Uid(uid.into())
    }

    /// The uid's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A cluster's configured name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct ClusterId(String);

impl ClusterId {
    /// The name that the configuration gives this cluster.
    pub fn new(name: impl Into<String>) -> ClusterId {
        ClusterId(name.into())
    }

    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where an object is found: kind, namespace and name, as at the time of verification.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct ObjectRef {
    /// `Pod`, `Node`, …
    pub kind: &'static str,
    /// Absent for cluster-scoped objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
}

impl ObjectRef {
    /// A pod.
    pub fn pod(namespace: impl Into<String>, name: impl Into<String>) -> ObjectRef {
        ObjectRef { kind: "Pod", namespace: Some(namespace.into()), name: name.into() }
    }

    /// A Deployment.
    pub fn deployment(namespace: impl Into<String>, name: impl Into<String>) -> ObjectRef {
        ObjectRef { kind: "Deployment", namespace: Some(namespace.into()), name: name.into() }
    }

    /// A node.
    pub fn node(name: impl Into<String>) -> ObjectRef {
        ObjectRef { kind: "Node", namespace: None, name: name.into() }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => {
                write!(f, "{} {namespace}/{}", self.kind.to_ascii_lowercase(), self.name)
            }
            None => write!(f, "{} {}", self.kind.to_ascii_lowercase(), self.name),
        }
    }
}
