//! What is durable and waits to be lent: which events, in which order, and which of them are counted.
//!
//! A plain state machine without I/O. The writer asks for a [`Plan`], carries it out in its transaction, and puts what
//! became durable here; the receiver takes from here. Nothing is lent before its count is durable, so that an event
//! that kills the process is known for it afterwards. For this the writer counts a little ahead: those of the next
//! [`AHEAD`] events that were not lent yet when the process died are counted all the same.

use std::{collections::VecDeque, mem};

use super::record::{Record, Sequence};
use crate::contract::Demand;

/// How many events are counted ahead of being lent.
const AHEAD: usize = 128;
/// How many events are kept in memory. What doesn't fit is read from the table when its turn comes.
const ROOM: usize = 1024;
/// How many bytes of events are kept in memory.
const ROOM_BYTES: usize = 4 << 20;
/// How many events are read from the table at once.
const BLOCK: usize = 256;

/// What the writer shall do in its next transaction for the events that are to be lent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// To be read, and counted once more.
    pub(super) again: Vec<Sequence>,
    /// A block to be read from the table.
    pub(super) block: Option<Block>,
}

/// A part of the table to read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) after: Sequence,
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

/// An event and which lend of it this is.
pub(super) type Counted = (Record, u32);

/// What waits to be lent.
#[derive(Debug)]
pub(super) struct Shelf {
    /// Never lent, in order and without a gap up to `read_to`.
    fresh: VecDeque<Record>,
    fresh_bytes: usize,
    /// Everything up to here is counted.
    mark: Sequence,
    /// The last event that is in memory, or has been.
    read_to: Sequence,
    /// The last event that is durable.
    last: Sequence,
    /// Lent before and given back, or left by an earlier process; not yet counted for the next time.
    again: VecDeque<Sequence>,
    /// Lent before, and counted.
    counted_again: VecDeque<Counted>,
    demand: Demand,
}

impl Shelf {
    pub(super) fn new(mark: Sequence, last: Sequence, leftovers: Vec<Sequence>) -> Self {
        Self {
            fresh: VecDeque::new(),
            fresh_bytes: 0,
            mark,
            read_to: mark,
            last,
            again: leftovers.into(),
            counted_again: VecDeque::new(),
            // Nothing is counted before somebody asks for it.
            demand: Demand::Pause,
        }
    }

    pub(super) fn demand(&mut self, demand: Demand) {
        self.demand = demand;
    }

    /// The next event to lend, those that were lent before first.
    pub(super) fn take(&mut self) -> Option<Counted> {
        if self.demand == Demand::Pause {
            return None;
        }
        if let Some(counted) = self.counted_again.pop_front() {
            return Some(counted);
        }
        let record = self.fresh.pop_front_if(|record| record.sequence <= self.mark)?;
        self.fresh_bytes -= record.event.payload.len();
        Some((record, 1))
    }

    /// Whether there is more to lend than is counted, and little of that left.
    pub(super) fn wants_writer(&self) -> bool {
        let counted = self.counted();
        let more = !self.again.is_empty() || self.fresh.len() > counted || self.read_to < self.last;
        self.demand == Demand::Flow && more && counted + self.counted_again.len() <= AHEAD / 2
    }

    pub(super) fn give_back(&mut self, sequence: Sequence) {
        self.again.push_back(sequence);
    }

    /// What to read in the next transaction.
    pub(super) fn plan(&mut self) -> Plan {
        if self.demand == Demand::Pause {
            return Plan::default();
        }
        let again = AHEAD.saturating_sub(self.counted_again.len()).min(self.again.len());
        let again = self.again.drain(..again).collect();
        let short = self.fresh.len() < BLOCK && self.fresh_bytes < ROOM_BYTES / 2;
        let block = (self.read_to < self.last && short).then_some(Block {
            after: self.read_to,
            messages: BLOCK,
            bytes: ROOM_BYTES / 2,
        });
        Plan { again, block }
    }

    /// Up to where events are counted by a transaction that also reads `block` and appends `appended`.
    pub(super) fn mark_with(&self, block: &[Record], appended: &[Record]) -> Sequence {
        if self.demand == Demand::Pause {
            return self.mark;
        }
        let read_to = block.last().map_or(self.read_to, |record| record.sequence);
        let appended = if read_to == self.last { appended } else { &[] };
        let ahead = self.fresh.iter().chain(block).chain(appended).take(AHEAD).last();
        ahead.map_or(self.mark, |record| record.sequence.max(self.mark))
    }

    /// Takes in what a transaction has made durable.
    pub(super) fn arrived(
        &mut self,
        again: Vec<Counted>,
        block: Vec<Record>,
        appended: Vec<Record>,
        mark: Sequence,
    ) {
        self.counted_again.extend(again);
        for record in block {
            self.put(record);
        }
        let in_step = self.read_to == self.last;
        self.last = appended.last().map_or(self.last, |record| record.sequence);
        self.mark = mark;
        if in_step {
            for record in appended {
                // What is counted has to be here; for the rest there may be no room.
                let room = self.fresh.len() < ROOM && self.fresh_bytes < ROOM_BYTES;
                if !room && record.sequence > mark {
                    break;
                }
                self.put(record);
            }
        }
    }

    fn put(&mut self, record: Record) {
        self.read_to = record.sequence;
        self.fresh_bytes += record.event.payload.len();
        self.fresh.push_back(record);
    }

    /// How many of the fresh events are counted.
    fn counted(&self) -> usize {
        self.fresh.partition_point(|record| record.sequence <= self.mark)
    }

    /// Empties it, and says what was counted and not lent after all: up to where the fresh ones are to count, and the
    /// others with their counts.
    pub(super) fn clear(&mut self) -> (Sequence, Vec<(Sequence, u32)>) {
        let first = self.fresh.front().map(|record| record.sequence);
        if let Some(first) = first.filter(|first| *first <= self.mark) {
            self.mark = first.previous();
        }
        self.read_to = self.mark;
        self.fresh.clear();
        self.fresh_bytes = 0;
        let again = mem::take(&mut self.counted_again);
        (self.mark, again.into_iter().map(|(record, lend)| (record.sequence, lend)).collect())
    }
}
