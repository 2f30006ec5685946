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
///
/// What is kept is only the word of whoever may patch the pod, who could name another's owner and have that one scaled
/// down. A pod's name can't be patched, and tells who made it; that the owner of the name is the one of the uid is for
/// those to see who read it.
pub(super) fn owner_before(pod: &Pod) -> Option<OwnerReference> {
    let kept = || kept(pod)?.owner.filter(|owner| is_named_after(pod, owner));
    controller(pod).cloned().or_else(kept)
}

/// Where the API server cuts the prefix of a generated name, and how many characters it puts behind it:
/// `maxGeneratedNameLength` and `randomLength` in
/// <https://github.com/kubernetes/apiserver/blob/master/pkg/storage/names/generate.go>.
const LONGEST_PREFIX: usize = 58;
const RANDOM: usize = 5;

/// True where the pod has a name such as the owner gives.
fn is_named_after(pod: &Pod, owner: &OwnerReference) -> bool {
    let Some(pod) = pod.metadata.name.as_deref().filter(|_| !owner.name.is_empty()) else {
        return false;
    };
    let prefix = format!("{}-", owner.name);
    let is_generated = |rest: &str| rest.len() == RANDOM && !rest.contains('-');
    let cut = prefix.get(..LONGEST_PREFIX).and_then(|cut| pod.strip_prefix(cut));
    let whole = pod.strip_prefix(&prefix);
    cut.is_some_and(is_generated)
        || match owner.kind.as_str() {
            // `web` owns no `web-5d-x7k2p`: that is the ReplicaSet `web-5d`'s.
            "ReplicaSet" => whole.is_some_and(is_generated),
            // An ordinal, an index, whatever the kind counts by.
            _ => whole.is_some_and(|rest| !rest.is_empty()),
        }
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
        let owner = OwnerReference {
            kind: "ReplicaSet".into(),
            name: "web-5d".into(),
            ..OwnerReference::default()
        };
        let kept = |id: &Id| Kept {
            id: id.0.clone(),
            labels: Labels::from([("app".into(), "web".into()), ("tier".into(), "front".into())]),
            owner: Some(owner.clone()),
        };
        let pod = |mark: &Id, kept: Kept| Pod {
            metadata: ObjectMeta {
                name: Some("web-5d-x7k2p".into()),
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

    #[test]
    fn a_kept_owner_is_believed_only_where_the_pods_own_name_bears_it_out() {
        let long = "a".repeat(60);
        let cut = format!("{}x7k2p", &long[..58]);
        let table = [
            ("web-5d-x7k2p", "ReplicaSet", "web-5d", true),
            ("web-5d-x7k2p", "ReplicaSet", "web", false),
            ("web-5d-x7k2p", "ReplicaSet", "victim-5d", false),
            ("web-5d-x7k2p", "ReplicaSet", "web-5", false),
            ("web-5d-x7k2p", "ReplicaSet", "", false),
            ("web-5d-", "ReplicaSet", "web-5d", false),
            ("web", "ReplicaSet", "web", false),
            ("db-0", "StatefulSet", "db", true),
            ("db-", "StatefulSet", "db", false),
            ("db", "StatefulSet", "db", false),
            ("crawl-3-x7k2p", "Job", "crawl", true),
            (&cut, "ReplicaSet", &long, true),
            (&cut, "ReplicaSet", &long[..58], true),
            (&cut, "ReplicaSet", &long[..57], false),
            (&long, "ReplicaSet", &long, false),
        ];
        let uid = Uid::new("a");
        for (pod, kind, owner, believed) in table {
            let owner = OwnerReference {
                kind: kind.to_owned(),
                name: owner.to_owned(),
                ..OwnerReference::default()
            };
            let kept =
                Kept { id: Id::of(&uid).0, labels: Labels::new(), owner: Some(owner.clone()) };
            let isolated = Pod {
                metadata: ObjectMeta {
                    name: Some(pod.to_owned()),
                    uid: Some(uid.as_str().to_owned()),
                    labels: Some(Labels::from([(QUARANTINE.to_owned(), kept.id.clone())])),
                    annotations: Some(Labels::from([(KEPT.to_owned(), kept.to_text())])),
                    ..ObjectMeta::default()
                },
                ..Pod::default()
            };
            let expected = believed.then(|| owner.clone());
            assert_eq!(owner_before(&isolated), expected, "{pod} of {kind} {}", owner.name);
        }
    }
}
