//! The receiver's own copy of what is assigned, so that a message costs no lock; and what becomes of each.

use std::sync::Arc;

use rdkafka::{Message as _, message::BorrowedMessage};

use crate::lease::Lease;

use super::{
    assignments::{Assignments, Held, Key, Memory, Past, Place, Places},
    note::Fingerprint,
};

/// A stretch of messages that are done is sought over if it is longer than this: what was prefetched is thrown away then.
const SHORT: i64 = 20_000;

pub(super) struct View {
    assignments: Arc<Assignments>,
    version: u64,
    places: Places,
    held: Vec<Option<Held>>,
}

/// What to do with a message received.
pub(super) enum Admission {
    /// To be handed on. Work on it was begun so many times before.
    Ours { key: Key, lease: Lease, begun: u32 },
    /// Its partition isn't ours any more, or it is done.
    PassedOver,
    /// Passed over, and its partition is to be received from this offset on.
    Seek(i64),
}

impl View {
    pub(super) fn of(assignments: Arc<Assignments>) -> Self {
        Self { assignments, version: 0, places: Places::default(), held: Vec::new() }
    }

    pub(super) fn assignments(&self) -> &Assignments {
        &self.assignments
    }

    /// The topic of a message that was admitted.
    pub(super) fn topic(&self, key: Key) -> Arc<str> {
        self.places.name(key.place).map_or_else(|| Arc::from(""), |name| name.topic.clone())
    }

    /// Takes note of a message received.
    #[inline]
    pub(super) fn admit(&mut self, message: &BorrowedMessage<'_>) -> Admission {
        self.admit_at(
            || message.topic(),
            message.partition(),
            message.offset(),
            || Fingerprint::of(message),
        )
    }

    #[inline]
    fn admit_at<'a>(
        &mut self,
        topic: impl FnOnce() -> &'a str,
        partition: i32,
        offset: i64,
        print: impl FnOnce() -> Fingerprint,
    ) -> Admission {
        if self.version != self.assignments.version() {
            self.renew();
        }
        let Some(place) = self.places.find(topic, partition) else { return Admission::PassedOver };
        let Some(held) = self.held(place) else { return Admission::PassedOver };
        match &held.memory {
            Memory::None => self.receive(place, offset, 0),
            Memory::Asked => Admission::Seek(offset),
            Memory::Proven(past) => {
                let past = past.clone();
                self.remember(place, offset, &past)
            }
            Memory::Unproven(_) => {
                let past = self.prove(place, offset, print());
                self.remember(place, offset, &past)
            }
        }
    }

    fn held(&self, place: Place) -> Option<&Held> {
        self.held.get(place.index())?.as_ref()
    }

    #[cold]
    fn renew(&mut self) {
        self.version = self.assignments.version();
        (self.places, self.held) = self.assignments.held();
    }

    #[inline]
    fn receive(&mut self, place: Place, offset: i64, begun: u32) -> Admission {
        let Some(held) = self.held(place) else { return Admission::PassedOver };
        match held.receive(offset) {
            Some(span) => {
                let (epoch, lease) = (held.epoch, held.lease.clone());
                Admission::Ours { key: Key { place, epoch, span }, lease, begun }
            }
            None => self.begin_anew(place, offset),
        }
    }

    #[cold]
    fn begin_anew(&mut self, place: Place, offset: i64) -> Admission {
        let partition = self.places.name(place);
        tracing::warn!(?partition, offset, "the log went back; what was in flight comes again");
        let from = self.assignments.begin_anew(place, offset);
        self.renew();
        match from {
            Some(from) => Admission::Seek(from),
            None => self.receive(place, offset, 0),
        }
    }

    /// The first message of a partition: what is left of what we were told of it.
    #[cold]
    fn prove(&mut self, place: Place, offset: i64, print: Fingerprint) -> Arc<Past> {
        let epoch = self.held(place).map(|held| held.epoch);
        let proven = epoch.is_some_and(|epoch| self.assignments.prove(place, epoch, offset, print));
        if !proven {
            let partition = self.places.name(place);
            tracing::warn!(
                ?partition,
                offset,
                "the log is not the one that the group's last commit tells of; what it says is done runs again"
            );
        }
        self.renew();
        match self.held(place).map(|held| &held.memory) {
            Some(Memory::Proven(past)) => past.clone(),
            _ => Arc::default(),
        }
    }

    /// A message of which something may be known.
    fn remember(&mut self, place: Place, offset: i64, past: &Past) -> Admission {
        if !past.reaches(offset) {
            return self.receive(place, offset, 0);
        }
        let Some(done) = past.note.done(offset) else {
            return self.receive(place, offset, past.begun(offset));
        };
        let Some(held) = self.held(place).filter(|held| held.end() <= offset) else {
            return self.begin_anew(place, offset);
        };
        let seek = done - offset > SHORT;
        let Some(span) = held.receive(if seek { done - 1 } else { offset }) else {
            return Admission::PassedOver;
        };
        self.assignments.complete(Key { place, epoch: held.epoch, span });
        if seek { Admission::Seek(done) } else { Admission::PassedOver }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            assignments::Committable,
            note::{Item, Note, Witness},
        },
        *,
    };

    const FAR: i64 = 11 + SHORT * 2;

    fn print(crc: u32) -> Fingerprint {
        Fingerprint { time: 0, crc }
    }

    /// Of the only partition the group knows: 5 is not done, 6 to 9 are, 10 is not, 11 to far are.
    fn view() -> (View, Arc<Assignments>) {
        let assignments = Arc::<Assignments>::default();
        let items = vec![Item::Done(6, 10), Item::Begun(10, 3), Item::Done(11, FAR)];
        let witness = Some(Witness { offset: 5, print: print(5) });
        let note = Note { open: true, witness, items };
        assignments.assign(&assignments.places([("t", 0)]));
        for (place, epoch) in assignments.strange() {
            let past = Past { base: 5, note: note.clone(), suspect: FAR + 10 };
            assignments.tell(place, epoch, past);
        }
        (View::of(assignments.clone()), assignments)
    }

    #[derive(Debug, PartialEq)]
    enum What {
        Ours(u32),
        PassedOver,
        Seek(i64),
    }

    fn admit(view: &mut View, offset: i64, crc: u32) -> (What, Option<Key>) {
        match view.admit_at(|| "t", 0, offset, || print(crc)) {
            Admission::Ours { key, begun, .. } => (What::Ours(begun), Some(key)),
            Admission::PassedOver => (What::PassedOver, None),
            Admission::Seek(to) => (What::Seek(to), None),
        }
    }

    #[test]
    fn what_comes_before_its_time_comes_again() {
        let (mut view, assignments) = view();
        assert_eq!(admit(&mut view, 5, 5).0, What::Seek(5));
        assignments.begin();
        assert_eq!(admit(&mut view, 5, 5).0, What::Ours(1));
    }

    #[test]
    fn what_is_done_is_passed_over_and_a_long_stretch_is_sought_over() {
        let (mut view, assignments) = view();
        assignments.begin();
        let (first, stuck) = (admit(&mut view, 5, 5), admit(&mut view, 10, 10));
        assert_eq!((first.0, stuck.0), (What::Ours(1), What::Ours(3)));
        assert_eq!(admit(&mut view, 11, 0).0, What::Seek(FAR));
        let received = view.held(first.1.unwrap().place).unwrap().end();
        assert_eq!(received, FAR, "lag counts what was sought over as received");
        let (next, key) = admit(&mut view, FAR, 0);
        assert_eq!(next, What::Ours(1));
        assert_eq!(admit(&mut view, FAR + 10, 0).0, What::Ours(0));
        for key in [first.1, stuck.1, key] {
            assignments.complete(key.unwrap());
        }
        let taken = assignments.take_committable();
        assert!(
            matches!(taken[..], [Committable { offset, .. }] if offset == FAR + 1),
            "{taken:?}"
        );
    }

    #[test]
    fn in_another_log_nothing_is_passed_over() {
        let (mut view, assignments) = view();
        assignments.begin();
        assert_eq!(admit(&mut view, 5, 6).0, What::Ours(1));
        for offset in [6, 10, 11, 12] {
            assert_eq!(admit(&mut view, offset, 0).0, What::Ours(1), "{offset}");
        }
        let (mut view, assignments) = self::view();
        assignments.begin();
        assert_eq!(admit(&mut view, 0, 5).0, What::Ours(1), "it begins below");
        assert_eq!(admit(&mut view, 7, 0).0, What::Ours(1));
    }

    #[test]
    fn a_log_that_goes_back_under_what_is_done_begins_anew() {
        let (mut view, assignments) = view();
        assignments.begin();
        let (_, held) = admit(&mut view, 5, 5);
        assert_eq!(admit(&mut view, 6, 0).0, What::PassedOver);
        assert_eq!(admit(&mut view, 9, 0).0, What::PassedOver);
        assert_eq!(admit(&mut view, 7, 0).0, What::Seek(5), "5 is worked on");
        assert!(!assignments.complete(held.unwrap()));
        assert_eq!(admit(&mut view, 5, 5).0, What::Ours(0));
        assert_eq!(admit(&mut view, 6, 0).0, What::Ours(0));
    }

    #[test]
    fn topics_are_told_apart() {
        let assignments = Arc::<Assignments>::default();
        assignments.assign(&assignments.places([("a", 0), ("b", 0)]));
        for (place, epoch) in assignments.strange() {
            assignments.tell(place, epoch, Past::default());
        }
        assignments.begin();
        let mut view = View::of(assignments.clone());
        let mut key = |topic| match view.admit_at(|| topic, 0, 3, || print(0)) {
            Admission::Ours { key, .. } => key,
            _ => panic!("it is ours"),
        };
        let (a, b) = (key("a"), key("b"));
        assert_eq!((&*view.topic(a), &*view.topic(b)), ("a", "b"));
        assignments.take_committable();
        assignments.complete(b);
        let taken = assignments.take_committable();
        assert_eq!((taken.len(), taken[0].place), (1, b.place));
        assert!(matches!(view.admit_at(|| "c", 0, 0, || print(0)), Admission::PassedOver));
    }
}
