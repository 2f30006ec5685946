//! Where a response meets its record: before the first step that is about to run, and after the last.

use tokio_util::sync::CancellationToken;

use super::{Advance, Engine};
use crate::{
    act::{
        outcome::Outcome,
        progress::Todo,
        response::{Response, Start},
        responses::Before,
    },
    decide::Mode,
};

impl Engine {
    /// The outcome of a step that the record holds back; `None` within where it may go on, without where the delivery
    /// was lost.
    pub(super) async fn write_down(
        &self,
        response: &Response,
        todo: &Todo,
        start: &Start,
        lost: &CancellationToken,
    ) -> Option<Option<Outcome>> {
        let Some(records) = &self.1 else { return Some(None) };
        let is_for_real = start.mode == Mode::Enforce && start.scope.is_none();
        if !is_for_real || !response.plan().contains() {
            return Some(None);
        }
        let action = &todo.step.action;
        // What a guard has held back leaves no object behind, and neither does telling of it.
        let begins = action.changes_cluster() || !response.progress().has_contained();
        // A question is told of; whatever else goes out of the cluster waits for its answer, too.
        let before = Before { acts: action.name() != "notify", begins };
        let written = tokio::select! {
            biased;
            () = lost.cancelled() => return None,
            written = response.recording.before(records, response, before) => written,
        };
        if lost.is_cancelled() {
            return None;
        }
        Some(written.unwrap_or_else(|failure| Some(failure.into())))
    }

    /// Ends a response whose steps all have their outcome.
    pub(super) async fn file(&self, response: &mut Response) -> Advance {
        let report = response.report();
        let Some(records) = &self.1 else { return Advance::Finished(Box::new(report)) };
        let written = response.recording.after(records, response, &report).await;
        let Err(failure) = written else { return Advance::Finished(Box::new(report)) };
        match response.unfiled(&failure) {
            Some(report) => {
                response.recording.give_up().await;
                Advance::Finished(Box::new(report))
            }
            None => Advance::Retry(failure),
        }
    }
}
