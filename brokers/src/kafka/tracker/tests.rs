use proptest::prelude::*;

use super::{
    super::note::{Commit, decode, encode},
    *,
};

fn spans(offsets: &[i64]) -> Vec<Span> {
    let mut end = 0;
    let span = |&offset: &i64| {
        let span = Span::after(end, offset).unwrap();
        end = span.end();
        span
    };
    offsets.iter().map(span).collect()
}

impl Tracker {
    /// The offset alone, if there is anything to commit.
    fn committable(&mut self) -> Option<i64> {
        self.take(0, true).map(|(offset, _)| offset)
    }
}

fn print(offset: i64) -> Fingerprint {
    Fingerprint { time: offset * 10, crc: !u32::try_from(offset).unwrap() }
}

#[test]
fn a_stuck_head_holds_the_commit_back_and_what_is_done_above_it_is_noted() {
    let mut tracker = Tracker::default();
    let spans = spans(&[7, 8, 9]);
    tracker.begin(spans[0], 0, print(7));
    tracker.complete(spans[1]);
    tracker.complete(spans[2]);
    let witness = Some(Witness { offset: 7, print: print(7) });
    let items = vec![Item::Begun(7, 1), Item::Done(8, 10)];
    assert_eq!(tracker.take(7, true), Some((7, Note { open: true, witness, items })));
    tracker.complete(spans[0]);
    assert_eq!(tracker.take(7, false), Some((10, Note::default())));
}

#[test]
fn gaps_are_nobodys_work() {
    let mut tracker = Tracker::default();
    let spans = spans(&[3, 10, 11, 40]);
    tracker.complete(spans[0]);
    tracker.complete(spans[1]);
    assert_eq!(tracker.committable(), Some(11));
    tracker.begin(spans[2], 0, print(11));
    tracker.complete(spans[3]);
    tracker.complete(spans[2]);
    assert_eq!(tracker.committable(), Some(41));
}

#[test]
fn what_has_not_changed_is_not_committed_again() {
    let mut tracker = Tracker::default();
    tracker.complete(spans(&[0])[0]);
    assert_eq!(tracker.committable(), Some(1));
    assert_eq!(tracker.committable(), None);
    tracker.touch();
    assert_eq!(tracker.committable(), Some(1));
}

#[test]
fn what_is_handed_back_in_good_order_does_not_count_as_begun() {
    let mut tracker = Tracker::default();
    let spans = spans(&[0, 1, 2]);
    tracker.begin(spans[0], 2, print(0));
    tracker.begin(spans[1], 0, print(1));
    tracker.begin(spans[2], 1, print(2));
    let begun = |note: &Note| [0, 1, 2].map(|at| note.begun(at));
    assert_eq!(begun(&tracker.take(0, true).unwrap().1), [Some(3), Some(1), Some(2)]);
    tracker.release(spans[2]);
    assert_eq!(begun(&tracker.take(0, true).unwrap().1), [Some(3), Some(1), Some(1)]);
    assert_eq!(begun(&tracker.last(0, false).unwrap().1), [Some(2), None, Some(1)]);
}

#[test]
fn nothing_is_committed_while_nobody_can_witness_what_is_done_above() {
    let mut tracker = Tracker::default();
    let items = vec![Item::Done(1, 5), Item::Begun(5, 1), Item::Done(6, 9)];
    let witness = Some(Witness { offset: 0, print: print(0) });
    tracker.remember(&Note { open: true, witness, items });
    let spans = spans(&[0, 5]);
    tracker.begin(spans[0], 0, print(0));
    tracker.complete(spans[0]);
    assert_eq!(tracker.take(0, true), None, "5 was not received yet");
    tracker.begin(spans[1], 1, print(5));
    let (offset, note) = tracker.take(0, true).unwrap();
    assert_eq!((offset, note.begun(5), note.done(8)), (5, Some(2), Some(9)));
}

#[test]
fn a_witness_is_the_lowest_that_is_not_done_and_no_other() {
    let mut tracker = Tracker::default();
    let spans = spans(&[0, 1, 2]);
    tracker.complete(spans[1]);
    tracker.begin(spans[2], 0, print(2));
    assert_eq!(tracker.take(0, true), None, "0 will be the first to be received, and is not known");
    tracker.begin(spans[0], 0, print(0));
    assert_eq!(tracker.take(0, true).unwrap().1.witness.unwrap().offset, 0);
}

#[test]
fn what_the_log_has_lost_since_a_note_is_forgotten() {
    let mut tracker = Tracker::default();
    let items = vec![Item::Begun(2, 1), Item::Done(3, 4), Item::Begun(4, 1), Item::Done(5, 6)];
    let witness = Some(Witness { offset: 0, print: print(0) });
    tracker.remember(&Note { open: false, witness, items });
    for span in spans(&[0, 9]) {
        tracker.complete(span);
    }
    assert_eq!(tracker.take(0, false), Some((10, Note::default())));
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
    assert_eq!(tracker.low(), 0);
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

/// How a worker goes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Orderly,
    Crash,
}

/// Messages by the gaps before them.
fn log() -> impl Strategy<Value = Vec<i64>> {
    let gap = prop_oneof![4 => Just(0i64), 1 => 1..50i64];
    proptest::collection::vec(gap, 1..60).prop_map(|gaps| {
        let mut offset = -1;
        let next = |gap| {
            offset += gap + 1;
            offset
        };
        gaps.into_iter().map(next).collect()
    })
}

/// A worker's life: how many messages it receives at most, the fates of those in an order, after how many of them it
/// commits, and its end.
fn life() -> impl Strategy<Value = (usize, Vec<(Fate, u32)>, usize, End)> {
    let fate =
        prop_oneof![6 => Just(Fate::Complete), 1 => Just(Fate::Release), 2 => Just(Fate::Linger)];
    let end = prop_oneof![Just(End::Orderly), Just(End::Crash)];
    (0..60usize, proptest::collection::vec((fate, any::<u32>()), 60), 1..8usize, end)
}

proptest! {
    /// Against the naive model, worker after worker, each with nothing but what the one before it has committed: nothing
    /// is passed over that was not done, nothing comes again whose completion was committed, and nobody is accused of
    /// more than was begun.
    #[test]
    fn lives_go_on_where_the_last_commit_left_off(
        log in log(),
        lives in proptest::collection::vec(life(), 1..6),
        room in prop_oneof![3 => Just(4000usize), 1 => 0..120usize],
    ) {
        let mut committed: Option<(i64, String)> = None;
        let mut done = vec![false; log.len()];
        let mut durable = vec![false; log.len()];
        let mut begun = vec![0u32; log.len()];
        let commit = |offset| Commit { topic: "t", partition: 0, offset };
        for (most, fates, every, end) in lives {
            let (base, text) = committed.clone().unwrap_or((0, String::new()));
            let note = decode(&text, commit(base)).unwrap_or_default();
            let (mut tracker, mut proven, mut first, mut from) = (Tracker::default(), false, None, 0);
            let (mut held, mut known) = (Vec::new(), durable.clone());
            for (i, &offset) in log.iter().enumerate().filter(|(_, offset)| **offset >= base).take(most) {
                if first.is_none() {
                    first = Some(offset);
                    proven = note.is_proven_by(offset, print(offset));
                    prop_assert!(proven || note.items.is_empty());
                    if proven { tracker.remember(&note); }
                }
                let span = Span::after(from, offset).unwrap();
                from = span.end();
                if proven && note.done(offset).is_some() {
                    prop_assert!(done[i], "{offset} is passed over");
                    tracker.complete(span);
                    continue;
                }
                prop_assert!(!durable[i] || room < 4000, "{offset} comes again");
                let before = if proven { note.begun(offset).unwrap_or(0) } else { 0 };
                prop_assert!(before <= begun[i]);
                tracker.begin(span, before, print(offset));
                begun[i] += 1;
                held.push((i, span, fates[i].0, fates[i].1));
            }
            held.sort_by_key(|(.., order)| *order);
            let working = held.iter().filter(|(_, _, fate, _)| matches!(fate, Fate::Linger)).count();
            let floor = first.unwrap_or(base);
            let mut keep = |taken: Option<(i64, Note)>, known: &[bool]| {
                let Some((offset, note)) = taken else { return };
                let text = encode(&note, commit(offset), room);
                assert!(text.len() <= room);
                committed = Some((offset, text));
                durable = known.to_vec();
            };
            for (n, (i, span, fate, _)) in held.iter().enumerate() {
                match fate {
                    Fate::Complete => { tracker.complete(*span); (done[*i], known[*i]) = (true, true); }
                    Fate::Release => tracker.release(*span),
                    Fate::Linger => {}
                }
                let prefix = log.iter().zip(&done).filter(|(offset, _)| **offset >= floor);
                let model = prefix.take_while(|(_, done)| **done).last().map_or(0, |(at, _)| at + 1);
                prop_assert!(tracker.low() <= model);
                if n % every == 0 {
                    keep(tracker.take(floor, true), &known);
                }
            }
            prop_assert_eq!(tracker.is_idle(from), working == 0);
            if end == End::Orderly && first.is_some() {
                keep(tracker.last(floor, false), &known);
            }
        }
    }

    /// Within one life: the commit is the end of the completed prefix, and nothing more.
    #[test]
    fn it_commits_the_end_of_the_completed_prefix(log in log(), fates in life()) {
        let spans = spans(&log);
        let mut order: Vec<usize> = (0..log.len()).collect();
        order.sort_by_key(|&i| fates.1[i].1);
        let mut tracker = Tracker::default();
        for (span, offset) in spans.iter().zip(&log) {
            tracker.begin(*span, 0, print(*offset));
        }
        let mut done = vec![false; log.len()];
        for i in order {
            match fates.1[i].0 {
                Fate::Complete => { tracker.complete(spans[i]); done[i] = true; }
                Fate::Release => tracker.release(spans[i]),
                Fate::Linger => continue,
            }
            let prefix = done.iter().take_while(|done| **done).count();
            let model = prefix.checked_sub(1).map_or(0, |last| log[last] + 1);
            prop_assert_eq!(tracker.low(), model);
            prop_assert_eq!(tracker.committable(), Some(model));
        }
    }
}
