//! Which partitions are ours now, under which epoch, and how far each has come.
//!
//! Everyone shares it: the rebalance callback assigns and closes, the recall tells what the group knew, the receiver reads
//! its own copy and asks again when the version has changed, the ledger completes, the committer commits. One lock, never
//! held across an await.

mod live;
mod places;

#[cfg(test)]
mod tests;

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::Notify;

use crate::lease::Lease;

use super::{
    note::{Fingerprint, Note},
    tracker::{Span, Tracker},
};

use self::live::Live;

pub(super) use self::{
    live::{Held, Memory, Past},
    places::{Name, Place, Places},
};

/// Which assignment of a partition: what was received under an older one can't be settled under this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Epoch(u32);

/// What a message is settled by.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub(super) place: Place,
    pub(super) epoch: Epoch,
    pub(super) span: Span,
}

/// How much may have been begun before it is entered: most of it is done by then, and needn't be.
const BEGUN: usize = 512;

/// Work on a message that was begun.
struct Begun {
    key: Key,
    /// How often it was begun before.
    before: u32,
    print: Fingerprint,
}

#[derive(Default)]
pub(super) struct Assignments {
    version: AtomicU64,
    table: Mutex<Table>,
    /// What was begun and not entered in the table yet. Whoever holds both locks took the table's first.
    begun: Mutex<Vec<Begun>>,
    /// Something under a closing lease was settled or handed back.
    pub(super) left: Notify,
}

#[derive(Default)]
struct Table {
    places: Places,
    /// By place.
    live: Vec<Option<Live>>,
    epochs: u32,
}

/// How far a partition can be committed, and what to say beside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Committable {
    pub(super) place: Place,
    pub(super) offset: i64,
    pub(super) note: Note,
}

/// How far behind the end of its log a partition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) log_end: i64,
    pub(super) received: i64,
    pub(super) completed: i64,
}

impl Table {
    fn at(&mut self, place: Place) -> Option<&mut Live> {
        self.live.get_mut(place.index())?.as_mut()
    }

    fn live(&mut self, place: Place, epoch: Epoch) -> Option<&mut Live> {
        self.at(place).filter(|live| live.held.epoch == epoch)
    }

    fn begin(&mut self, place: Place, memory: Memory) -> Option<Live> {
        self.epochs += 1;
        let live = Live::new(Epoch(self.epochs), memory);
        if self.live.len() <= place.index() {
            self.live.resize_with(place.index() + 1, || None);
        }
        self.live.get_mut(place.index())?.replace(live)
    }

    fn end(&mut self, place: Place) -> Option<Live> {
        self.live.get_mut(place.index())?.take()
    }

    fn each(&mut self) -> impl Iterator<Item = (Place, &mut Live)> {
        let places = self.places.all();
        places.zip(self.live.iter_mut()).filter_map(|(n, slot)| Some((n, slot.as_mut()?)))
    }
}

impl Assignments {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The table with all in it that was begun.
    fn full_table(&self) -> MutexGuard<'_, Table> {
        let mut table = self.table();
        let mut begun = self.begun();
        for Begun { key, before, print } in begun.drain(..) {
            if let Some(live) = table.live(key.place, key.epoch) {
                live.tracker.begin(key.span, before, print);
            }
        }
        drop(begun);
        table
    }

    fn begun(&self) -> MutexGuard<'_, Vec<Begun>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes with every change of what the receiver keeps a copy of.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    fn changed(&self) {
        self.version.fetch_add(1, Ordering::Release);
    }

    /// The partitions and where each is found, for the receiver.
    pub(super) fn held(&self) -> (Places, Vec<Option<Held>>) {
        let table = self.table();
        let held = table.live.iter().map(|slot| slot.as_ref().map(|live| live.held.clone()));
        (table.places.clone(), held.collect())
    }

    /// The places of partitions by their names, new ones where they have none.
    pub(super) fn places<'a>(
        &self,
        partitions: impl IntoIterator<Item = (&'a str, i32)>,
    ) -> Vec<Place> {
        let mut table = self.table();
        let enter = |(topic, partition)| table.places.enter(topic, partition);
        partitions.into_iter().filter_map(enter).collect()
    }

    /// What a partition is called.
    pub(super) fn name(&self, place: Place) -> Option<Name> {
        self.table().places.name(place).cloned()
    }

    /// What partitions are called.
    pub(super) fn names(&self, places: &[Place]) -> Vec<Name> {
        let table = self.table();
        places.iter().filter_map(|&place| table.places.name(place).cloned()).collect()
    }

    /// The partitions whose messages may come.
    pub(super) fn flowing(&self) -> Vec<Place> {
        self.table().each().filter(|(_, live)| live.flows()).map(|(place, _)| place).collect()
    }

    /// Partitions become ours, under new epochs. What the group knows of them is to be asked before they flow.
    pub(super) fn assign(&self, places: &[Place]) {
        let ended: Vec<_> = {
            let mut table = self.table();
            places.iter().filter_map(|&place| table.begin(place, Memory::Asked)).collect()
        };
        self.changed();
        ended.iter().for_each(|live| live.held.lease.lose());
    }

    /// Whether there are partitions that don't flow yet, and shall.
    pub(super) fn any_asked(&self) -> bool {
        self.table().each().any(|(_, live)| live.is_asked() && !live.closing)
    }

    /// The partitions of which it is to be asked what the group knows.
    pub(super) fn strange(&self) -> Vec<(Place, Epoch)> {
        let mut table = self.table();
        let strange = table.each().filter(|(_, live)| live.past.is_none() && !live.closing);
        strange.map(|(place, live)| (place, live.held.epoch)).collect()
    }

    /// What the group knew of a partition.
    pub(super) fn tell(&self, place: Place, epoch: Epoch, past: Past) {
        if let Some(live) = self.table().live(place, epoch) {
            live.tell(past);
        }
    }

    /// Partitions of which all is known begin to flow. Says which, with those that flow already.
    pub(super) fn begin(&self) -> Vec<Place> {
        {
            let mut table = self.table();
            table.each().for_each(|(_, live)| live.begin());
        }
        self.changed();
        self.flowing()
    }

    /// The first message of a partition is here: is what the group knew about this log?
    pub(super) fn prove(
        &self,
        place: Place,
        epoch: Epoch,
        offset: i64,
        print: Fingerprint,
    ) -> bool {
        let proven = self.table().live(place, epoch).is_none_or(|live| live.prove(offset, print));
        self.changed();
        proven
    }

    /// A partition's log has gone back to `offset`: its topic was made anew, or its end was cut off. A new epoch begins,
    /// for nothing that was received of the old log can be settled in this one. Says from where it has to be received
    /// again, if something below `offset` was in flight.
    pub(super) fn begin_anew(&self, place: Place, offset: i64) -> Option<i64> {
        let ended = {
            let mut table = self.full_table();
            let ended = table.end(place)?;
            table.begin(place, Memory::None);
            if let (Some(new), Some(_)) = (table.at(place), &ended.past) {
                let base = ended.complete_up_to().min(offset);
                new.past = Some(Past { base, ..Past::default() });
            }
            ended
        };
        self.changed();
        ended.held.lease.lose();
        Some(ended.complete_up_to()).filter(|&from| from < offset)
    }

    /// Partitions are asked back: nothing new starts, and what runs may still settle.
    pub(super) fn close(&self, places: &[Place]) {
        let mut leases = Vec::with_capacity(places.len());
        for (place, live) in self.table().each() {
            if places.contains(&place) {
                live.closing = true;
                leases.push(live.held.lease.clone());
            }
        }
        leases.iter().for_each(Lease::close);
    }

    /// Partitions are gone: what still runs is fenced from now on. Says what is to be committed last.
    pub(super) fn end(&self, places: &[Place]) -> Vec<Committable> {
        let ended: Vec<_> = {
            let mut table = self.full_table();
            places.iter().filter_map(|&place| Some((place, table.end(place)?))).collect()
        };
        self.changed();
        let last = ended.iter().filter_map(|(place, live)| {
            live.held.lease.lose();
            live.last(*place)
        });
        last.collect()
    }

    /// Whether nobody works on anything of these partitions.
    pub(super) fn are_idle(&self, places: &[Place]) -> bool {
        self.table()
            .each()
            .filter(|(place, _)| places.contains(place))
            .all(|(_, live)| live.tracker.is_idle(live.held.end()))
    }

    /// Work on a message is about to begin that was begun so many times before.
    pub(super) fn begin_work(&self, key: Key, before: u32, print: Fingerprint) {
        let mut begun = self.begun();
        begun.push(Begun { key, before, print });
        let full = begun.len() >= BEGUN;
        drop(begun);
        if full {
            drop(self.full_table());
        }
    }

    /// A message is done. False if its assignment is over.
    pub(super) fn complete(&self, key: Key) -> bool {
        self.leave(self.table(), key, |tracker| tracker.complete(key.span))
    }

    /// A message is handed back.
    pub(super) fn release(&self, key: Key) {
        self.leave(self.full_table(), key, |tracker| tracker.release(key.span));
    }

    /// Whether a message could be settled now.
    pub(super) fn is_live(&self, key: Key) -> bool {
        self.table().live(key.place, key.epoch).is_some()
    }

    fn leave(
        &self,
        mut table: MutexGuard<'_, Table>,
        key: Key,
        how: impl FnOnce(&mut Tracker),
    ) -> bool {
        let Some(live) = table.live(key.place, key.epoch) else { return false };
        how(&mut live.tracker);
        let closing = live.closing;
        drop(table);
        if closing {
            self.left.notify_waiters();
        }
        true
    }

    /// What is to be committed now. It counts as committed from here on, until it is said not to be: the broker's refusal
    /// of a partition can be served before the commit that it answers has returned.
    pub(super) fn take_committable(&self) -> Vec<Committable> {
        self.full_table().each().filter_map(|(place, live)| live.take(place)).collect()
    }

    /// What is to be committed last, as we leave in good order.
    pub(super) fn last_committable(&self) -> Vec<Committable> {
        self.full_table().each().filter_map(|(place, live)| live.last(place)).collect()
    }

    /// The last commit of a partition failed.
    pub(super) fn uncommitted(&self, place: Place) {
        if let Some(live) = self.table().at(place) {
            live.tracker.touch();
        }
    }

    /// Where a partition's log begins and ends.
    pub(super) fn set_log(&self, place: Place, start: i64, end: i64) {
        if let Some(live) = self.table().at(place) {
            live.log = Some((start, end));
        }
    }

    /// How far each partition has come of which that is known.
    pub(super) fn marks(&self) -> Vec<Marks> {
        self.table().each().filter_map(|(_, live)| live.marks()).collect()
    }

    /// The same, with what each is called.
    pub(super) fn named_marks(&self) -> Vec<(Name, Marks)> {
        let mut table = self.table();
        let marks: Vec<_> =
            table.each().filter_map(|(place, live)| Some((place, live.marks()?))).collect();
        let named = |(place, marks)| Some((table.places.name(place)?.clone(), marks));
        marks.into_iter().filter_map(named).collect()
    }
}
