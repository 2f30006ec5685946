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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use bytes::Bytes;
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::journal::record::Event;

    fn record(sequence: u64, size: usize) -> Record {
        let (received, payload) = (Timestamp::UNIX_EPOCH, Bytes::from(vec![0; size]));
        let event = Event { received, traceparent: None, content_type: None, payload };
        Record::new(Sequence::new(sequence), event)
    }

    /// The table and its counts, as the writer keeps them for the shelf.
    #[derive(Default)]
    struct Table {
        events: BTreeMap<u64, usize>,
        last: u64,
        mark: Sequence,
        lends: BTreeMap<u64, u32>,
    }

    impl Table {
        fn transact(&mut self, shelf: &mut Shelf, sizes: &[usize]) {
            let Plan { again, block } = shelf.plan();
            let again = again
                .into_iter()
                .map(|sequence| {
                    let n = sequence.get();
                    let lend = self.lends.entry(n).or_insert(1);
                    *lend += 1;
                    (record(n, self.events[&n]), *lend)
                })
                .collect();
            let mut read = Vec::new();
            if let Some(Block { after, messages, bytes }) = block {
                let mut size = 0;
                for (n, s) in self.events.range(after.next().get()..).take(messages) {
                    read.push(record(*n, *s));
                    size += s;
                    if size >= bytes {
                        break;
                    }
                }
            }
            let mut appended = Vec::new();
            for size in sizes {
                self.last += 1;
                self.events.insert(self.last, *size);
                appended.push(record(self.last, *size));
            }
            let mark = shelf.mark_with(&read, &appended);
            assert!(mark >= self.mark, "a count was taken back");
            self.mark = mark;
            shelf.arrived(again, read, appended, mark);
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Append(Vec<usize>),
        Take(usize),
        GiveBack,
        Settle,
        Demand(bool),
        Transact,
    }

    fn step() -> impl Strategy<Value = Step> {
        let size = prop_oneof![9 => 0..1000_usize, 1 => Just(3 << 20)];
        prop_oneof![
            4 => prop::collection::vec(size, 1..400).prop_map(Step::Append),
            4 => (1..400_usize).prop_map(Step::Take),
            1 => Just(Step::GiveBack),
            1 => Just(Step::Settle),
            1 => any::<bool>().prop_map(Step::Demand),
            3 => Just(Step::Transact),
        ]
    }

    /// Takes one, checked against what is known: counted, right count, fresh ones in order.
    fn take(shelf: &mut Shelf, table: &Table, fresh: &mut u64, out: &mut BTreeSet<u64>) -> bool {
        let Some((record, lend)) = shelf.take() else { return false };
        let n = record.sequence.get();
        assert!(record.sequence <= table.mark, "lent before it was counted");
        match table.lends.get(&n) {
            Some(lends) => assert_eq!(lend, *lends),
            None => {
                assert_eq!((n, lend), (*fresh + 1, 1), "out of order, or one is missing");
                *fresh = n;
            }
        }
        assert!(out.insert(n), "lent twice at once");
        true
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn every_event_is_lent_in_order_and_counted(steps in prop::collection::vec(step(), 1..60)) {
            let mut shelf = Shelf::new(Sequence::default(), Sequence::default(), Vec::new());
            let mut table = Table::default();
            let (mut fresh, mut out) = (0, BTreeSet::new());
            for step in steps {
                match step {
                    Step::Append(sizes) => table.transact(&mut shelf, &sizes),
                    Step::Transact => table.transact(&mut shelf, &[]),
                    Step::Take(n) => {
                        for _ in 0..n {
                            take(&mut shelf, &table, &mut fresh, &mut out);
                        }
                    }
                    Step::GiveBack => {
                        if let Some(n) = out.pop_last() {
                            shelf.give_back(Sequence::new(n));
                        }
                    }
                    Step::Settle => {
                        if let Some(n) = out.pop_first() {
                            table.events.remove(&n);
                        }
                    }
                    Step::Demand(flow) => {
                        shelf.demand(if flow { Demand::Flow } else { Demand::Pause });
                    }
                }
                prop_assert!(shelf.fresh.len() <= ROOM + AHEAD + BLOCK);
            }
            // Whatever came before: all of it is lent in the end, and the writer is asked for it where need be.
            shelf.demand(Demand::Flow);
            loop {
                while take(&mut shelf, &table, &mut fresh, &mut out) {}
                if !shelf.wants_writer() {
                    break;
                }
                table.transact(&mut shelf, &[]);
            }
            prop_assert_eq!(fresh, table.last);
            prop_assert!(table.events.keys().copied().eq(out));
        }
    }
}
