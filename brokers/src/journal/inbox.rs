//! What waits for the writer, and what the journal may hold in all.
//!
//! Everyone else leaves here what shall become durable and waits for the answer; the writer takes all of it at once,
//! so that one flush of the disk serves everybody who came while the last one ran.

use std::{
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{
    batch::{Ack, Answer, Batch, Burial, Drop, Ended, List, Look, Redrive, Redriven, Reply},
    gathering::Gathering,
    load::Load,
    record::{Event, Record, Sequence},
    store::{BurialOutcome, RedriveOutcome, Totals},
};
use crate::dead_letter::DeadLetter;

/// How long a skipped event waits for a transaction that is made for something else.
const LAZY: Duration = Duration::from_millis(100);

/// Why events were not taken in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotTaken {
    /// There is no room now.
    #[error("the journal is full")]
    Full,
    /// There would be no room even if the journal were empty.
    #[error("more than the journal's capacity")]
    NeverFits,
    /// Nothing is taken any more.
    #[error(transparent)]
    Ended(#[from] Ended),
}

/// The place where it all waits.
#[derive(Debug)]
pub(super) struct Inbox {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    capacity: Load,
}

#[derive(Debug)]
struct Waiting {
    batch: Batch,
    /// The receiver wants more to lend.
    wanted: bool,
    /// When the first of the skips came.
    skipped: Option<Instant>,
    ended: Option<Ended>,
    stored: Totals,
    /// Events that wait here or are in a running transaction.
    coming: Load,
    gathering: Gathering,
    asleep: Option<Until>,
}

/// What the writer sleeps for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    /// Anything at all.
    Anything,
    /// What somebody waits for.
    Awaited,
    /// So many publishers.
    Publishers(usize),
}

/// What the writer does next.
enum Next {
    Take,
    Sleep(Until, Option<Duration>),
    End,
}

impl Waiting {
    fn next(&self, since_last: Duration) -> Next {
        let awaited = self.batch.is_awaited() || self.wanted;
        if self.ended.is_some() {
            let left = awaited || self.skipped.is_some();
            return if left { Next::Take } else { Next::End };
        }
        if awaited {
            return match self.gathering.patience(self.batch.appended.len(), since_last) {
                Duration::ZERO => Next::Take,
                left => Next::Sleep(Until::Publishers(self.gathering.target()), Some(left)),
            };
        }
        match self.skipped.map(|since| LAZY.saturating_sub(since.elapsed())) {
            None => Next::Sleep(Until::Anything, None),
            Some(Duration::ZERO) => Next::Take,
            Some(left) => Next::Sleep(Until::Awaited, Some(left)),
        }
    }

    /// Whether the writer has to be woken.
    fn rouses(&self) -> bool {
        match self.asleep {
            None => false,
            Some(_) if self.ended.is_some() => true,
            Some(Until::Anything) => true,
            Some(Until::Awaited) => self.batch.is_awaited() || self.wanted,
            Some(Until::Publishers(n)) => self.batch.appended.len() >= n,
        }
    }
}

impl Inbox {
    pub(super) fn new(capacity: Load, stored: Totals) -> Self {
        let waiting = Waiting {
            batch: Batch::default(),
            wanted: false,
            skipped: None,
            ended: None,
            stored,
            coming: Load::default(),
            gathering: Gathering::default(),
            asleep: None,
        };
        Self { waiting: Mutex::new(waiting), wake: Condvar::new(), capacity }
    }

    /// Leaves events to be made durable together. They are within the capacity, or not taken at all. Dead letters have a
    /// bound of their own: only a person takes them out, and they would close the intake in the end.
    pub(super) fn append(&self, events: Vec<Event>) -> Result<Answer<()>, NotTaken> {
        let mut load = Load::default();
        events.iter().for_each(|event| load.add(event.size()));
        if !load.within(self.capacity) {
            return Err(NotTaken::NeverFits);
        }
        let mut waiting = self.open()?;
        let held = waiting.stored.events.plus(waiting.coming);
        if !held.plus(load).within(self.capacity) {
            return Err(NotTaken::Full);
        }
        let (reply, answer) = oneshot::channel();
        waiting.coming = waiting.coming.plus(load);
        waiting.batch.events.extend(events);
        waiting.batch.appended.push(reply);
        self.rouse(waiting);
        Ok(answer)
    }

    pub(super) fn ack(&self, sequence: Sequence, attempt: u32) -> Result<Answer<bool>, Ended> {
        self.leave(|batch, reply| batch.acks.push(Ack { sequence, attempt, reply }))
    }

    pub(super) fn bury(
        &self,
        sequence: Sequence,
        attempt: u32,
        letter: Vec<u8>,
    ) -> Result<Answer<BurialOutcome>, Ended> {
        self.leave(|batch, reply| batch.burials.push(Burial { sequence, attempt, letter, reply }))
    }

    pub(super) fn list(
        &self,
        after: Sequence,
        limit: usize,
    ) -> Result<Answer<Vec<(Record, DeadLetter)>>, Ended> {
        self.leave(|batch, reply| batch.lists.push(List { after, limit, reply }))
    }

    pub(super) fn look(&self, after: Sequence, limit: usize) -> Result<Answer<Vec<Record>>, Ended> {
        self.leave(|batch, reply| batch.looks.push(Look { after, limit, reply }))
    }

    pub(super) fn redrive(
        &self,
        sequence: Sequence,
        handlers: Vec<String>,
        event: Redriven,
    ) -> Result<Answer<RedriveOutcome>, Ended> {
        self.leave(|batch, reply| batch.redrives.push(Redrive { sequence, handlers, event, reply }))
    }

    pub(super) fn forget(&self, sequence: Sequence) -> Result<Answer<bool>, Ended> {
        self.leave(|batch, reply| batch.drops.push(Drop { sequence, reply }))
    }

    fn leave<T>(&self, put: impl FnOnce(&mut Batch, Reply<T>)) -> Result<Answer<T>, Ended> {
        let (reply, answer) = oneshot::channel();
        let mut waiting = self.open()?;
        put(&mut waiting.batch, reply);
        self.rouse(waiting);
        Ok(answer)
    }

    /// Settles an event in some later transaction. Nobody waits for it: if the journal ends before, the event comes
    /// again and is skipped again.
    pub(super) fn skip(&self, sequence: Sequence, attempt: u32) {
        if let Ok(mut waiting) = self.open() {
            waiting.batch.skips.push((sequence, attempt));
            if waiting.skipped.is_none() {
                waiting.skipped = Some(Instant::now());
                self.rouse(waiting);
            }
        }
    }

    /// Asks for a transaction that counts and reads more events to lend.
    pub(super) fn want_more(&self) {
        let mut waiting = self.lock();
        waiting.wanted = true;
        self.rouse(waiting);
    }

    /// Ends it; what waits is still taken by the writer. A failure while it is being closed is still a failure.
    pub(super) fn end(&self, reason: Ended) {
        let mut waiting = self.lock();
        if !matches!(waiting.ended, Some(Ended::Failed(_))) {
            waiting.ended = Some(reason);
        }
        self.rouse(waiting);
    }

    pub(super) fn capacity(&self) -> Load {
        self.capacity
    }

    /// Why it has ended.
    pub(super) fn ended(&self) -> Option<Ended> {
        self.lock().ended.clone()
    }

    /// What is stored, and what is on its way there.
    pub(super) fn held(&self) -> (Totals, Load) {
        let waiting = self.lock();
        (waiting.stored, waiting.coming)
    }

    /// Notes what the file holds after a transaction that took in `arrived`, and how long that took. For the writer.
    pub(super) fn stored(&self, totals: Totals, arrived: Load, took: Duration) {
        let mut waiting = self.lock();
        waiting.stored = totals;
        waiting.coming = waiting.coming.minus(arrived);
        waiting.gathering.ended(took);
    }

    /// Waits for something to do and takes all of it; none when the journal has ended and all is done. For the writer.
    pub(super) fn take(&self) -> Option<Batch> {
        let last = Instant::now();
        let mut waiting = self.lock();
        let come = waiting.batch.appended.len();
        waiting.gathering.expect(come);
        loop {
            match waiting.next(last.elapsed()) {
                Next::End => return None,
                Next::Take => {
                    waiting.wanted = false;
                    waiting.skipped = None;
                    let come = waiting.batch.appended.len();
                    waiting.gathering.begin(come);
                    return Some(mem::take(&mut waiting.batch));
                }
                // Publishers come back within microseconds: a core that goes to sleep meanwhile takes longer to wake.
                Next::Sleep(Until::Publishers(_), _) => {
                    drop(waiting);
                    thread::yield_now();
                    waiting = self.lock();
                }
                Next::Sleep(until, limit) => {
                    waiting.asleep = Some(until);
                    waiting = self.sleep(waiting, limit);
                    waiting.asleep = None;
                }
            }
        }
    }

    fn sleep<'a>(
        &self,
        waiting: MutexGuard<'a, Waiting>,
        limit: Option<Duration>,
    ) -> MutexGuard<'a, Waiting> {
        match limit {
            Some(limit) => {
                self.wake.wait_timeout(waiting, limit).unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner),
        }
    }

    fn rouse(&self, mut waiting: MutexGuard<'_, Waiting>) {
        if waiting.rouses() {
            waiting.asleep = None;
            drop(waiting);
            self.wake.notify_one();
        }
    }

    fn open(&self) -> Result<MutexGuard<'_, Waiting>, Ended> {
        let waiting = self.lock();
        match &waiting.ended {
            Some(ended) => Err(ended.clone()),
            None => Ok(waiting),
        }
    }

    /// A panic elsewhere can't leave it half changed: nothing here panics between two changes.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
