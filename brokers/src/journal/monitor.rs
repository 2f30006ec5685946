//! What can be seen of a journal from outside: how full it is, and what the intake did.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use jiff::Timestamp;

use super::{Keeper, intake::Rejection, load::Load};

/// A view of a journal, for metrics and for the dead letters. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Monitor {
    pub(super) keeper: Arc<Keeper>,
}

/// How full a journal is.
#[derive(Clone, Copy, Debug)]
pub struct Depth {
    /// What is not settled, that on its way to the disk included.
    pub unsettled: Load,
    /// What was given up, and is kept.
    pub dead: Load,
    /// How much it holds of either.
    pub capacity: Load,
    /// When the first unsettled event was received.
    pub oldest: Option<Timestamp>,
}

/// What the intake has done so far.
#[derive(Debug, Default)]
pub(super) struct Counters {
    accepted: AtomicU64,
    rejected: [AtomicU64; Rejection::ALL.len()],
}

impl Counters {
    pub(super) fn accepted(&self, events: usize) {
        self.accepted.fetch_add(events as u64, Ordering::Relaxed);
    }

    pub(super) fn rejected(&self, rejection: Rejection) {
        if let Some(counter) = self.rejected.get(rejection as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Monitor {
    /// How full it is.
    pub fn depth(&self) -> Depth {
        let (stored, coming) = self.keeper.shared.inbox.held();
        Depth {
            unsettled: stored.events.plus(coming),
            dead: stored.dead,
            capacity: self.keeper.shared.inbox.capacity(),
            oldest: stored.oldest,
        }
    }

    /// Events made durable so far.
    pub fn accepted(&self) -> u64 {
        self.keeper.shared.counters.accepted.load(Ordering::Relaxed)
    }

    /// Requests refused so far, by reason.
    pub fn rejected(&self) -> impl Iterator<Item = (Rejection, u64)> {
        let counters = &self.keeper.shared.counters.rejected;
        Rejection::ALL.into_iter().zip(counters.iter().map(|count| count.load(Ordering::Relaxed)))
    }
}
