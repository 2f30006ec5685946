//! A pod that an event was verified to be about.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Pod, PodSpec},
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};

use super::{
    Needs,
    facts::{Gathered, Unread},
    judge::earliest,
    kept::owner_before,
};
use crate::{
    act::{
        object::{ClusterId, ObjectRef, Uid},
        outcome::Failure,
    },
    decide::Facts,
};

/// The proof that an event is about this very pod, and the pod as it was read at that time.
///
/// Only `verify` makes one. Every write takes the uid from here, so that it can reach no other pod.
#[derive(Debug)]
pub struct Verified {
    cluster: Option<ClusterId>,
    object: ObjectRef,
    namespace: String,
    uid: Uid,
    facts: Facts,
    namespace_annotations: Option<BTreeMap<String, String>>,
    unread: Unread,
    owner: Option<OwnerReference>,
    pod: Pod,
}

impl Verified {
    /// `None` where the pod lacks what every stored pod has.
    pub(super) fn new(
        cluster: Option<ClusterId>,
        pod: Pod,
        gathered: Gathered,
    ) -> Option<Verified> {
        let Gathered { facts, namespace_annotations, unread } = gathered;
        let namespace = pod.metadata.namespace.clone()?;
        let object = ObjectRef::pod(namespace.clone(), pod.metadata.name.clone()?);
        let uid = Uid::new(pod.metadata.uid.clone()?);
        let owner = owner_before(&pod);
        Some(Verified {
            cluster,
            object,
            namespace,
            uid,
            facts,
            namespace_annotations,
            unread,
            owner,
            pod,
        })
    }

    /// Why what has these needs can't be judged by it: what was asked for when it was verified, and could not be read.
    pub fn unread(&self, needs: Needs) -> impl Iterator<Item = &Failure> {
        self.unread.of(needs)
    }

    /// The cluster's configured name.
    pub fn cluster(&self) -> Option<&ClusterId> {
        self.cluster.as_ref()
    }

    /// Where the pod is found.
    pub fn object(&self) -> &ObjectRef {
        &self.object
    }

    /// The pod's namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The pod's name.
    pub fn name(&self) -> &str {
        &self.object.name
    }

    /// The uid that every write has to carry.
    pub fn uid(&self) -> &Uid {
        &self.uid
    }

    /// What `match.target` and `match.namespaces` judge, as it was before stoop changed anything, but for what is
    /// [`unread`](Self::unread).
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The annotations of its namespace, where somebody asked for them.
    pub(in crate::act) fn namespace_annotations(&self) -> Option<&BTreeMap<String, String>> {
        self.namespace_annotations.as_ref()
    }

    /// The pod as it was read.
    pub fn pod(&self) -> &Pod {
        &self.pod
    }

    /// The earliest time at which an event can be about what runs in it.
    pub fn since(&self) -> Option<Timestamp> {
        self.pod.metadata.creation_timestamp.as_ref().map(|created| earliest(created.0))
    }

    /// The node that the pod runs on.
    pub fn node(&self) -> Option<&str> {
        self.spec().and_then(|spec| spec.node_name.as_deref())
    }

    /// The owner that replaces the pod: the ownerReference with `controller: true`, or the one that an isolation
    /// made it let go of.
    pub fn owner(&self) -> Option<&OwnerReference> {
        self.owner.as_ref()
    }

    /// True for a static pod's mirror: deleting it in the API does nothing to the process.
    pub fn is_mirror(&self) -> bool {
        is_mirror(&self.pod)
    }

    /// The pod's priority class.
    pub fn priority_class(&self) -> Option<&str> {
        self.spec().and_then(|spec| spec.priority_class_name.as_deref())
    }

    pub(in crate::act) fn spec(&self) -> Option<&PodSpec> {
        self.pod.spec.as_ref()
    }
}

pub(in crate::act) fn controller(pod: &Pod) -> Option<&OwnerReference> {
    pod.metadata.owner_references.as_ref()?.iter().find(|owner| owner.controller == Some(true))
}

/// Set by the kubelet, which is also the only one that can give a mirror pod to the API server.
const MIRROR: &str = "kubernetes.io/config.mirror";

pub(in crate::act) fn is_mirror(pod: &Pod) -> bool {
    annotations(pod).is_some_and(|all| all.contains_key(MIRROR))
}

pub(super) fn annotations(pod: &Pod) -> Option<&BTreeMap<String, String>> {
    pod.metadata.annotations.as_ref()
}
