//! What the writer does in one transaction, and whom it answers.

use tokio::sync::oneshot;

use super::{
    record::{Event, Record, Sequence},
    store::BurialOutcome,
};
use crate::dead_letter::DeadLetter;

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

/// The answer when it is durable.
pub(super) type Reply<T> = oneshot::Sender<Result<T, Ended>>;
/// Where the answer comes.
pub(super) type Answer<T> = oneshot::Receiver<Result<T, Ended>>;

/// What is to become durable together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) events: Vec<Event>,
    /// Of those who brought the events.
    pub(super) appended: Vec<Reply<()>>,
    pub(super) acks: Vec<Ack>,
    /// Settled as well, and nobody waits for it.
    pub(super) skips: Vec<(Sequence, u32)>,
    pub(super) burials: Vec<Burial>,
    pub(super) lists: Vec<List>,
}

/// An event to be settled; the answer says whether it was there.
#[derive(Debug)]
pub(super) struct Ack {
    pub(super) sequence: Sequence,
    pub(super) attempt: u32,
    pub(super) reply: Reply<bool>,
}

/// An event to be moved to the dead letters; the answer says what became of it.
#[derive(Debug)]
pub(super) struct Burial {
    pub(super) sequence: Sequence,
    pub(super) attempt: u32,
    /// The reason, as JSON.
    pub(super) letter: Vec<u8>,
    pub(super) reply: Reply<BurialOutcome>,
}

/// A look at the dead letters.
#[derive(Debug)]
pub(super) struct List {
    pub(super) after: Sequence,
    pub(super) limit: usize,
    pub(super) reply: Reply<Vec<(Record, DeadLetter)>>,
}

impl Batch {
    /// Whether somebody waits for it.
    pub(super) fn is_awaited(&self) -> bool {
        !(self.appended.is_empty()
            && self.acks.is_empty()
            && self.burials.is_empty()
            && self.lists.is_empty())
    }

    /// Tells all who wait that it was not done, or that nobody knows.
    pub(super) fn refuse(self, reason: &Ended) {
        // Somebody who doesn't wait any more has no use for the reason.
        for reply in self.appended {
            let _ = reply.send(Err(reason.clone()));
        }
        for ack in self.acks {
            let _ = ack.reply.send(Err(reason.clone()));
        }
        for burial in self.burials {
            let _ = burial.reply.send(Err(reason.clone()));
        }
        for list in self.lists {
            let _ = list.reply.send(Err(reason.clone()));
        }
    }
}
