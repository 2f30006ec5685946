//! What becomes of stored responses by themselves: expiries are kept, questions end, and what is old goes.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{
    Records, Reverter, Which,
    changes::is_live,
    filing::HELD,
    object::{Decision, Phase, ResponseStatus, StoredResponse},
    revert::wanted,
    shelf::Version,
};
use crate::act::{
    api::Class,
    outcome::{Failure, FailureKind},
};

/// How many objects one sweep deletes: the next one goes on.
const MOST_PRUNED: usize = 200;

/// How long after its question's time what was approved waits for a worker that has its playbook. It can be approved once
/// more after that.
const ABANDONED: SignedDuration = SignedDuration::from_hours(24);

/// How many times as many are kept where the oldest still have something to take back.
const HELD_BACK: usize = 10;

/// How long, and how many, responses are kept once they have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// From their end on.
    pub keep: Duration,
    /// The oldest go first.
    pub most: usize,
}

/// What a sweep came to.
#[derive(Debug, Default)]
pub struct Swept {
    /// The responses of which something was taken back, with what.
    pub reverted: Vec<(String, String)>,
    /// The responses of which something could not be.
    pub failed: Vec<(String, Failure)>,
    /// The questions that nobody has answered in time.
    pub expired: Vec<String>,
    /// The approved ones that no worker has taken up, for want of their playbook.
    pub abandoned: Vec<String>,
    /// How many were deleted.
    pub pruned: usize,
}

/// What is to be done about one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chore {
    TakeBack,
    /// The question is over, or nobody has the playbook any more.
    Close(Phase),
    /// It is over, and the event needs no longer be held.
    Forget,
}

/// What is due for one object.
enum Due {
    Chore(Chore),
    /// It has been kept for long enough.
    End,
}

impl Records {
    /// Goes over all stored responses once. Any worker may, and several at once.
    ///
    /// # Errors
    ///
    /// Where they can't be listed. What goes wrong with one is told of, and doesn't keep the others.
    pub async fn sweep(&self, retention: Retention) -> Result<Swept, Failure> {
        let mut swept = Swept::default();
        if !self.shelf().is_there().await? {
            return Ok(swept);
        }
        let (mut all, now) = (Vec::new(), Timestamp::now());
        self.shelf().for_each(None, |stored| all.push(Noted::of(&stored, now))).await?;
        for (version, due) in due(all, retention, now) {
            let done = match due {
                Due::Chore(chore) => self.see_to(&version.name, chore, &mut swept).await,
                Due::End => self.let_go(&version, &mut swept).await,
            };
            match done {
                Ok(()) => {}
                // Somebody else was faster, and the next sweep sees what they have left.
                Err(failure) if failure.kind == FailureKind::Transient => {}
                Err(failure) => swept.failed.push((version.name, failure)),
            }
        }
        Ok(swept)
    }

    async fn let_go(&self, version: &Version, swept: &mut Swept) -> Result<(), Failure> {
        match self.shelf().delete(version).await {
            Ok(()) => swept.pruned += 1,
            Err(error) if matches!(error.class(), Class::NotFound | Class::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Reads it anew, whole, for the chore that it had when it was listed.
    async fn see_to(&self, name: &str, listed: Chore, swept: &mut Swept) -> Result<(), Failure> {
        match self.shelf().get(name).await? {
            Some(stored) if chore(&stored, Timestamp::now()) == Some(listed) => {
                self.carry_out(&stored, listed, swept).await
            }
            _ => Ok(()),
        }
    }

    async fn carry_out(
        &self,
        stored: &StoredResponse,
        chore: Chore,
        swept: &mut Swept,
    ) -> Result<(), Failure> {
        let name = stored.metadata.name.clone().unwrap_or_default();
        match chore {
            Chore::TakeBack => {
                let done = self.reverter().revert(stored, Which::Expired, false).await?;
                let told = done.undone.iter().map(|it| format!("{}: {}", it.action, it.detail));
                let told: Vec<_> = told.collect();
                if !told.is_empty() {
                    swept.reverted.push((name.clone(), told.join("; ")));
                }
                swept.failed.extend(done.failed.into_iter().map(|(_, it)| (name.clone(), it)));
            }
            Chore::Close(phase) => {
                let mut closed = stored.clone();
                let mut status = stored.current().cloned().unwrap_or_default();
                if phase == Phase::Failed {
                    // They are of the time before the approval: what was done since nobody has said.
                    status.actions.clear();
                    status.done = "no worker has the playbook".to_owned();
                }
                closed.status = Some(ResponseStatus {
                    phase,
                    run: stored.spec.run,
                    finished: Some(Timestamp::now()),
                    ..status
                });
                self.shelf().replace_status(&closed).await?;
                match phase {
                    Phase::Expired => swept.expired.push(name),
                    Phase::Failed => swept.abandoned.push(name),
                    _ => {}
                }
            }
            Chore::Forget => {
                let mut emptied = stored.clone();
                emptied.spec.held = None;
                emptied.metadata.labels.get_or_insert_default().remove(HELD);
                self.shelf().replace(&emptied).await?;
            }
        }
        Ok(())
    }

    /// Takes back in this worker's name.
    pub fn reverter(&self) -> Reverter<'_> {
        Reverter { shelf: self.shelf(), name: self.worker(), lease: self.lease() }
    }
}

/// What is remembered of an object until all were seen: not the event that it may hold.
struct Noted {
    version: Version,
    due: Option<Due>,
    ended: Option<Timestamp>,
    holds: bool,
}

impl Noted {
    fn of(stored: &StoredResponse, now: Timestamp) -> Noted {
        Noted {
            version: Version::of(stored),
            due: chore(stored, now).map(Due::Chore),
            ended: ended(stored, now),
            holds: holds(stored),
        }
    }
}

/// What is to be done, one thing an object.
fn due(mut all: Vec<Noted>, retention: Retention, now: Timestamp) -> Vec<(Version, Due)> {
    let mut ended: Vec<_> = all.iter_mut().filter_map(|it| Some((it.ended?, it))).collect();
    ended.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let is_old = |at: Timestamp| at.checked_add(retention.keep).is_ok_and(|until| until <= now);
    let old = ended.into_iter().enumerate().filter(|(place, (at, noted))| match noted.holds {
        // It is the only word of what is still to be taken back.
        true => *place >= retention.most.saturating_mul(HELD_BACK),
        false => *place >= retention.most || is_old(*at),
    });
    for (_, (_, noted)) in old.take(MOST_PRUNED) {
        noted.due = Some(Due::End);
    }
    all.into_iter().filter_map(|noted| Some((noted.version, noted.due?))).collect()
}

fn chore(stored: &StoredResponse, now: Timestamp) -> Option<Chore> {
    if !wanted(stored, Which::Expired, now).is_empty() {
        return Some(Chore::TakeBack);
    }
    let held = stored.spec.held.as_ref()?;
    let is_open = matches!(stored.phase(), Phase::Running | Phase::Pending);
    match (is_open, stored.spec.decision) {
        (true, None) => (held.until <= now).then_some(Chore::Close(Phase::Expired)),
        (true, Some(Decision::Denied)) => Some(Chore::Close(Phase::Denied)),
        (true, Some(Decision::Approved)) => {
            let is_left = stored.spec.claim.until.max(held.until) <= now - ABANDONED;
            is_left.then_some(Chore::Close(Phase::Failed))
        }
        // What was approved and not done may be wanted once more: it was acknowledged when it was asked about.
        (false, _) => {
            (!matches!(stored.phase(), Phase::Failed | Phase::Refused)).then_some(Chore::Forget)
        }
    }
}

/// Whether something of it may still be there, as far as is known.
fn holds(stored: &StoredResponse) -> bool {
    stored.spec.changes.iter().any(|change| is_live(stored, change))
}

/// When a response ended, if it may go: nothing of it is still to expire.
fn ended(stored: &StoredResponse, now: Timestamp) -> Option<Timestamp> {
    let is_to_expire = stored
        .spec
        .changes
        .iter()
        .any(|change| change.expires_at.is_some() && is_live(stored, change));
    if is_to_expire {
        return None;
    }
    match stored.phase() {
        Phase::Pending => None,
        // Left behind by a worker whose event never came again.
        Phase::Running => (stored.spec.held.is_none() && stored.spec.claim.until <= now)
            .then_some(stored.spec.claim.until),
        _ => stored.current()?.finished,
    }
}
