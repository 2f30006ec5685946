//! What a stored object means for a response that is about to run: a pure decision.

use jiff::Timestamp;

use super::{
    changes::is_live,
    filing::{Filing, is_over},
    object::{Decision, Phase, ResponseSpec, Reverting, StoredResponse},
};

/// What may be done about a response of which there is an object already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Judged {
    /// It may be taken over.
    Free,
    /// Another is at it.
    Busy(String),
    /// It has been answered, or will be: there is nothing to do.
    Answered(String),
    /// This very event waits for its approval.
    Waiting,
    /// The object is about something else.
    Foreign,
}

/// Judges `stored` by what we are about to do, as `worker`.
pub(super) fn judge(stored: &StoredResponse, filing: &Filing, now: Timestamp) -> Judged {
    let (theirs, ours) = (&stored.spec, &filing.spec);
    if !is_about_the_same(theirs, ours) {
        return Judged::Foreign;
    }
    // Our own name too: a worker sweeps beside the responses that it gives.
    if let Some(reverting) = theirs.reverting.as_ref().filter(|it| it.until > now)
        && has_changes_left(stored)
    {
        let Reverting { worker, until, .. } = reverting;
        return Judged::Busy(format!(
            "{worker} takes it back, until {until} at the latest: {}",
            filing.name
        ));
    }
    let ended =
        stored.current().filter(|status| !matches!(status.phase, Phase::Running | Phase::Pending));
    let Some(ended) = ended else { return underway(stored, filing, now) };
    let finished = ended.finished.unwrap_or(Timestamp::MIN);
    let covers = matches!(ended.phase, Phase::Succeeded | Phase::Reverted | Phase::Denied);
    let until = finished.checked_add(filing.cooldown).unwrap_or(Timestamp::MAX);
    match covers && ours.event.time <= until {
        true => Judged::Answered(format!(
            "{} of {finished}, by {}: {}",
            ended.phase.as_str(),
            theirs.claim.worker,
            filing.name
        )),
        false => Judged::Free,
    }
}

fn has_changes_left(stored: &StoredResponse) -> bool {
    stored.spec.changes.iter().any(|change| is_live(stored, change))
}

/// A run that has not ended.
fn underway(stored: &StoredResponse, filing: &Filing, now: Timestamp) -> Judged {
    let (theirs, ours) = (&stored.spec, &filing.spec);
    let name = &filing.name;
    // Whoever takes the approval out of the playbook has approved what waits. A question that is over is asked anew.
    if theirs.held.is_some() && ours.held.is_some() && !is_over(stored, now) {
        match theirs.decision {
            None if theirs.event.id == ours.event.id => return Judged::Waiting,
            None => return Judged::Answered(format!("waits for an approval already: {name}")),
            Some(Decision::Denied) => return Judged::Answered(format!("was denied: {name}")),
            Some(Decision::Approved) => {}
        }
    }
    // Our own name: an earlier life of ours that has left it.
    match theirs.claim.worker == ours.claim.worker || theirs.claim.until <= now {
        true => Judged::Free,
        false => Judged::Busy(format!(
            "{} is at it, until {} at the latest: {name}",
            theirs.claim.worker, theirs.claim.until
        )),
    }
}

fn is_about_the_same(theirs: &ResponseSpec, ours: &ResponseSpec) -> bool {
    let uid = |spec: &ResponseSpec| spec.target.as_ref().and_then(|target| target.uid.clone());
    theirs.playbook == ours.playbook && uid(theirs) == uid(ours)
}
