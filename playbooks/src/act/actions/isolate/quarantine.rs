//! The policy that an isolation leaves in the cluster, and what makes one ours.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        core::v1::Pod,
        networking::v1::{NetworkPolicy, NetworkPolicySpec},
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference},
};

use super::{restriction::Restriction, selector::Labels};
use crate::act::{
    api::{FIELD_MANAGER, spec_managers},
    target::{Id, QUARANTINE},
};

/// On our policies: the uid of the pod that it was made for.
pub(super) const POD_UID: &str = "stoop.dev/pod-uid";
/// On our policies, with the value `stoop`.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// On our policies: which playbook asked first.
const PLAYBOOK: &str = "stoop.dev/playbook";

/// Which pods our policy selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reach {
    /// The one pod, by its quarantine label.
    Pod(Id),
    /// Every pod that has this label as well.
    Label { id: Id, key: String, value: String },
}

impl Reach {
    /// True where no other pod is reached.
    pub(super) fn is_one_pod(&self) -> bool {
        matches!(self, Reach::Pod(_))
    }

    /// Our policy's name.
    pub(super) fn policy_name(&self) -> String {
        match self {
            Reach::Pod(id) => format!("stoop-quarantine-{}", id.as_str()),
            Reach::Label { id, .. } => format!("stoop-deny-egress-{}", id.as_str()),
        }
    }

    fn selector(&self) -> LabelSelector {
        let (key, value) = match self {
            Reach::Pod(id) => (QUARANTINE, id.as_str()),
            Reach::Label { key, value, .. } => (key.as_str(), value.as_str()),
        };
        let labels = Labels::from([(key.to_owned(), value.to_owned())]);
        LabelSelector { match_labels: Some(labels), ..LabelSelector::default() }
    }

    /// Our policy's spec.
    pub(super) fn spec(&self, restriction: &Restriction) -> NetworkPolicySpec {
        restriction.to_policy(self.selector())
    }

    /// Our policy, as it is applied: in place of `stored`, or made anew.
    pub(super) fn policy(
        &self,
        pod: &Pod,
        restriction: &Restriction,
        playbook: &str,
        stored: Option<&NetworkPolicy>,
    ) -> NetworkPolicy {
        let mut spec = self.spec(restriction);
        // A field that isn't applied stays as another manager has set it: rules that are not to be are sent as none.
        spec.ingress.get_or_insert_default();
        spec.egress.get_or_insert_default();
        let stored = stored.map(|policy| &policy.metadata);
        NetworkPolicy { metadata: self.metadata(pod, playbook, stored), spec: Some(spec) }
    }

    /// The metadata of a policy of ours, as it is applied.
    ///
    /// It belongs to the pod, so that the garbage collector takes it along; one that reaches others stays.
    pub(super) fn metadata(
        &self,
        pod: &Pod,
        playbook: &str,
        stored: Option<&ObjectMeta>,
    ) -> ObjectMeta {
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let owner = match self {
            Reach::Pod(_) => Some(vec![OwnerReference {
                api_version: "v1".into(),
                kind: "Pod".into(),
                name: pod.metadata.name.clone().unwrap_or_default(),
                uid: uid.clone(),
                ..OwnerReference::default()
            }]),
            Reach::Label { .. } => None,
        };
        ObjectMeta {
            name: Some(self.policy_name()),
            namespace: pod.metadata.namespace.clone(),
            labels: Some(BTreeMap::from([
                (MANAGED_BY.to_owned(), "stoop".to_owned()),
                (POD_UID.to_owned(), uid),
            ])),
            annotations: Some(BTreeMap::from([(PLAYBOOK.to_owned(), playbook.to_owned())])),
            owner_references: owner,
            uid: stored.and_then(|meta| meta.uid.clone()),
            resource_version: match stored {
                Some(meta) => meta.resource_version.clone(),
                // No object ever has this version: one that appeared meanwhile is a conflict, none is created.
                None => Some("1".to_owned()),
            },
            ..ObjectMeta::default()
        }
    }
}

/// True for a policy that was made for this pod by us.
pub(super) fn is_ours(policy: &ObjectMeta, uid: &str) -> bool {
    let labels = policy.labels.as_ref();
    let has = |key: &str, value: &str| {
        labels.and_then(|labels| labels.get(key)).is_some_and(|it| it == value)
    };
    has(MANAGED_BY, "stoop") && has(POD_UID, uid)
}

/// True where somebody else has changed what our policy selects or allows.
pub(super) fn is_changed_by_others(policy: &ObjectMeta) -> bool {
    spec_managers(policy).any(|manager| manager != FIELD_MANAGER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::object::Uid;

    #[test]
    fn names_are_labels_of_the_dns_and_differ_by_uid() {
        let id = Id::of(&Uid::new("0b6f1d3c-7e58-4c0e-9a41-3d2f7c1b5a90"));
        assert_ne!(id, Id::of(&Uid::new("ffffffff-7e58-4c0e-9a41-3d2f7c1b5a90")));
        let by_label = Reach::Label { id: id.clone(), key: "app".into(), value: "web".into() };
        for reach in [Reach::Pod(id), by_label] {
            let name = reach.policy_name();
            assert!(name.len() <= 63, "{name}");
            assert!(
                name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'),
                "{name}"
            );
        }
    }
}
