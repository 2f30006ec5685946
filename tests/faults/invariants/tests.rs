//! Logs that keep each invariant, and logs that violate it.

use super::*;
use crate::logs::{Life, Partition};

const SECOND: Duration = Duration::from_secs(1);
const FIRST: Life = Life { worker: 0, number: 1 };

fn ids<const N: usize>(numbers: [usize; N]) -> [Id; N] {
    numbers.map(|n| std::iter::successors(Some(Id::EMPTY), |id| Some(id.next())).nth(n).unwrap())
}

/// The seconds of a round.
struct Clock(Instant);

impl Clock {
    fn start() -> Self {
        Self(Instant::now())
    }

    fn at(&self, second: u32) -> Instant {
        self.0 + SECOND * second
    }

    /// Begun at one second and done at the other.
    fn effect(&self, number: usize, began: u32, done: Option<u32>) -> Effect {
        let [id] = ids([number]);
        let done = done.map(|second| self.at(second));
        Effect { id, by: FIRST, began: self.at(began), done }
    }

    fn seen(&self, second: u32, settled: Settled, letters: Letters) -> Observation {
        Observation { at: self.at(second), settled, letters, partitions: Vec::new() }
    }

    fn lag(&self, second: u32, partitions: &[(u64, u64)]) -> Observation {
        let partition = |&(settled, end)| Partition { settled, end };
        Observation {
            partitions: partitions.iter().map(partition).collect(),
            ..self.seen(second, Settled::Count(0), Letters::Count(0))
        }
    }
}

fn settled<const N: usize>(numbers: [usize; N]) -> Settled {
    Settled::Ids(BTreeSet::from(ids(numbers)))
}

#[test]
fn what_has_neither_effect_nor_dead_letter_is_lost() {
    let clock = Clock::start();
    let effects = [clock.effect(1, 0, Some(1)), clock.effect(2, 0, None)];
    let confirmed = BTreeSet::from(ids([1, 2, 3]));
    assert_eq!(lost(&confirmed, &effects, &ids([3])), BTreeSet::from(ids([2])));
    assert_eq!(lost(&confirmed, &effects, &ids([2, 3])), BTreeSet::new());
}

#[test]
fn what_is_settled_before_its_effect_is_early() {
    let clock = Clock::start();
    let effects = [clock.effect(1, 0, Some(2)), clock.effect(2, 0, Some(4))];
    let none = || Letters::Ids(Vec::new());
    let early = |second, settled, letters| {
        settled_early(&clock.seen(second, settled, letters), &effects).is_some()
    };
    assert!(!early(3, settled([1]), none()));
    assert!(early(3, settled([1, 2]), none()), "its effect comes later");
    assert!(early(5, settled([1, 3]), none()), "it never had one");
    assert!(!early(5, settled([1, 3]), Letters::Ids(ids([3]).into())));
    assert!(!early(5, Settled::Count(3), Letters::Count(1)));
    assert!(early(3, Settled::Count(3), Letters::Count(1)));
}

#[test]
fn only_what_a_disturbance_met_may_be_done_twice() {
    let clock = Clock::start();
    let kill =
        Disturbance { lives: [FIRST].into(), settled: settled([1]), over: Some(clock.at(3)) };
    let effects = |twice: usize| {
        let mut effects: Vec<_> = (1..=3).map(|n| clock.effect(n, n as u32, Some(2))).collect();
        effects.push(clock.effect(4, 4, Some(5)));
        effects.push(clock.effect(twice, 6, Some(7)));
        effects
    };
    let unflushed = duplicates(&effects(2), &[], std::slice::from_ref(&kill));
    assert_eq!(unflushed, Duplicates { count: 1, bound: 2, unexplained: Vec::new() });
    for (twice, why) in [(1, "it was settled"), (4, "it began after the kill")] {
        let found = duplicates(&effects(twice), &[], std::slice::from_ref(&kill));
        assert!(found.violation().is_some(), "{why}");
    }
    for (life, whose) in [
        (Life { worker: 1, ..FIRST }, "another's"),
        (Life { number: 2, ..FIRST }, "the next one's"),
    ] {
        let other = Disturbance { lives: [life].into(), ..kill.clone() };
        assert!(duplicates(&effects(2), &[], &[other]).violation().is_some(), "it was {whose}");
    }
    let ended = Disturbance { over: None, ..kill };
    assert!(duplicates(&effects(4), &[], &[ended]).violation().is_none(), "it was heard of late");
    assert!(duplicates(&effects(2), &[], &[]).violation().is_some(), "there was no kill");
}

#[test]
fn an_id_may_be_done_again_once_for_each_disturbance() {
    let clock = Clock::start();
    let kill = Disturbance { lives: [FIRST].into(), settled: settled([]), over: Some(clock.at(1)) };
    let thrice = [clock.effect(1, 0, Some(1)); 3];
    assert!(duplicates(&thrice, &[], std::slice::from_ref(&kill)).violation().is_some());
    assert!(duplicates(&thrice, &[], &[kill.clone(), kill]).violation().is_none());
}

#[test]
fn where_only_the_number_of_settled_ones_is_known_it_bounds_the_duplicates() {
    let clock = Clock::start();
    let kill = |count| Disturbance {
        lives: [FIRST].into(),
        settled: Settled::Count(count),
        over: Some(clock.at(3)),
    };
    let effects = [1, 2, 2].map(|n| clock.effect(n, 1, Some(2)));
    assert!(duplicates(&effects, &[], &[kill(1)]).violation().is_none());
    assert!(duplicates(&effects, &[], &[kill(2)]).violation().is_some());
}

#[test]
fn a_dead_letter_beside_an_effect_is_a_duplicate_too() {
    let clock = Clock::start();
    let effects = [clock.effect(1, 0, Some(1))];
    assert_eq!(duplicates(&effects, &ids([1]), &[]).count, 1);
    assert_eq!(duplicates(&[], &ids([1, 1]), &[]).count, 1);
}

#[test]
fn memory_and_waits_are_bounded() {
    assert!(over_memory(100, 100).is_none() && over_memory(101, 100).is_some());
    let late = |waits: &[u32]| {
        let waits: Vec<_> = waits.iter().map(|&seconds| SECOND * seconds).collect();
        super::late(&waits, SECOND, SECOND * 10).is_some()
    };
    assert!(!late(&[]) && !late(&[1, 9, 1]));
    assert!(late(&[2, 2, 1]), "most were late");
    assert!(late(&[1, 1, 11]), "one stood still");
}

#[test]
fn a_partition_that_lags_and_does_not_move_is_idle() {
    let clock = Clock::start();
    let idle = |seen: &[[(u64, u64); 2]]| {
        let seen: Vec<_> = (0..).zip(seen).map(|(second, p)| clock.lag(second, p)).collect();
        super::idle(&seen, SECOND)
    };
    assert!(idle(&[[(1, 1), (1, 4)], [(1, 1), (2, 4)], [(1, 1), (3, 4)]]).is_none());
    assert!(idle(&[[(1, 1), (1, 4)], [(1, 1), (1, 4)], [(1, 1), (1, 4)]]).is_some());
    assert!(idle(&[[(1, 2), (1, 4)], [(1, 2), (2, 4)], [(1, 2), (3, 4)]]).is_some());
    assert!(idle(&[[(1, 1), (4, 4)], [(1, 1), (4, 4)], [(1, 2), (4, 4)]]).is_none());
}
