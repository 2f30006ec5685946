//! What is known of a verified object.

use std::collections::BTreeMap;

/// An object as it was read when it was verified, before anything was changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its namespace; a node has none.
    pub namespace: Option<String>,
    /// The pod's labels.
    pub pod_labels: BTreeMap<String, String>,
    /// The labels of its namespace.
    pub namespace_labels: BTreeMap<String, String>,
    /// The whole chain: a ReplicaSet and the Deployment above it.
    pub owners: Vec<Owner>,
    /// The images of all its containers.
    pub images: Vec<String>,
}

/// One owner of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Such as `Deployment`.
    pub kind: String,
    /// Its name.
    pub name: String,
}
