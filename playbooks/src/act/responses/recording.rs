//! How far the writing down of one response has come.

use tokio::sync::Mutex;

use super::records::{Begun, Kept, Open, Records};
use crate::act::{
    outcome::{Failure, Outcome, Refusal, SkipReason},
    report::Report,
    response::Response,
};

/// Kept with the response while it runs.
#[derive(Debug, Default)]
pub(in crate::act) struct Recording(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    #[default]
    Unwritten,
    Open(Box<Open>),
    Waiting(Box<Open>, Refusal),
    Answered(String),
    /// Nothing more is to be written.
    Closed,
}

/// The step that is about to run.
#[derive(Debug, Clone, Copy)]
pub(in crate::act) struct Before {
    /// It does more than tell.
    pub(in crate::act) acts: bool,
    /// It is written down, if nothing was yet.
    pub(in crate::act) begins: bool,
}

impl Recording {
    /// Before a step that nothing else holds back: `None` where it may go on.
    ///
    /// # Errors
    ///
    /// Where it can't be written down: no effect without its record.
    pub(in crate::act) async fn before(
        &self,
        records: &Records,
        response: &Response,
        step: Before,
    ) -> Result<Option<Outcome>, Failure> {
        let mut state = self.0.lock().await;
        if let State::Open(open) = &*state {
            match records.keep(open, response).await? {
                Kept::Enough => {}
                Kept::Longer(open) => *state = State::Open(open),
                Kept::Lost => *state = State::Unwritten,
            }
        }
        if let State::Unwritten = &*state {
            if !step.begins {
                return Ok(None);
            }
            *state = match records.begin(response).await? {
                Begun::Ours(open) => State::Open(open),
                Begun::Waiting(open, refusal) => State::Waiting(open, refusal),
                Begun::Answered(why) => State::Answered(why),
                Begun::Unrecorded => State::Closed,
                Begun::Busy(why) => return Ok(Some(Outcome::Pending(why))),
            };
        }
        Ok(match &*state {
            State::Waiting(_, refusal) => step.acts.then(|| refusal.clone().into()),
            State::Answered(why) => Some(Outcome::Skipped(SkipReason::Answered, why.clone())),
            State::Unwritten | State::Open(_) | State::Closed => None,
        })
    }

    /// After the last step. Twice writes once.
    ///
    /// # Errors
    ///
    /// Where it can't be written down: the outcome is not durable yet.
    pub(in crate::act) async fn after(
        &self,
        records: &Records,
        response: &Response,
        report: &Report,
    ) -> Result<(), Failure> {
        let mut state = self.0.lock().await;
        match &*state {
            State::Open(open) => {
                records.end(open, response, &report.steps, &report.overall).await?;
            }
            State::Waiting(open, _) => records.ask(open, response, &report.steps).await?,
            State::Unwritten | State::Answered(_) | State::Closed => {}
        }
        *state = State::Closed;
        Ok(())
    }

    /// Gives up writing down what came of it.
    pub(in crate::act) async fn give_up(&self) {
        *self.0.lock().await = State::Closed;
    }
}
