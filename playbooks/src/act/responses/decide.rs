//! A person's word on a response that waits.

use jiff::Timestamp;

use super::{
    Question, Shelf,
    object::{Decision, Phase, StoredResponse},
};
use crate::act::{api::Class, outcome::Failure};

/// Why nothing can be decided.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecidable {
    /// There is no such response.
    #[error("there is no Response {0}")]
    Unknown(String),
    /// Nobody asks.
    #[error("the Response {0} waits for no approval")]
    NotAsked(String),
    /// It was decided before.
    #[error("the Response {0} was {1} already")]
    Decided(String, &'static str),
    /// Nobody has decided in time.
    #[error("the Response {0} waits no longer: its time was over at {1}")]
    Over(String, Timestamp),
    /// The API server can't be asked, or refuses.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Who writes decisions, to the API server: nothing else is written by that name, so its time is theirs.
const DECIDES: &str = "stoop-approval";

/// Whether something can be decided about an object.
fn judge(
    name: &str,
    stored: &StoredResponse,
    wants_again: bool,
    now: Timestamp,
) -> Result<(), Undecidable> {
    let name = || name.to_owned();
    let is_open = matches!(stored.phase(), Phase::Running | Phase::Pending);
    match (&stored.spec.held, stored.spec.decision) {
        _ if wants_again && was_not_done(stored) => Ok(()),
        (_, Some(Decision::Approved)) => Err(Undecidable::Decided(name(), "approved")),
        (_, Some(Decision::Denied)) => Err(Undecidable::Decided(name(), "denied")),
        (None, None) => Err(Undecidable::NotAsked(name())),
        (Some(_), None) if !is_open => Err(Undecidable::NotAsked(name())),
        (Some(held), None) if held.until <= now => Err(Undecidable::Over(name(), held.until)),
        (Some(_), None) => Ok(()),
    }
}

/// True where it was approved, and a guardrail or a failure came between: its event is still held.
fn was_not_done(stored: &StoredResponse) -> bool {
    stored.spec.held.is_some()
        && stored.spec.decision == Some(Decision::Approved)
        && matches!(stored.phase(), Phase::Failed | Phase::Refused)
}

impl Shelf {
    /// Writes a person's word down, once. `asked` is what it was asked, where the person has seen nothing else: a
    /// link answers one question. Without it, what was approved and not done can be approved once more, as a new run.
    ///
    /// # Errors
    ///
    /// Where there is nothing to decide, and where it can't be written down.
    pub async fn decide(
        &self,
        name: &str,
        asked: Option<&Question>,
        decision: Decision,
    ) -> Result<StoredResponse, Undecidable> {
        let mut last = None;
        for _ in 0..3 {
            let stored = self.get(name).await.map_err(Failure::from)?;
            let mut stored = stored.ok_or_else(|| Undecidable::Unknown(name.to_owned()))?;
            let now = Timestamp::now();
            let wants_again = asked.is_none() && decision == Decision::Approved;
            judge(name, &stored, wants_again, now)?;
            if asked.is_some_and(|question| !question.is_asked_by(&stored)) {
                return Err(Undecidable::NotAsked(name.to_owned()));
            }
            if was_not_done(&stored) {
                stored.spec.run = stored.spec.run.saturating_add(1);
                stored.spec.began = now;
                stored.spec.claim.until = now;
            }
            stored.spec.decision = Some(decision);
            match self.replace_as(DECIDES, &stored).await {
                Ok(written) => return Ok(written),
                Err(error) if *error.class() == Class::Conflict => last = Some(error),
                Err(error) => return Err(Failure::from(error).into()),
            }
        }
        let why = last.map(|error| error.to_string()).unwrap_or_default();
        Err(Failure::transient(format!("the Response {name} does not come to rest: {why}")).into())
    }
}
