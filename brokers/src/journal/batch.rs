//! What the writer does in one transaction, and whom it answers.

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::{
    record::{Event, Headers, Record, Sequence},
    store::{BurialOutcome, RedriveOutcome},
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
    pub(super) redrives: Vec<Redrive>,
    pub(super) drops: Vec<Drop>,
    pub(super) lists: Vec<List>,
    pub(super) looks: Vec<Look>,
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

/// A dead letter that becomes an event again, behind all others; the answer says what became of it.
#[derive(Debug)]
pub(super) struct Redrive {
    pub(super) sequence: Sequence,
    /// For these handlers alone, and it stays for the others that failed; for all of them if none is named.
    pub(super) handlers: Vec<String>,
    pub(super) event: Redriven,
    pub(super) reply: Reply<RedriveOutcome>,
}

/// What is new of an event that was a dead letter.
#[derive(Clone, Debug)]
pub(super) struct Redriven {
    /// When it is taken in again.
    pub(super) at: Timestamp,
    pub(super) headers: Headers,
}

/// A dead letter to be forgotten; the answer says whether it was there.
#[derive(Debug)]
pub(super) struct Drop {
    pub(super) sequence: Sequence,
    pub(super) reply: Reply<bool>,
}

/// A look at the events.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) after: Sequence,
    pub(super) limit: usize,
    pub(super) reply: Reply<Vec<Record>>,
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
            && self.redrives.is_empty()
            && self.drops.is_empty()
            && self.lists.is_empty()
            && self.looks.is_empty())
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
        for redrive in self.redrives {
            let _ = redrive.reply.send(Err(reason.clone()));
        }
        for drop in self.drops {
            let _ = drop.reply.send(Err(reason.clone()));
        }
        for list in self.lists {
            let _ = list.reply.send(Err(reason.clone()));
        }
        for look in self.looks {
            let _ = look.reply.send(Err(reason.clone()));
        }
    }
}
