//! What is seen from outside: the logs that the invariants are judged on. Values alone.

use std::{collections::BTreeSet, time::Instant};

use crate::id::Id;

/// A worker's place in its fleet; it keeps it over a restart.
pub type WorkerId = usize;

/// One process of a worker's place: each that is started there lives once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Life {
    pub worker: WorkerId,
    /// The place's first, second, ….
    pub number: u32,
}

/// One call of a playbook, as the sink saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect {
    pub id: Id,
    pub by: Life,
    pub began: Instant,
    /// When it was on record, which is before it was answered. What broke off before has had no effect.
    pub done: Option<Instant>,
}

/// What the broker says is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// These.
    Ids(BTreeSet<Id>),
    /// So many at least, and it doesn't say which.
    Count(usize),
}

impl Settled {
    pub fn len(&self) -> usize {
        match self {
            Self::Ids(ids) => ids.len(),
            Self::Count(count) => *count,
        }
    }

    pub fn has(&self, id: &Id) -> bool {
        matches!(self, Self::Ids(ids) if ids.contains(id))
    }
}

/// The dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Letters {
    /// Each of them, as often as it is there.
    Ids(Vec<Id>),
    /// So many, and only a broker at rest says which.
    Count(usize),
}

impl Letters {
    pub fn len(&self) -> usize {
        match self {
            Self::Ids(ids) => ids.len(),
            Self::Count(count) => *count,
        }
    }
}

/// How far the workers are with one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    pub settled: u64,
    pub end: u64,
}

impl Partition {
    /// None where what is settled lies beyond the end, as after a log was made anew.
    pub fn lag(&self) -> u64 {
        self.end.saturating_sub(self.settled)
    }
}

/// The broker at one instant.
#[derive(Clone, Debug)]
pub struct Observation {
    /// Right after it had said what is settled.
    pub at: Instant,
    pub settled: Settled,
    /// Read after that.
    pub letters: Letters,
    pub partitions: Vec<Partition>,
}

impl Observation {
    pub fn lag(&self) -> u64 {
        self.partitions.iter().map(Partition::lag).sum()
    }
}

/// Something that may make work be done twice: a kill, a cut, a partition that changes hands.
#[derive(Clone, Debug)]
pub struct Disturbance {
    /// Whose work.
    pub lives: BTreeSet<Life>,
    /// What was settled when it began, or some time before.
    pub settled: Settled,
    /// Work begun after this can't be hurt by it. Those that it ended begin none, and may be heard of late.
    pub over: Option<Instant>,
}
