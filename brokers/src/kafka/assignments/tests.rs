use super::{
    super::note::{Item, Witness},
    *,
};

const TOPIC: &str = "t";

impl Assignments {
    fn at(&self, partition: i32) -> Place {
        self.places([(TOPIC, partition)])[0]
    }

    /// Assigns partitions of which the group knows `past`, and lets them flow.
    fn assign_with(&self, partitions: &[i32], past: &Past) {
        let places = self.places(partitions.iter().map(|&partition| (TOPIC, partition)));
        self.assign(&places);
        for (place, epoch) in self.strange() {
            self.tell(place, epoch, past.clone());
        }
        self.begin();
    }

    /// Assigns partitions of which the group knows nothing, and says so.
    pub(in crate::kafka) fn assign_known(&self, partitions: &[i32]) {
        self.assign_with(partitions, &Past::default());
        self.take_committable();
    }

    fn held_at(&self, partition: i32) -> Held {
        self.held().1[self.at(partition).index()].clone().unwrap()
    }

    /// Receives `offset` as the receiver does.
    pub(in crate::kafka) fn receive(&self, partition: i32, offset: i64) -> Key {
        let held = self.held_at(partition);
        let span = held.receive(offset).unwrap();
        Key { place: self.at(partition), epoch: held.epoch, span }
    }
}

/// By place.
fn offsets(committable: &[Committable]) -> Vec<(usize, i64)> {
    committable.iter().map(|c| (c.place.index(), c.offset)).collect()
}

#[test]
fn what_was_received_under_an_older_epoch_settles_nothing_under_a_newer_one() {
    let assignments = Assignments::default();
    assignments.assign_known(&[0]);
    let old = assignments.receive(0, 5);
    assignments.end(&[assignments.at(0)]);
    assert!(!assignments.complete(old), "the partition is gone");
    assignments.assign_known(&[0]);
    let new = assignments.receive(0, 5);
    assert!(!assignments.complete(old) && !assignments.is_live(old));
    assert_eq!(assignments.take_committable(), []);
    assert!(assignments.complete(new));
    assert_eq!(offsets(&assignments.take_committable()), [(0, 6)]);
}

#[test]
fn ending_tells_how_far_a_partition_has_come_and_fences_the_rest() {
    let assignments = Assignments::default();
    assignments.assign_known(&[0, 3]);
    let lease = assignments.held_at(3).lease;
    let (first, second) = (assignments.receive(3, 0), assignments.receive(3, 1));
    assignments.complete(first);
    assert_eq!(offsets(&assignments.end(&[assignments.at(3)])), [(1, 1)]);
    assert!(lease.is_lost() && !assignments.complete(second));
    assert_eq!(assignments.flowing(), [assignments.at(0)]);
}

/// Receives a thousand messages, 850 of which is still worked on when the log turns out to end elsewhere.
fn with_one_in_flight(assignments: &Assignments) -> Key {
    assignments.assign_known(&[0]);
    let keys: Vec<_> = (0..1000).map(|offset| assignments.receive(0, offset)).collect();
    keys.iter().filter(|key| key.span != keys[850].span).for_each(|key| {
        assignments.complete(*key);
    });
    keys[850]
}

#[test]
fn what_was_in_flight_below_where_the_log_was_cut_off_is_received_again() {
    let assignments = Assignments::default();
    let old = with_one_in_flight(&assignments);
    assert_eq!(assignments.begin_anew(assignments.at(0), 900), Some(850));
    assert!(!assignments.complete(old));
    assert_eq!(assignments.take_committable(), []);
    let again = assignments.receive(0, 850);
    assignments.complete(assignments.receive(0, 851));
    assert_eq!(assignments.take_committable(), [], "850 is worked on again");
    assignments.complete(again);
    assert_eq!(offsets(&assignments.take_committable()), [(0, 852)]);
}

#[test]
fn a_log_that_went_back_below_all_that_was_in_flight_goes_on_from_there() {
    for offset in [0, 500, 850] {
        let assignments = Assignments::default();
        with_one_in_flight(&assignments);
        assert_eq!(assignments.begin_anew(assignments.at(0), offset), None);
    }
}

#[test]
fn without_anything_complete_it_is_received_again_from_the_first_message() {
    let assignments = Assignments::default();
    assignments.assign_known(&[0]);
    for offset in 700..1000 {
        assignments.receive(0, offset);
    }
    assert_eq!(assignments.begin_anew(assignments.at(0), 900), Some(700));
    assignments.receive(0, 700);
    assert_eq!(assignments.begin_anew(assignments.at(0), 600), None, "the group stood above it");
}

#[test]
fn a_partition_asked_back_can_be_settled_until_it_is_idle() {
    let assignments = Assignments::default();
    assignments.assign_known(&[0, 1]);
    let (done, released) = (assignments.receive(0, 0), assignments.receive(0, 7));
    let _other = assignments.receive(1, 0);
    let lease = assignments.held_at(0).lease;
    assignments.close(&[assignments.at(0)]);
    assert!(lease.is_closing() && !lease.is_lost());
    assert_eq!(assignments.flowing(), [assignments.at(1)]);
    assert!(!assignments.are_idle(&[assignments.at(0)]));
    assert!(assignments.complete(done));
    assert!(!assignments.are_idle(&[assignments.at(0)]));
    assignments.release(released);
    assert!(
        assignments.are_idle(&[assignments.at(0)])
            && !assignments.are_idle(&[assignments.at(0), assignments.at(1)])
    );
}

#[test]
fn what_is_being_committed_is_not_committed_twice() {
    let assignments = Assignments::default();
    assignments.assign_known(&[0]);
    assignments.complete(assignments.receive(0, 0));
    assert_eq!(offsets(&assignments.take_committable()), [(0, 1)]);
    assert_eq!(assignments.take_committable(), []);
    assignments.complete(assignments.receive(0, 1));
    assert_eq!(offsets(&assignments.take_committable()), [(0, 2)]);
}

#[test]
fn a_refusal_served_before_its_commit_returns_is_not_forgotten() {
    let assignments = Assignments::default();
    assignments.assign_known(&[0]);
    assignments.complete(assignments.receive(0, 0));
    let taken = assignments.take_committable();
    assignments.uncommitted(assignments.at(0));
    // The commit returns, and has nothing to add.
    assert_eq!(assignments.take_committable(), taken);
}

#[test]
fn a_partition_of_which_nothing_was_received_is_as_far_behind_as_its_group() {
    let assignments = Assignments::default();
    assignments.assign(&[assignments.at(0)]);
    assignments.set_log(assignments.at(0), 10, 100);
    assert_eq!(assignments.marks(), [], "where the group stands is not known");
    for (place, epoch) in assignments.strange() {
        assignments.tell(place, epoch, Past { base: 40, ..Past::default() });
    }
    assignments.begin();
    let behind = Marks { log_end: 100, received: 40, completed: 40 };
    assert_eq!(assignments.marks(), [behind]);
    assignments.receive(0, 59);
    let behind = Marks { received: 60, ..behind };
    assert_eq!(assignments.marks(), [behind]);
    let name = assignments.name(assignments.at(0)).expect("it is ours");
    assert_eq!(assignments.named_marks(), [(name, behind)]);
}

#[test]
fn the_receiver_sees_every_change() {
    let assignments = Assignments::default();
    let mut version = assignments.version();
    let mut changed = || std::mem::replace(&mut version, assignments.version()) != version;
    assignments.assign_known(&[0]);
    assert!(changed());
    assignments.end(&[assignments.at(0)]);
    assert!(changed() && !changed());
}

fn print(crc: u32) -> Fingerprint {
    Fingerprint { time: 0, crc }
}

/// 5 is not done and was begun once, 6 to 9 are, 10 was begun twice; who wrote it died when the log ended at 20.
fn past() -> Past {
    let items = vec![Item::Begun(5, 1), Item::Done(6, 10), Item::Begun(10, 2)];
    let witness = Some(Witness { offset: 5, print: print(5) });
    Past { base: 5, note: Note { open: true, witness, items }, suspect: 20 }
}

#[test]
fn nothing_flows_before_it_is_known_what_the_group_knew_and_the_group_is_told_that_we_are_here() {
    let assignments = Assignments::default();
    assignments.assign(&[assignments.at(0)]);
    assignments.begin();
    assert!(assignments.flowing().is_empty() && assignments.any_asked());
    for (place, epoch) in assignments.strange() {
        assignments.tell(place, epoch, Past { base: 7, ..Past::default() });
    }
    assert!(assignments.flowing().is_empty(), "the group was not told");
    let told = assignments.take_committable();
    assert_eq!((offsets(&told), told[0].note.open), (vec![(0, 7)], true));
    assignments.begin();
    assert_eq!(assignments.flowing(), [assignments.at(0)]);
    assert!(!assignments.any_asked());
}

#[test]
fn what_an_older_assignment_asked_for_tells_a_newer_one_nothing() {
    let assignments = Assignments::default();
    assignments.assign(&[assignments.at(0)]);
    let asked = assignments.strange();
    assignments.end(&[assignments.at(0)]);
    assignments.assign(&[assignments.at(0)]);
    assignments.tell(asked[0].0, asked[0].1, past());
    assignments.begin();
    assert!(assignments.flowing().is_empty());
}

#[test]
fn a_note_is_passed_on_as_it_was_until_its_log_was_seen() {
    let assignments = Assignments::default();
    assignments.assign_with(&[0], &past());
    let here = assignments.take_committable();
    assert_eq!((offsets(&here), &here[0].note), (vec![(0, 5)], &past().note));
    assert_eq!(
        assignments.end(&[assignments.at(0)]),
        here,
        "a dead worker's guilt is not forgotten"
    );
    let closed = Past { note: Note { open: false, ..past().note }, suspect: 0, ..past() };
    assignments.assign_with(&[0], &closed);
    assert!(assignments.take_committable()[0].note.open, "we are here");
    assert_eq!(assignments.end(&[assignments.at(0)])[0].note, closed.note);
}

#[test]
fn a_note_that_was_proven_goes_on_and_one_that_was_not_is_dropped() {
    for (crc, proven) in [(5, true), (6, false)] {
        let assignments = Assignments::default();
        assignments.assign_with(&[0], &past());
        let (place, epoch) = (assignments.at(0), assignments.held_at(0).epoch);
        assert_eq!(assignments.prove(place, epoch, 5, print(crc)), proven);
        let key = assignments.receive(0, 5);
        assignments.begin_work(key, 1, print(crc));
        let committed = assignments.take_committable().remove(0);
        assert_eq!((committed.offset, committed.note.begun(5)), (5, Some(2)));
        assert_eq!(committed.note.done(6).is_some(), proven);
        assert_eq!(committed.note.begun(10).is_some(), proven);
    }
}

#[test]
fn what_a_dead_worker_may_have_begun_stays_suspect_until_we_have_come_to_it() {
    for (upto, open) in [(10, true), (19, false)] {
        let assignments = Assignments::default();
        let past = Past { base: 5, note: Note { open: true, ..Note::default() }, suspect: 20 };
        assignments.assign_with(&[0], &past);
        assert_eq!((past.begun(19), past.begun(20)), (1, 0));
        for offset in 5..=upto {
            assignments.complete(assignments.receive(0, offset));
        }
        let last = assignments.last_committable().remove(0);
        assert_eq!((last.offset, last.note.open), (upto + 1, open));
    }
}
