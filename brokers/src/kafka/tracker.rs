//! Which offsets of a partition are done, and so how far its consumer group can commit. Pure.
//!
//! Offsets have gaps: compaction and transaction markers leave some that are never received. A [`Span`] therefore
//! runs from the end of the message received before it to its own, gap included; the spans of an assignment tile its
//! offsets without holes, and completing all of them leaves none. Nothing has to be registered on receipt.

use std::collections::BTreeMap;

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

    fn len(self) -> i64 {
        self.to - self.from
    }
}

/// The completion of one partition under one assignment.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    /// Everything below is complete.
    low: i64,
    /// What is complete above `low`, as runs that touch neither `low` nor each other.
    above: BTreeMap<i64, i64>,
    /// How much was completed or handed back, in offsets.
    left: i64,
    /// What the group has committed of `low`, or is being asked to.
    committed: i64,
}

impl Tracker {
    /// A message is done, in whatever order.
    pub(super) fn complete(&mut self, span: Span) {
        self.left += span.len();
        if span.from != self.low {
            return self.insert(span);
        }
        self.low = span.to;
        while let Some(run) = self.above.first_entry()
            && *run.key() <= self.low
        {
            self.low = self.low.max(run.remove());
        }
    }

    fn insert(&mut self, Span { mut from, mut to }: Span) {
        if from < self.low {
            return;
        }
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
    }

    /// Whether nobody works on anything below `end`, where receiving has come to.
    pub(super) fn is_idle(&self, end: i64) -> bool {
        self.left >= end
    }

    /// Everything below is complete; 0 until the first message is.
    pub(super) fn low(&self) -> i64 {
        self.low
    }

    /// The offset to commit, if it is further than the last one.
    pub(super) fn committable(&self) -> Option<i64> {
        (self.low > self.committed).then_some(self.low)
    }

    /// `offset` is being committed.
    pub(super) fn committed(&mut self, offset: i64) {
        self.committed = self.committed.max(offset);
    }

    /// The last commit failed.
    pub(super) fn uncommitted(&mut self) {
        self.committed = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spans(offsets: &[i64]) -> Vec<Span> {
        let mut end = 0;
        let span = |&offset: &i64| {
            let span = Span::after(end, offset).unwrap();
            end = span.end();
            span
        };
        offsets.iter().map(span).collect()
    }

    #[test]
    fn a_stuck_head_holds_the_commit_back() {
        let mut tracker = Tracker::default();
        let spans = spans(&[7, 8, 9]);
        tracker.complete(spans[1]);
        tracker.complete(spans[2]);
        assert_eq!(tracker.committable(), None);
        tracker.complete(spans[0]);
        assert_eq!(tracker.committable(), Some(10));
    }

    #[test]
    fn gaps_are_nobodys_work() {
        let mut tracker = Tracker::default();
        let spans = spans(&[3, 10, 11, 40]);
        tracker.complete(spans[0]);
        tracker.complete(spans[1]);
        assert_eq!(tracker.committable(), Some(11));
        tracker.complete(spans[3]);
        tracker.complete(spans[2]);
        assert_eq!(tracker.committable(), Some(41));
    }

    #[test]
    fn an_offset_is_committed_once() {
        let mut tracker = Tracker::default();
        tracker.complete(spans(&[0])[0]);
        assert_eq!(tracker.committable(), Some(1));
        tracker.committed(1);
        assert_eq!(tracker.committable(), None);
        tracker.uncommitted();
        assert_eq!(tracker.committable(), Some(1));
    }

    #[test]
    fn an_offset_that_goes_back_has_no_span() {
        assert_eq!(Span::after(8, 7), None);
        assert!(Span::after(8, 8).is_some());
    }

    #[test]
    fn what_is_handed_back_is_nobodys_work_and_not_done() {
        let mut tracker = Tracker::default();
        let spans = spans(&[0, 5]);
        tracker.release(spans[0]);
        assert!(!tracker.is_idle(6));
        tracker.complete(spans[1]);
        assert!(tracker.is_idle(6));
        assert_eq!(tracker.committable(), None);
    }

    #[test]
    fn a_long_completed_stretch_is_one_run() {
        let mut tracker = Tracker::default();
        let spans = spans(&(0..1000).collect::<Vec<_>>());
        for span in spans[1..].iter().step_by(2).chain(spans[2..].iter().step_by(2)) {
            tracker.complete(*span);
        }
        assert_eq!(tracker.above.len(), 1);
    }

    /// What may happen to a message after it was received.
    #[derive(Clone, Copy, Debug)]
    enum Fate {
        Complete,
        Release,
        Linger,
    }

    /// Messages with the gaps before them, their fates, and the order in which those come.
    fn history() -> impl Strategy<Value = Vec<(i64, Fate, u32)>> {
        let gap = prop_oneof![4 => Just(0i64), 1 => 1..50i64];
        let fate = prop_oneof![8 => Just(Fate::Complete), 1 => Just(Fate::Release), 1 => Just(Fate::Linger)];
        proptest::collection::vec((gap, fate, any::<u32>()), 1..80)
    }

    proptest! {
        /// Against the naive model: a list of what was received, and whether it is done.
        #[test]
        fn it_commits_the_end_of_the_completed_prefix_and_nothing_more(history in history()) {
            let mut offset = -1;
            let offsets: Vec<i64> =
                history.iter().map(|(gap, ..)| { offset += gap + 1; offset }).collect();
            let spans = spans(&offsets);
            let mut order: Vec<usize> = (0..history.len()).collect();
            order.sort_by_key(|&i| history[i].2);

            let mut tracker = Tracker::default();
            let mut done = vec![false; history.len()];
            let mut working = history.len();
            let mut committed = 0;
            for i in order {
                match history[i].1 {
                    Fate::Complete => { tracker.complete(spans[i]); done[i] = true; working -= 1; }
                    Fate::Release => { tracker.release(spans[i]); working -= 1; }
                    Fate::Linger => {}
                }
                let prefix = done.iter().take_while(|done| **done).count();
                let model = prefix.checked_sub(1).map_or(0, |last| offsets[last] + 1);
                prop_assert_eq!(tracker.low(), model);
                prop_assert_eq!(tracker.committable(), (model > committed).then_some(model));
                if i % 3 == 0 {
                    tracker.committed(model);
                    committed = committed.max(model);
                }
                prop_assert_eq!(tracker.is_idle(spans.last().unwrap().end()), working == 0);
            }
        }
    }
}
