//! What stoop has put on an object, and for whom: kept in an annotation of that very object.
//!
//! It is written in the same patch as the change, so that there is no moment in which the one is there without the
//! other. Taking a change back goes by it alone: no edit of a playbook, no crash and no other worker makes it forget
//! or undo what is not ours. Two responses can hold the same change; it goes when the last one lets go of it.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use crate::act::{api::Operations, object::Uid, outcome::Failure};

/// The longest list of holders. What more of them want stays until a person takes it away.
const MOST_HOLDERS: usize = 64;

/// For whom a change was made: one playbook's response to one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    text: String,
    target: Uid,
}

impl Holder {
    /// The playbook's name, and the target that its event was verified to be about.
    pub fn new(playbook: &str, target: &Uid) -> Holder {
        Holder { text: format!("{target}/{playbook}"), target: target.clone() }
    }

    /// The target.
    pub fn target(&self) -> &Uid {
        &self.target
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hold {
    /// The value that was set: where another is found, the change is no longer ours.
    pub(super) set: String,
    /// The value that was there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) was: Option<String>,
    /// For whom.
    by: Vec<String>,
    /// True where there were too many to name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    more: bool,
}

impl Hold {
    /// Who holds it, in words.
    pub(super) fn holders(&self) -> String {
        self.by.join(", ")
    }
}

/// The changes of one kind on one object, by what was changed.
#[derive(Debug)]
pub(super) struct Holds {
    annotation: &'static str,
    all: BTreeMap<String, Hold>,
    is_written: bool,
    has_annotations: bool,
}

impl Holds {
    /// As the object's annotation says.
    ///
    /// # Errors
    ///
    /// Where it can't be read: then nobody can tell what is ours.
    pub(super) fn read(annotation: &'static str, meta: &ObjectMeta) -> Result<Holds, Failure> {
        let written = meta.annotations.as_ref().and_then(|all| all.get(annotation));
        let all = match written {
            None => BTreeMap::new(),
            Some(text) => serde_json::from_str(text).map_err(|_| {
                let name = meta.name.as_deref().unwrap_or_default();
                Failure::permanent(format!(
                    "the annotation {annotation} of {name} can't be read: mend it or take it away"
                ))
            })?,
        };
        let has_annotations = meta.annotations.is_some();
        Ok(Holds { annotation, all, is_written: written.is_some(), has_annotations })
    }

    /// The change of this name, if it is ours and still as it was made.
    pub(super) fn ours(&self, name: &str, live: Option<&str>) -> Option<&Hold> {
        self.all.get(name).filter(|hold| live == Some(hold.set.as_str()))
    }

    /// Every change that is written down, ours still or not.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Hold)> {
        self.all.iter().map(|(name, hold)| (name.as_str(), hold))
    }

    /// Takes note of a change that is about to be made.
    pub(super) fn begin(&mut self, name: &str, set: &str, was: Option<String>, holder: &Holder) {
        let by = vec![holder.text.clone()];
        self.all.insert(name.to_owned(), Hold { set: set.to_owned(), was, by, more: false });
    }

    /// Takes note of a change that goes further than the one that is ours: what was there before stays known.
    pub(super) fn go_on(&mut self, name: &str, set: &str, holder: &Holder) {
        if let Some(hold) = self.all.get_mut(name) {
            set.clone_into(&mut hold.set);
        }
        self.join(name, holder);
    }

    /// Adds a holder; `false` where it holds the change already.
    pub(super) fn join(&mut self, name: &str, holder: &Holder) -> bool {
        let Some(hold) = self.all.get_mut(name) else { return false };
        if hold.more || hold.by.contains(&holder.text) {
            return false;
        }
        match hold.by.len() < MOST_HOLDERS {
            true => hold.by.push(holder.text.clone()),
            false => hold.more = true,
        }
        true
    }

    /// Lets go for one holder. `None` where it held nothing; else the changes that nobody wants any more.
    pub(super) fn release(&mut self, holder: &Holder) -> Option<Vec<(String, Hold)>> {
        let mut held = false;
        for hold in self.all.values_mut() {
            let before = hold.by.len();
            hold.by.retain(|by| *by != holder.text);
            held |= hold.by.len() < before;
        }
        let free = self.all.extract_if(.., |_, hold| hold.by.is_empty() && !hold.more).collect();
        held.then_some(free)
    }

    /// Writes it all down.
    pub(super) fn write(&self, operations: &mut Operations) {
        let path = ["metadata", "annotations", self.annotation];
        if !self.all.is_empty() {
            operations.ensure_mapping(&["metadata", "annotations"], self.has_annotations);
            let text = serde_json::to_string(&self.all).unwrap_or_default();
            operations.add(&path, text);
        } else if self.is_written {
            operations.remove(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNOTATION: &str = "stoop.dev/test";

    fn holder(playbook: &str) -> Holder {
        Holder::new(playbook, &Uid::new("u"))
    }

    fn holds(annotations: Option<&str>) -> Result<Holds, Failure> {
        let annotations =
            annotations.map(|text| BTreeMap::from([(ANNOTATION.to_owned(), text.to_owned())]));
        Holds::read(ANNOTATION, &ObjectMeta { annotations, ..ObjectMeta::default() })
    }

    #[test]
    fn a_change_goes_when_the_last_one_lets_go_of_it() {
        let mut holds = holds(None).unwrap();
        holds.begin("x", "new", Some("old".into()), &holder("a"));
        assert!(holds.join("x", &holder("b")));
        assert!(!holds.join("x", &holder("b")), "it holds it already");
        assert_eq!(holds.release(&holder("c")), None, "it never held anything");
        assert_eq!(holds.release(&holder("a")), Some(vec![]));
        assert_eq!(holds.release(&holder("a")), None, "twice changes nothing");
        let free = holds.release(&holder("b")).unwrap();
        assert_eq!(free.len(), 1);
        assert_eq!((free[0].1.set.as_str(), free[0].1.was.as_deref()), ("new", Some("old")));
    }

    #[test]
    fn another_value_is_no_longer_ours() {
        let mut holds = holds(None).unwrap();
        holds.begin("x", "new", None, &holder("a"));
        assert!(holds.ours("x", Some("new")).is_some());
        for live in [Some("changed"), None] {
            assert!(holds.ours("x", live).is_none());
        }
    }

    #[test]
    fn the_list_of_holders_is_bounded_and_what_more_want_stays() {
        let mut holds = holds(None).unwrap();
        holds.begin("x", "new", None, &holder("0"));
        for n in 1..=MOST_HOLDERS {
            assert!(holds.join("x", &holder(&n.to_string())));
        }
        assert!(!holds.join("x", &holder("one more")), "nothing more to write down");
        for n in 0..=MOST_HOLDERS {
            let free = holds.release(&holder(&n.to_string()));
            assert!(free.is_none_or(|free| free.is_empty()));
        }
        assert_eq!(holds.iter().count(), 1);
    }

    #[test]
    fn an_annotation_that_somebody_has_changed_is_not_guessed_at() {
        for text in ["", "[]", "{\"x\":{}}", "{\"x\":{\"set\":1,\"by\":[]}}"] {
            assert!(holds(Some(text)).unwrap_err().is_permanent(), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again_and_nothing_is_left_of_nothing() {
        let mut written = holds(None).unwrap();
        written.begin("x", "new", Some("old".into()), &holder("a"));
        let text = serde_json::to_string(&written.all).unwrap();
        let mut again = holds(Some(&text)).unwrap();
        assert_eq!(again.all, written.all);
        again.release(&holder("a"));
        let (mut operations, mut expected) = (Operations::default(), Operations::default());
        again.write(&mut operations);
        expected.remove(&["metadata", "annotations", ANNOTATION]);
        assert_eq!(operations, expected);
    }
}
