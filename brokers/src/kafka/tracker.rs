//! Which offsets of a partition are done, and so how far its consumer group can commit, and with what note. Pure.
//!
//! Offsets have gaps: compaction and transaction markers leave some that are never received. A [`Span`] therefore
//! runs from the end of the message received before it to its own, gap included; the spans of an assignment tile its
//! offsets without holes, and completing all of them leaves none. Only what is worked on is registered on receipt.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::note::{Fingerprint, Item, Note, Witness};

/// One received message: its offset, and whatever was skipped between the message before it and this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    from: i64,
    to: i64,
}

impl Span {
    /// The span of the message at `offset`, received when everything below `end` had been received. `None` if the offset
    /// goes back: the log under us is not the one that it was.
    pub(super) fn after(end: i64, offset: i64) -> Option<Self> {
        (offset >= end).then_some(Self { from: end, to: offset + 1 })
    }

    /// Where the next span begins.
    pub(super) fn end(self) -> i64 {
        self.to
    }

    fn offset(self) -> i64 {
        self.to - 1
    }

    fn len(self) -> i64 {
        self.to - self.from
    }
}

/// A message that is not done.
#[derive(Clone, Copy, Debug)]
struct Pending {
    /// Unknown as long as only a note tells of it.
    print: Option<Fingerprint>,
    /// How often work on it was begun, by workers before us too.
    begun: u32,
    /// As far as it counts once we leave in good order: what is given back then hasn't broken us.
    blamed: u32,
}

/// The completion of one partition under one assignment.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    /// Everything below is complete.
    low: i64,
    /// What is complete above `low`, as runs that touch neither `low` nor each other.
    above: BTreeMap<i64, i64>,
    /// What was begun and is not complete.
    pending: BTreeMap<i64, Pending>,
    /// How much was completed or handed back, in offsets.
    left: i64,
    /// Something has changed that is not committed yet.
    changed: bool,
}

impl Tracker {
    /// Takes over what a note tells that has been proven.
    pub(super) fn remember(&mut self, note: &Note) {
        for item in &note.items {
            match *item {
                Item::Done(from, to) => self.fill(from, to),
                Item::Begun(at, times) => {
                    self.pending.insert(at, Pending { print: None, begun: times, blamed: times });
                }
            }
        }
        if let Some(Witness { offset, print }) = note.witness {
            let unnamed = Pending { print: None, begun: 0, blamed: 0 };
            self.pending.entry(offset).or_insert(unnamed).print = Some(print);
        }
    }

    /// Work on a message was begun that was begun so many times before. It may be done by now.
    pub(super) fn begin(&mut self, span: Span, before: u32, print: Fingerprint) {
        if self.is_done(span.offset()) {
            return;
        }
        // What a note told of and the log has lost since lies in the gap before the message.
        self.forget(span);
        let begun = before.saturating_add(1);
        let pending = Pending { print: Some(print), begun, blamed: before };
        self.pending.insert(span.offset(), pending);
        self.changed = true;
    }

    /// A message is done, in whatever order.
    pub(super) fn complete(&mut self, span: Span) {
        self.left += span.len();
        self.forget(span);
        self.fill(span.from, span.to);
        self.changed = true;
    }

    fn is_done(&self, offset: i64) -> bool {
        let run = self.above.range(..=offset).next_back();
        offset < self.low || run.is_some_and(|(_, &end)| offset < end)
    }

    fn forget(&mut self, span: Span) {
        while let Some((&at, _)) = self.pending.range(span.from..span.to).next() {
            self.pending.remove(&at);
        }
    }

    fn fill(&mut self, from: i64, to: i64) {
        if from > self.low {
            return self.insert(from, to);
        }
        // A note may have told of some of it before.
        self.low = self.low.max(to);
        while let Some(run) = self.above.first_entry()
            && *run.key() <= self.low
        {
            self.low = self.low.max(run.remove());
        }
    }

    fn insert(&mut self, mut from: i64, mut to: i64) {
        if let Some((&start, &end)) = self.above.range(..=from).next_back()
            && end >= from
        {
            (from, to) = (start, to.max(end));
        }
        while let Some((&start, &end)) = self.above.range(from..=to).next_back()
            && start > from
        {
            self.above.remove(&start);
            to = to.max(end);
        }
        self.above.insert(from, to);
    }

    /// A message is handed back: nobody works on it any more, and it is not done.
    pub(super) fn release(&mut self, span: Span) {
        self.left += span.len();
        if let Some(pending) = self.pending.get_mut(&span.offset()) {
            pending.begun = pending.blamed;
            self.changed = true;
        }
    }

    /// Whether nobody works on anything below `end`, where receiving has come to.
    pub(super) fn is_idle(&self, end: i64) -> bool {
        self.left >= end
    }

    /// Everything below is complete; 0 until the first message is.
    pub(super) fn low(&self) -> i64 {
        self.low
    }

    /// What is to be committed is not what was committed last.
    pub(super) fn touch(&mut self) {
        self.changed = true;
    }

    /// The offset to commit and the note beside it, if anything has changed. It counts as committed from here on.
    ///
    /// `floor` is where this assignment began. `None` as well while nobody can witness what is done above: the lowest
    /// message that is not done is still to be received.
    pub(super) fn take(&mut self, floor: i64, open: bool) -> Option<(i64, Note)> {
        let taken = self.changed.then(|| self.note(floor, open, |pending| pending.begun)).flatten();
        self.changed &= taken.is_none();
        taken
    }

    /// The last offset to commit, and the note beside it: we leave in good order.
    pub(super) fn last(&self, floor: i64, open: bool) -> Option<(i64, Note)> {
        self.note(floor, open, |pending| pending.blamed)
    }

    fn note(&self, floor: i64, open: bool, times: fn(&Pending) -> u32) -> Option<(i64, Note)> {
        let low = self.low.max(floor);
        let done = self.above.iter().map(|(&from, &to)| Item::Done(from, to));
        let begun = self.pending.iter().map(|(&at, pending)| Item::Begun(at, times(pending)));
        let begun = begun.filter(|item| !matches!(item, Item::Begun(_, 0)));
        let mut items: Vec<_> = done.chain(begun).collect();
        if items.is_empty() {
            return Some((low, Note { open, ..Note::default() }));
        }
        items.sort_unstable_by_key(|item| match item {
            Item::Done(at, _) | Item::Begun(at, _) => *at,
        });
        let (&offset, lowest) = self.pending.first_key_value()?;
        if self.above.first_key_value().is_some_and(|(&from, _)| from < offset) {
            return None;
        }
        let witness = Some(Witness { offset, print: lowest.print? });
        Some((low, Note { open, witness, items }))
    }
}
