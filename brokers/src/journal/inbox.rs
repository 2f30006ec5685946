//! What waits for the writer, and what the journal may hold in all.
//!
//! Everyone else leaves here what shall become durable and waits for the answer; the writer takes all of it at once,
//! so that one flush of the disk serves everybody who came while the last one ran.

use std::{
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{
    record::{Event, Record, Sequence},
    store::{Load, Totals},
};
use crate::dead_letter::DeadLetter;

/// How long a skipped event waits for a transaction that is made for something else.
const LAZY: Duration = Duration::from_millis(100);

/// The journal takes nothing more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Ended {
    /// It was closed.
    #[error("the journal is closed")]
    Closed,
    /// Its file failed.
    #[error("{0}")]
    Failed(String),
}

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

/// The answer when it is durable.
pub(super) type Reply<T> = oneshot::Sender<Result<T, Ended>>;
/// Where the answer comes.
pub(super) type Answer<T> = oneshot::Receiver<Result<T, Ended>>;

/// What the writer does in one transaction.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) events: Vec<Event>,
    /// Of those who brought the events.
    pub(super) appended: Vec<Reply<()>>,
    /// To be settled; the answer says whether it was there.
    pub(super) acks: Vec<(Sequence, u32, Reply<bool>)>,
    pub(super) skips: Vec<(Sequence, u32)>,
    pub(super) burials: Vec<Burial>,
    pub(super) lists: Vec<List>,
}

/// An event to be moved to the dead letters.
#[derive(Debug)]
pub(super) struct Burial {
    pub(super) sequence: Sequence,
    pub(super) attempt: u32,
    /// The reason, as JSON.
    pub(super) letter: Vec<u8>,
    pub(super) reply: Reply<bool>,
}

/// A look at the dead letters.
#[derive(Debug)]
pub(super) struct List {
    pub(super) after: Sequence,
    pub(super) limit: usize,
    pub(super) reply: Reply<Vec<(Record, DeadLetter)>>,
}

impl Batch {
    /// Whether nobody waits for this one.
    fn can_wait(&self) -> bool {
        self.appended.is_empty()
            && self.acks.is_empty()
            && self.burials.is_empty()
            && self.lists.is_empty()
    }
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
    /// Events that wait here or are in a running transaction.
    coming: Load,
    stored: Totals,
    /// The receiver wants more to lend.
    wanted: bool,
    ended: Option<Ended>,
    writer_sleeps: bool,
}

impl Inbox {
    pub(super) fn new(capacity: Load, stored: Totals) -> Self {
        Self {
            waiting: Mutex::new(Waiting {
                batch: Batch::default(),
                coming: Load::default(),
                stored,
                wanted: false,
                ended: None,
                writer_sleeps: false,
            }),
            wake: Condvar::new(),
            capacity,
        }
    }

    /// Leaves events to be made durable together. They are within the capacity, or not taken at all.
    pub(super) fn append(&self, events: Vec<Event>) -> Result<Answer<()>, NotTaken> {
        let mut load = Load::default();
        events.iter().for_each(|event| load.add(event.size()));
        if !load.within(self.capacity) {
            return Err(NotTaken::NeverFits);
        }
        let mut waiting = self.open()?;
        let held = waiting.stored.events.plus(waiting.stored.dead).plus(waiting.coming);
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
        let (reply, answer) = oneshot::channel();
        let mut waiting = self.open()?;
        waiting.batch.acks.push((sequence, attempt, reply));
        self.rouse(waiting);
        Ok(answer)
    }

    /// Settles an event in some later transaction. Nobody waits for it: if the journal ends before, the event comes again
    /// and is skipped again.
    pub(super) fn skip(&self, sequence: Sequence, attempt: u32) {
        if let Ok(mut waiting) = self.open() {
            waiting.batch.skips.push((sequence, attempt));
            if waiting.batch.skips.len() == 1 {
                self.rouse(waiting);
            }
        }
    }

    pub(super) fn bury(
        &self,
        sequence: Sequence,
        attempt: u32,
        letter: Vec<u8>,
    ) -> Result<Answer<bool>, Ended> {
        let (reply, answer) = oneshot::channel();
        let mut waiting = self.open()?;
        waiting.batch.burials.push(Burial { sequence, attempt, letter, reply });
        self.rouse(waiting);
        Ok(answer)
    }

    pub(super) fn list(
        &self,
        after: Sequence,
        limit: usize,
    ) -> Result<Answer<Vec<(Record, DeadLetter)>>, Ended> {
        let (reply, answer) = oneshot::channel();
        let mut waiting = self.open()?;
        waiting.batch.lists.push(List { after, limit, reply });
        self.rouse(waiting);
        Ok(answer)
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

    /// Notes what the file holds after a transaction that took in `arrived`.
    pub(super) fn stored(&self, totals: Totals, arrived: Load) {
        let mut waiting = self.lock();
        waiting.stored = totals;
        waiting.coming = waiting.coming.minus(arrived);
    }

    /// Waits for something to do and takes all of it; none when the journal was closed and all is done. For the writer.
    pub(super) fn take(&self) -> Option<Batch> {
        let mut waiting = self.lock();
        let mut lazy_until: Option<Instant> = None;
        loop {
            let due = lazy_until.is_some_and(|until| until <= Instant::now());
            let ended = waiting.ended.is_some();
            let lazy = !waiting.batch.skips.is_empty();
            if !waiting.batch.can_wait() || waiting.wanted || (lazy && (due || ended)) {
                waiting.wanted = false;
                return Some(mem::take(&mut waiting.batch));
            }
            if ended {
                return None;
            }
            waiting.writer_sleeps = true;
            waiting = if lazy {
                let until = *lazy_until.get_or_insert_with(|| Instant::now() + LAZY);
                let left = until.saturating_duration_since(Instant::now());
                let (guard, _) =
                    self.wake.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner);
                guard
            } else {
                self.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner)
            };
            waiting.writer_sleeps = false;
        }
    }

    fn rouse(&self, mut waiting: MutexGuard<'_, Waiting>) {
        if mem::take(&mut waiting.writer_sleeps) {
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
