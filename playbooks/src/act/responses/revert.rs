//! Takes back what a stored response has changed: what is still ours of it, and nothing else.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Shelf,
    changes::{is_live, to_undo},
    filing::TARGET_UID,
    object::{Change, Phase, Reverting, StoredResponse, TargetRef, Undone},
    undo::Undo,
};
use crate::act::{
    actions::{Holder, Isolated, Reverted, revert, revert_isolation},
    api::Class,
    object::{ObjectRef, Uid},
    outcome::{Failure, Outcome},
    text::clean,
};

/// How often others may be faster in writing down what was taken back.
const ROUNDS: usize = 5;

/// Which changes are to be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All that may still be there.
    All,
    /// Those whose time is over.
    Expired,
}

/// What taking a response back came to.
#[derive(Debug, Default)]
pub struct TakenBack {
    /// What was taken back, or found to be ours no more.
    pub undone: Vec<Undone>,
    /// What could not be, and is to be tried again.
    pub failed: Vec<(Change, Failure)>,
}

/// Who takes back, and how long others leave it to them.
#[derive(Clone, Copy)]
pub struct Reverter<'a> {
    /// Where the responses are.
    pub shelf: &'a Shelf,
    /// A name that nobody else has.
    pub name: &'a str,
    /// How long at the most it takes.
    pub lease: Duration,
}

/// The changes of a response that are to be taken back now. Empty while a worker is at it.
pub(super) fn wanted(stored: &StoredResponse, which: Which, now: Timestamp) -> Vec<Change> {
    let has_ended = !matches!(stored.phase(), Phase::Running | Phase::Pending);
    let is_left_alone = has_ended || stored.spec.claim.until <= now;
    let live: Vec<_> =
        stored.spec.changes.iter().filter(|change| is_live(stored, change)).collect();
    let is_over = |change: &Change| change.expires_at.is_some_and(|at| at <= now);
    let is_due = |change: &&Change| match which {
        Which::All => true,
        // What is held of one object is let go together: not before the last of it may be.
        Which::Expired => live
            .iter()
            .filter(|other| (other.undo, &other.object) == (change.undo, &change.object))
            .all(|other| is_over(other)),
    };
    if !is_left_alone {
        return Vec::new();
    }
    live.iter().copied().filter(is_due).cloned().collect()
}

impl Reverter<'_> {
    /// Takes changes of a response back, and writes down that it did. Safe to repeat, and by several at once.
    ///
    /// A dry run writes nothing, and says what would be taken back.
    ///
    /// # Errors
    ///
    /// Where somebody else is at it, or it can't be written down who is.
    pub async fn revert(
        &self,
        stored: &StoredResponse,
        which: Which,
        dry_run: bool,
    ) -> Result<TakenBack, Failure> {
        let now = Timestamp::now();
        let changes = wanted(stored, which, now);
        if changes.is_empty() {
            return Ok(TakenBack::default());
        }
        if dry_run {
            return self.undo(stored, changes, true).await;
        }
        let claimed = self.claim(stored, which, now).await?;
        let done = self.undo(&claimed, changes, false).await?;
        let name = claimed.metadata.name.clone().unwrap_or_default();
        if !done.undone.is_empty() {
            self.write_down(claimed, &done.undone).await?;
        }
        if !done.failed.is_empty() {
            self.let_go(&name).await;
        }
        Ok(done)
    }

    async fn claim(
        &self,
        stored: &StoredResponse,
        which: Which,
        now: Timestamp,
    ) -> Result<StoredResponse, Failure> {
        if let Some(theirs) = &stored.spec.reverting
            && theirs.worker != self.name
            && theirs.until > now
        {
            let why =
                format!("{} takes it back, until {} at the latest", theirs.worker, theirs.until);
            return Err(Failure::transient(why));
        }
        let mut claimed = stored.clone();
        let until = now.checked_add(self.lease).unwrap_or(Timestamp::MAX);
        let is_all = which == Which::All;
        claimed.spec.reverting = Some(Reverting { worker: self.name.to_owned(), until, is_all });
        Ok(self.shelf.replace(&claimed).await?)
    }

    /// What can't be taken back now must not keep new events from being answered meanwhile. Where this fails too, the
    /// claim runs out.
    async fn let_go(&self, name: &str) {
        let Ok(Some(mut stored)) = self.shelf.get(name).await else { return };
        if stored.spec.reverting.as_ref().is_some_and(|claim| claim.worker == self.name) {
            stored.spec.reverting = None;
            drop(self.shelf.replace(&stored).await);
        }
    }

    async fn undo(
        &self,
        stored: &StoredResponse,
        changes: Vec<Change>,
        dry_run: bool,
    ) -> Result<TakenBack, Failure> {
        let mut done = TakenBack::default();
        for change in changes {
            match self.undo_one(stored, &change, dry_run).await {
                Ok(detail) => done.undone.push(Undone {
                    action: change.action,
                    object: change.object,
                    detail: clean(&detail, 500),
                    time: Timestamp::now(),
                }),
                // One that can't be asked now must not keep the others.
                Err(failure) => done.failed.push((change, failure)),
            }
        }
        Ok(done)
    }

    async fn undo_one(
        &self,
        stored: &StoredResponse,
        change: &Change,
        dry_run: bool,
    ) -> Result<String, Failure> {
        let api = self.shelf.api();
        let uid = stored.spec.target.as_ref().and_then(|target| target.uid.as_deref());
        let uid = Uid::new(uid.ok_or_else(|| Failure::permanent("it has no target"))?);
        if change.undo == Undo::Isolation {
            return self.release(stored, change, uid, dry_run).await;
        }
        let holder = Holder::new(&stored.spec.playbook, &uid);
        let outcomes = revert(api, &object(&change.object)?, &holder, dry_run).await?;
        let told: Vec<_> = outcomes.iter().map(Outcome::detail).collect();
        Ok(told.join("; "))
    }

    async fn release(
        &self,
        stored: &StoredResponse,
        change: &Change,
        uid: Uid,
        dry_run: bool,
    ) -> Result<String, Failure> {
        if let Some(other) = self.other_that_isolates(stored, &uid).await? {
            return Ok(format!("{other} still wants it isolated"));
        }
        let TargetRef { namespace, name, .. } = &change.object;
        let namespace = namespace.clone().unwrap_or_default();
        if dry_run {
            return Ok(format!("would give {namespace}/{name} its labels and its network back"));
        }
        let isolated = Isolated { namespace, name: name.clone(), uid };
        let done = revert_isolation(self.shelf.api(), &isolated).await?;
        Ok(told(&done))
    }

    /// An isolation is the pod's, not one playbook's: it stays while another response wants it.
    ///
    /// Asked only after our own claim is written: of two that let go at once, the later sees the earlier let go.
    async fn other_that_isolates(
        &self,
        stored: &StoredResponse,
        uid: &Uid,
    ) -> Result<Option<String>, Failure> {
        let all = self.shelf.list(Some(&format!("{TARGET_UID}={uid}"))).await?;
        let now = Timestamp::now();
        let other = all
            .iter()
            .find(|other| other.metadata.name != stored.metadata.name && isolates(other, now));
        Ok(other.and_then(|other| other.metadata.name.clone()))
    }

    async fn write_down(&self, claimed: StoredResponse, undone: &[Undone]) -> Result<(), Failure> {
        let mut object = claimed;
        for _ in 0..ROUNDS {
            let name = object.metadata.name.clone().unwrap_or_default();
            let run = object.spec.run;
            let mut status = object.current().cloned().unwrap_or_default();
            status.run = run;
            status.undone.retain(|it| !undone.iter().any(|new| is_same(it, new)));
            status.undone.extend(undone.iter().cloned());
            object.status = Some(status);
            let (expires_at, undo) = to_undo(&object, &name);
            if let Some(status) = &mut object.status {
                // What has failed, or was left in the middle, stays so: it answers for no other event.
                if undo.is_none() && status.phase == Phase::Succeeded {
                    status.phase = Phase::Reverted;
                }
                (status.expires_at, status.undo) = (expires_at, undo);
            }
            match self.shelf.replace_status(&object).await {
                Ok(_) => return Ok(()),
                Err(error) if *error.class() == Class::Conflict => {}
                Err(error) if *error.class() == Class::NotFound => return Ok(()),
                Err(error) => return Err(error.into()),
            }
            match self.shelf.get(&name).await? {
                // A run that has begun meanwhile makes its changes anew.
                Some(stored) if stored.spec.run == run => object = stored,
                _ => return Ok(()),
            }
        }
        Err(Failure::transient("the Response does not come to rest"))
    }
}

/// What an isolation that was taken back came to, in a line.
fn told(done: &Reverted) -> String {
    let told: Vec<_> =
        done.found().map(|(what, names)| format!("{what}: {}", names.join(", "))).collect();
    match (told.is_empty(), done.changed) {
        (false, _) => told.join("; "),
        (true, true) => "our marks are gone".to_owned(),
        (true, false) => "nothing of an isolation is there".to_owned(),
    }
}

/// True where a response wants its pod isolated, or may be about to isolate it.
fn isolates(stored: &StoredResponse, now: Timestamp) -> bool {
    // Where only what has expired is taken back, the rest stays wanted.
    let lets_go =
        stored.spec.reverting.as_ref().is_some_and(|claim| claim.is_all && claim.until > now);
    let mut changes = stored.spec.changes.iter().filter(|change| change.undo == Undo::Isolation);
    !lets_go
        && changes
            .any(|change| is_live(stored, change) && change.expires_at.is_none_or(|at| at > now))
}

fn is_same(one: &Undone, other: &Undone) -> bool {
    (&one.action, &one.object) == (&other.action, &other.object)
}

fn object(of: &TargetRef) -> Result<ObjectRef, Failure> {
    let namespace = || of.namespace.clone().unwrap_or_default();
    match of.kind.as_str() {
        "Pod" => Ok(ObjectRef::pod(namespace(), &of.name)),
        "Deployment" => Ok(ObjectRef::deployment(namespace(), &of.name)),
        "Node" => Ok(ObjectRef::node(&of.name)),
        kind => Err(Failure::permanent(format!("nothing of a {kind} is ever held"))),
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;
    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2026-11-21T10:00:00Z";

    fn now() -> Timestamp {
        NOW.parse().expect("a time")
    }

    /// A response that has ended well, with these changes of one pod.
    fn stored(changes: &[(&str, &str, Option<i64>)], reverting: Option<Value>) -> StoredResponse {
        let object = json!({"kind": "Pod", "namespace": "shop", "name": "web", "uid": "u"});
        let changes: Vec<_> = changes
            .iter()
            .map(|(action, undo, minutes)| {
                let at = minutes.map(|minutes| (now() + minutes.minutes()).to_string());
                let mut change = json!({"action": action, "undo": undo, "object": object});
                at.into_iter().for_each(|at| change["expiresAt"] = json!(at));
                change
            })
            .collect();
        let mut spec = json!({
            "playbook": "p", "run": 1, "began": NOW, "claim": {"worker": "w", "until": NOW}, "changes": changes,
            "event": {"id": "e", "rule": "r", "priority": "Notice", "source": "syscall", "time": NOW, "output": "o"},
        });
        reverting.into_iter().for_each(|claim| spec["reverting"] = claim);
        serde_json::from_value(json!({
            "apiVersion": "stoop.dev/v1alpha1", "kind": "Response", "metadata": {"name": "p-1"}, "spec": spec,
            "status": {"phase": "Succeeded", "run": 1},
        }))
        .expect("a response")
    }

    #[test]
    fn only_what_was_found_of_an_isolation_is_told() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let nothing = Reverted::default();
        assert_eq!(told(&nothing), "nothing of an isolation is there");
        let marks = Reverted { changed: true, ..Reverted::default() };
        assert_eq!(told(&marks), "our marks are gone");
        let egress = Reverted { deleted: names(&["q-1"]), changed: true, ..Reverted::default() };
        assert_eq!(told(&egress), "policies deleted: q-1");
        let both = Reverted {
            restored: names(&["app", "hash"]),
            left: names(&["q-1"]),
            changed: true,
            ..Reverted::default()
        };
        assert_eq!(
            told(&both),
            "labels that it has again: app, hash; policies that somebody has changed since, left: delete them by hand: q-1"
        );
    }

    #[test]
    fn what_is_held_of_one_object_waits_for_the_last_of_it() {
        let due = |changes: &[(&str, &str, Option<i64>)]| -> Vec<String> {
            let wanted = wanted(&stored(changes, None), Which::Expired, now());
            wanted.into_iter().map(|change| change.action).collect()
        };
        assert!(due(&[("label", "Pod", Some(-1)), ("annotate", "Pod", None)]).is_empty());
        assert!(due(&[("label", "Pod", Some(-1)), ("annotate", "Pod", Some(1))]).is_empty());
        assert_eq!(due(&[("label", "Pod", Some(-2)), ("annotate", "Pod", Some(-1))]).len(), 2);
        assert_eq!(due(&[("label", "Pod", Some(-1)), ("isolate", "Isolation", None)]), ["label"]);
    }

    #[test]
    fn an_isolation_is_wanted_until_it_is_what_is_taken_back() {
        let wants = |expires: Option<i64>, claim: Option<Value>| {
            isolates(&stored(&[("isolate", "Isolation", expires)], claim), now())
        };
        let until = (now() + 1.minute()).to_string();
        let (expired, all) = (
            json!({"worker": "w", "until": until}),
            json!({"worker": "w", "until": until, "all": true}),
        );
        assert!(wants(None, None) && wants(Some(1), None) && !wants(Some(-1), None));
        assert!(wants(None, Some(expired)), "something else of it has expired");
        assert!(!wants(None, Some(all)));
        assert!(wants(None, Some(json!({"worker": "w", "until": NOW, "all": true}))), "run out");
    }

    #[test]
    fn what_is_being_done_after_an_approval_may_be_there() {
        let mut asked = stored(&[("isolate", "Isolation", None)], None);
        let result = json!({"action": "isolate", "outcome": "refused", "reason": "approval", "detail": "", "time": NOW});
        asked.status =
            serde_json::from_value(json!({"phase": "Pending", "run": 1, "actions": [result]}))
                .expect("a status");
        assert!(!isolates(&asked, now()), "nobody has approved it");
        asked.spec.decision = Some(crate::act::responses::Decision::Approved);
        assert!(isolates(&asked, now()));
    }
}
