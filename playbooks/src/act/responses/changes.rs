//! What a run may change, and what of it may still be there: pure.

use std::time::Duration;

use jiff::Timestamp;

use super::object::{Change, Decision, Phase, StoredResponse};
use crate::act::{registry::Plan, response::Standing};

/// How many actions, changes and pieces of evidence are written down.
pub(super) const MOST: usize = 32;

/// What a plan may change of its target, from now on.
pub(super) fn changes(plan: &Plan, standing: &Standing, now: Timestamp) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    for (action, undo, expire_after) in plan.undoings() {
        let Some(object) = undo.object(standing) else { continue };
        let expires_at = expire_after.map(|span| after(now, span));
        let action = action.to_owned();
        let change = Change { action, undo, object, expires_at, earlier: false };
        match changes.iter_mut().find(|known| is_same(known, &change)) {
            // They are taken back together, and not before the last of them may be.
            Some(known) => {
                known.expires_at = known.expires_at.zip(change.expires_at).map(|(a, b)| a.max(b));
            }
            None => changes.push(change),
        }
    }
    changes.truncate(MOST);
    changes
}

/// True where two are taken back as one.
pub(super) fn is_same(one: &Change, other: &Change) -> bool {
    (&one.action, one.undo, &one.object) == (&other.action, other.undo, &other.object)
}

/// True where a change may still be there, as far as the object knows.
pub(super) fn is_live(stored: &StoredResponse, change: &Change) -> bool {
    let Some(status) = stored.current() else { return true };
    let is_undone = status
        .undone
        .iter()
        .any(|undone| undone.action == change.action && undone.object == change.object);
    let mut results = status.actions.iter().filter(|result| result.action == change.action);
    // A failed one may have got halfway; of an action that isn't in this run an earlier one knew.
    // What it says is of the time before the approval.
    let is_given_now =
        status.phase == Phase::Pending && stored.spec.decision == Some(Decision::Approved);
    let may_have_been_made = is_given_now
        || results.clone().next().is_none()
        || results.any(|result| !matches!(result.outcome.as_str(), "skipped" | "refused"));
    !is_undone && (change.earlier || may_have_been_made)
}

/// When the first live change expires, and how a person takes them back.
pub(super) fn to_undo(stored: &StoredResponse, name: &str) -> (Option<Timestamp>, Option<String>) {
    let live: Vec<_> = stored.spec.changes.iter().filter(|it| is_live(stored, it)).collect();
    let expires_at = live.iter().filter_map(|change| change.expires_at).min();
    (expires_at, (!live.is_empty()).then(|| format!("stoop responses revert {name}")))
}

/// Times beyond what can be written never come.
pub(super) fn after(now: Timestamp, span: Duration) -> Timestamp {
    now.checked_add(span).unwrap_or(Timestamp::MAX)
}
