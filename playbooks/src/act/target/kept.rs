//! What a pod was before stoop isolated it: the marks on it, and what they say.
//!
//! An isolation takes labels away, and the owner lets go of the pod. A redelivery after a crash must judge the pod as the
//! first delivery did, so that the target is read with what the annotation keeps.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::OwnerReference};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::verified::{annotations, controller};
use crate::act::object::Uid;

type Labels = BTreeMap<String, String>;

/// On the pod: the label that our policy selects, whose value is the isolation's id.
pub(in crate::act) const QUARANTINE: &str = "stoop.dev/quarantine";
/// On the pod: the labels that were taken away and the owner that let go, as JSON.
pub(in crate::act) const KEPT: &str = "stoop.dev/quarantine-kept";

/// The pod's own isolation, the same for every worker and playbook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::act) struct Id(String);

impl Id {
    /// By the pod's uid: a successor of the same name has another.
    pub(in crate::act) fn of(uid: &Uid) -> Id {
        Id::hash(uid.as_str())
    }

    /// For a policy that reaches every pod with the value that this one has under the key.
    pub(in crate::act) fn of_label(uid: &Uid, key: &str) -> Id {
        Id::hash(&format!("{uid}/{key}"))
    }

    fn hash(text: &str) -> Id {
        let hash = Sha256::digest(text.as_bytes());
        Id(hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect())
    }

    /// The quarantine label's value.
    pub(in crate::act) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What the pod's annotation keeps of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(in crate::act) struct Kept {
    /// Which isolation took them.
    pub(in crate::act) id: String,
    /// Key and value.
    pub(in crate::act) labels: Labels,
    /// The controller that the pod had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::act) owner: Option<OwnerReference>,
}

impl Kept {
    /// What a pod's annotation keeps for this isolation; nothing where it is another's, or can't be read.
    pub(in crate::act) fn of(pod: &Pod, id: &Id) -> Option<Kept> {
        let text = annotations(pod)?.get(KEPT)?;
        let kept: Kept = serde_json::from_str(text).ok()?;
        (kept.id == id.as_str()).then_some(kept)
    }

    /// The annotation's text.
    pub(in crate::act) fn to_text(&self) -> String {
        serde_json::json!(self).to_string()
    }
}

/// The labels that the pod had before it was isolated.
pub(super) fn labels_before(pod: &Pod) -> Labels {
    let mut labels = pod.metadata.labels.clone().unwrap_or_default();
    if let Some(kept) = kept(pod) {
        labels.remove(QUARANTINE);
        for (key, value) in kept.labels {
            labels.entry(key).or_insert(value);
        }
    }
    labels
}

/// The controller that the pod has, or had before it was isolated.
pub(super) fn owner_before(pod: &Pod) -> Option<OwnerReference> {
    controller(pod).cloned().or_else(|| kept(pod)?.owner)
}

/// Only of a pod that wears its own mark.
fn kept(pod: &Pod) -> Option<Kept> {
    let id = Id::of(&Uid::new(pod.metadata.uid.clone()?));
    let marked = pod.metadata.labels.as_ref()?.get(QUARANTINE)? == id.as_str();
    marked.then(|| Kept::of(pod, &id)).flatten()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;

    #[test]
    fn an_annotation_of_another_isolation_or_of_nonsense_keeps_nothing() {
        let pod = |text: &str| Pod {
            metadata: ObjectMeta {
                annotations: Some(BTreeMap::from([(KEPT.to_owned(), text.to_owned())])),
                ..ObjectMeta::default()
            },
            ..Pod::default()
        };
        let id = Id::of(&Uid::new("a"));
        let kept = Kept {
            id: id.0.clone(),
            labels: Labels::from([("app".into(), "web".into())]),
            owner: None,
        };
        assert_eq!(Kept::of(&pod(&kept.to_text()), &id), Some(kept.clone()));
        assert_eq!(Kept::of(&pod(&kept.to_text()), &Id::of(&Uid::new("b"))), None);
        assert_eq!(Kept::of(&pod("{"), &id), None);
        assert_eq!(Kept::of(&Pod::default(), &id), None);
    }

    #[test]
    fn an_isolated_pod_is_read_as_it_was_before() {
        let uid = Uid::new("a");
        let owner = OwnerReference { kind: "ReplicaSet".into(), ..OwnerReference::default() };
        let kept = |id: &Id| Kept {
            id: id.0.clone(),
            labels: Labels::from([("app".into(), "web".into()), ("tier".into(), "front".into())]),
            owner: Some(owner.clone()),
        };
        let pod = |mark: &Id, kept: Kept| Pod {
            metadata: ObjectMeta {
                uid: Some("a".into()),
                labels: Some(Labels::from([
                    (QUARANTINE.to_owned(), mark.0.clone()),
                    ("tier".into(), "back".into()),
                ])),
                annotations: Some(Labels::from([(KEPT.to_owned(), kept.to_text())])),
                ..ObjectMeta::default()
            },
            ..Pod::default()
        };
        let (ours, other) = (Id::of(&uid), Id::of(&Uid::new("b")));
        let isolated = pod(&ours, kept(&ours));
        // What somebody has set since is so now.
        let before = Labels::from([("app".into(), "web".into()), ("tier".into(), "back".into())]);
        assert_eq!(labels_before(&isolated), before);
        assert_eq!(owner_before(&isolated), Some(owner.clone()));
        for forged in
            [pod(&other, kept(&ours)), pod(&ours, kept(&other)), pod(&other, kept(&other))]
        {
            assert_eq!(owner_before(&forged), None);
            assert!(!labels_before(&forged).contains_key("app"));
        }
    }
}
