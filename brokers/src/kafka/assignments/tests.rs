use super::*;

impl Assignments {
    /// Receives `offset` as the receiver does.
    pub(in crate::kafka) fn receive(&self, partition: Partition, offset: i64) -> Key {
        let held = self.held()[usize::try_from(partition).unwrap()].clone().unwrap();
        Key { partition, epoch: held.epoch, span: held.receive(offset).unwrap() }
    }
}

fn offsets(committable: &[Committable]) -> Vec<(Partition, i64)> {
    committable.iter().map(|c| (c.partition, c.offset)).collect()
}

#[test]
fn what_was_received_under_an_older_epoch_settles_nothing_under_a_newer_one() {
    let assignments = Assignments::default();
    assignments.assign(&[0]);
    let old = assignments.receive(0, 5);
    assignments.end(&[0]);
    assert!(!assignments.complete(old), "the partition is gone");
    assignments.assign(&[0]);
    let new = assignments.receive(0, 5);
    assert!(!assignments.complete(old) && !assignments.is_live(old));
    assert_eq!(assignments.take_committable(), []);
    assert!(assignments.complete(new));
    assert_eq!(offsets(&assignments.take_committable()), [(0, 6)]);
}

#[test]
fn ending_tells_how_far_a_partition_has_come_and_fences_the_rest() {
    let assignments = Assignments::default();
    assignments.assign(&[0, 3]);
    let lease = assignments.held()[3].clone().unwrap().lease;
    let (first, second) = (assignments.receive(3, 0), assignments.receive(3, 1));
    assignments.complete(first);
    assert_eq!(offsets(&assignments.end(&[3])), [(3, 1)]);
    assert!(lease.is_lost() && !assignments.complete(second));
    assert_eq!(assignments.open(), [0]);
}

/// Receives a thousand messages, 850 of which is still worked on when the log turns out to end elsewhere.
fn with_one_in_flight(assignments: &Assignments) -> Key {
    assignments.assign(&[0]);
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
    assert_eq!(assignments.begin_anew(0, 900), Some(850));
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
        assert_eq!(assignments.begin_anew(0, offset), None);
    }
}

#[test]
fn without_anything_complete_it_is_received_again_from_the_first_message() {
    let assignments = Assignments::default();
    assignments.assign(&[0]);
    for offset in 700..1000 {
        assignments.receive(0, offset);
    }
    assert_eq!(assignments.begin_anew(0, 900), Some(700));
    assignments.receive(0, 700);
    assert_eq!(assignments.begin_anew(0, 600), None, "the group stood above it");
}

#[test]
fn a_partition_asked_back_can_be_settled_until_it_is_idle() {
    let assignments = Assignments::default();
    assignments.assign(&[0, 1]);
    let (done, released) = (assignments.receive(0, 0), assignments.receive(0, 7));
    let _other = assignments.receive(1, 0);
    let lease = assignments.held()[0].clone().unwrap().lease;
    assignments.close(&[0]);
    assert!(lease.is_closing() && !lease.is_lost());
    assert_eq!(assignments.open(), [1]);
    assert!(!assignments.are_idle(&[0]));
    assert!(assignments.complete(done));
    assert!(!assignments.are_idle(&[0]));
    assignments.release(released);
    assert!(assignments.are_idle(&[0]) && !assignments.are_idle(&[0, 1]));
}

#[test]
fn what_is_being_committed_is_not_committed_twice() {
    let assignments = Assignments::default();
    assignments.assign(&[0]);
    assignments.complete(assignments.receive(0, 0));
    assert_eq!(offsets(&assignments.take_committable()), [(0, 1)]);
    assert_eq!(assignments.take_committable(), []);
    assignments.complete(assignments.receive(0, 1));
    assert_eq!(offsets(&assignments.take_committable()), [(0, 2)]);
}

#[test]
fn a_refusal_served_before_its_commit_returns_is_not_forgotten() {
    let assignments = Assignments::default();
    assignments.assign(&[0]);
    assignments.complete(assignments.receive(0, 0));
    let taken = assignments.take_committable();
    assignments.uncommitted(0);
    // The commit returns, and has nothing to add.
    assert_eq!(assignments.take_committable(), taken);
}

#[test]
fn a_partition_of_which_nothing_was_received_is_as_far_behind_as_its_group() {
    let assignments = Assignments::default();
    assignments.assign(&[0]);
    assignments.set_log(0, 10, 100);
    assert_eq!(assignments.marks(), [], "where the group stands is not known");
    assignments.set_base(0, 40);
    let behind = Marks { log_end: 100, received: 40, completed: 40 };
    assert_eq!(assignments.marks(), [behind]);
    assignments.receive(0, 59);
    assert_eq!(assignments.marks(), [Marks { received: 60, ..behind }]);
}

#[test]
fn the_receiver_sees_every_change() {
    let assignments = Assignments::default();
    let mut version = assignments.version();
    let mut changed = || std::mem::replace(&mut version, assignments.version()) != version;
    assignments.assign(&[0]);
    assert!(changed());
    assignments.end(&[0]);
    assert!(changed() && !changed());
}
