//! What came of a run, for its object: pure, bounded, made harmless.

use jiff::Timestamp;
use kube::api::ObjectMeta;

use super::{
    changes::{MOST, to_undo},
    object::{ActionResult, Phase, ResponseStatus, StoredResponse},
};
use crate::act::{outcome::Outcome, response::StepReport, text::clean};

/// How long what an action says may be, in characters.
const DETAIL: usize = 500;

/// What came of a run, for its object.
pub(super) fn status(
    object: &StoredResponse,
    phase: Phase,
    steps: &[StepReport],
    members: u64,
    now: Timestamp,
) -> ResponseStatus {
    let mut ended = StoredResponse {
        metadata: ObjectMeta::default(),
        spec: object.spec.clone(),
        status: Some(ResponseStatus {
            phase,
            run: object.spec.run,
            members,
            done: done(steps),
            actions: steps.iter().take(MOST).map(result).collect(),
            evidence: steps.iter().flat_map(|step| step.evidence.clone()).take(MOST).collect(),
            finished: Some(now),
            ..ResponseStatus::default()
        }),
    };
    let (expires_at, undo) = to_undo(&ended, object.metadata.name.as_deref().unwrap_or_default());
    let mut status = ended.status.take().unwrap_or_default();
    (status.expires_at, status.undo) = (expires_at, undo);
    if phase == Phase::Pending {
        (status.finished, status.expires_at, status.undo) = (None, None, None);
    }
    status
}

/// The phase that a run's outcomes come to.
pub(super) fn phase(steps: &[StepReport], overall: &Outcome) -> Phase {
    match overall {
        Outcome::Failed(_) => Phase::Failed,
        Outcome::Refused(_) => Phase::Refused,
        _ if steps.iter().any(StepReport::is_undone) => Phase::Failed,
        _ => Phase::Succeeded,
    }
}

/// The actions in a line: what was done by name alone, the others with what became of them.
fn done(steps: &[StepReport]) -> String {
    let word = |step: &StepReport| match &step.outcome {
        Outcome::Applied(_) => step.action.to_owned(),
        outcome => format!("{} {}", step.action, outcome.as_str()),
    };
    clean(&steps.iter().map(word).collect::<Vec<_>>().join(", "), 200)
}

fn result(step: &StepReport) -> ActionResult {
    ActionResult {
        action: step.action.to_owned(),
        outcome: step.outcome.as_str().to_owned(),
        reason: step.outcome.reason().map(str::to_owned),
        detail: clean(step.outcome.detail(), DETAIL),
        time: step.at,
    }
}
