//! Writing down what came of a response, and what it waits for.

use jiff::Timestamp;

use super::{
    Records,
    ended::{phase, status},
    filing::{Filing, is_waiting},
    object::Phase,
    records::{Begun, Open, ROUNDS, is_raced, not_written},
};
use crate::act::{
    outcome::{Failure, Outcome},
    response::{Response, StepReport},
};

impl Records {
    /// Writes down what came of it.
    ///
    /// # Errors
    ///
    /// Where that can't be done: then the outcome is not durable yet.
    pub(super) async fn end(
        &self,
        open: &Open,
        response: &Response,
        steps: &[StepReport],
        overall: &Outcome,
    ) -> Result<(), Failure> {
        let filing = Filing::of(response, self.writer(), Timestamp::now())?;
        let mut object = open.0.clone();
        for _ in 0..ROUNDS {
            let (phase, members) = (phase(steps, overall), response.members());
            object.status = Some(status(&object, phase, steps, members, Timestamp::now()));
            match self.shelf().replace_status(&object).await {
                Ok(_) => return Ok(()),
                Err(error) if is_raced(&error) => {}
                Err(error) => return Err(not_written(error, self.shelf().namespace())),
            }
            // A person, or another worker that had to take us for dead.
            object = match self.again(&filing, object.spec.run).await? {
                Begun::Ours(open) => open.0,
                // It speaks for the same target, and has found what we did.
                Begun::Answered(_) | Begun::Waiting(..) | Begun::Unrecorded => return Ok(()),
                Begun::Busy(why) => return Err(Failure::transient(why)),
            };
        }
        Err(Failure::transient(format!("the Response {} does not come to rest", filing.name)))
    }

    /// Writes down that a person is asked. Where one has answered by now, there is nothing to say.
    ///
    /// # Errors
    ///
    /// Where that can't be done.
    pub(super) async fn ask(
        &self,
        open: &Open,
        response: &Response,
        steps: &[StepReport],
    ) -> Result<(), Failure> {
        let mut object = open.0.clone();
        let (name, run) = (object.metadata.name.clone().unwrap_or_default(), object.spec.run);
        for _ in 0..ROUNDS {
            let members = response.members();
            object.status = Some(status(&object, Phase::Pending, steps, members, Timestamp::now()));
            match self.shelf().replace_status(&object).await {
                Ok(_) => return Ok(()),
                Err(error) if is_raced(&error) => {}
                Err(error) => return Err(not_written(error, self.shelf().namespace())),
            }
            match self.shelf().get(&name).await? {
                Some(stored) if stored.spec.run == run && is_waiting(&stored) => object = stored,
                Some(_) => return Ok(()),
                // The event was in it.
                None => {
                    return Err(Failure::permanent(format!("the Response {name} was deleted")));
                }
            }
        }
        Err(Failure::transient(format!("the Response {name} does not come to rest")))
    }

    /// The object as it is now, if it is still ours; else as somebody who comes new to it.
    async fn again(&self, filing: &Filing, run: u32) -> Result<Begun, Failure> {
        match self.shelf().get(&filing.name).await? {
            Some(stored) if self.is_ours(&stored, run) => Ok(self.begun(stored)),
            // What a person has taken back while it ran is not said to be there again.
            Some(stored) if self.began(&stored, run) => {
                Ok(Begun::Answered(format!("taken back meanwhile: {}", filing.name)))
            }
            _ => self.take(filing).await,
        }
    }
}
