//! The power goes in the middle of a transaction: what was flushed is there, of the rest any part, torn anywhere.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::Bytes;
use fastrand::Rng;
use jiff::Timestamp;
use redb::{StorageBackend, backends::InMemoryBackend};

use super::{
    super::{
        Keeper,
        batch::Redriven,
        load::Load,
        record::{Event, Record, Sequence},
        store::{BurialOutcome, RedriveOutcome, Store},
    },
    letter,
};
use crate::contract::Demand;

/// Room for whatever a test buries.
const NO_END: Load = Load { messages: u64::MAX, bytes: u64::MAX };

/// What a disk writes in one piece.
const SECTOR: usize = 512;

/// A disk that keeps apart what was flushed.
#[derive(Clone, Debug)]
struct Disk(Arc<Mutex<Platter>>);

#[derive(Debug)]
struct Platter {
    /// As a reader sees it.
    seen: Vec<u8>,
    /// As it is after a power cut, and what may be written over it.
    flushed: Vec<u8>,
    unflushed: Vec<(usize, Vec<u8>)>,
    random: Rng,
    /// Calls until the power goes.
    fuse: Option<usize>,
    /// What is left then.
    left: Option<Vec<u8>>,
}

impl Disk {
    fn new(random: Rng) -> Self {
        let (seen, flushed, unflushed) = Default::default();
        Self(Arc::new(Mutex::new(Platter {
            seen,
            flushed,
            unflushed,
            random,
            fuse: None,
            left: None,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap()
    }

    fn step(&self) -> MutexGuard<'_, Platter> {
        let mut platter = self.lock();
        match platter.fuse.as_mut() {
            Some(0) => {
                platter.left = Some(platter.cut());
                platter.fuse = None;
            }
            Some(calls) => *calls -= 1,
            None => {}
        }
        platter
    }
}

impl Platter {
    /// What a power cut now may leave.
    fn cut(&mut self) -> Vec<u8> {
        let mut left = self.flushed.clone();
        for (offset, data) in &self.unflushed {
            for (n, sector) in data.chunks(SECTOR).enumerate() {
                let at = offset + n * SECTOR;
                if self.random.bool() {
                    continue;
                }
                if left.len() < at + sector.len() {
                    left.resize(at + sector.len(), 0);
                }
                left[at..at + sector.len()].copy_from_slice(sector);
            }
        }
        // The file's new length may have been kept without its data.
        if self.seen.len() > left.len() {
            left.resize(self.seen.len(), 0);
        }
        left
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let at = usize::try_from(offset).unwrap();
        out.copy_from_slice(&self.lock().seen[at..at + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.step().seen.resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut platter = self.step();
        platter.flushed = platter.seen.clone();
        platter.unflushed.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let at = usize::try_from(offset).unwrap();
        let mut platter = self.step();
        platter.seen[at..at + data.len()].copy_from_slice(data);
        platter.unflushed.push((at, data.to_vec()));
        Ok(())
    }
}

/// What the journal holds: events and dead letters, by sequence.
type Content = (BTreeMap<u64, Bytes>, BTreeMap<u64, Bytes>);

fn content(store: &mut Store) -> Content {
    let by_sequence = |record: Record| (record.sequence.get(), record.event.payload);
    let dead = store.dead_letters(Sequence::default(), usize::MAX).unwrap();
    let dead = dead.into_iter().map(|(record, _)| by_sequence(record)).collect();
    let tx = store.begin().unwrap();
    let events = tx.read(Sequence::default(), usize::MAX, usize::MAX).unwrap();
    (events.into_iter().map(by_sequence).collect(), dead)
}

fn event(random: &mut Rng) -> Event {
    let payload = (0..random.usize(0..3000)).map(|_| random.u8(..)).collect::<Vec<_>>();
    let received = Timestamp::UNIX_EPOCH;
    Event { received, traceparent: None, content_type: None, payload: payload.into() }
}

/// What is new of a dead letter that is redriven.
fn again() -> Redriven {
    let headers = vec![("stoop-failed".to_owned(), "a".to_owned())];
    Redriven { at: Timestamp::UNIX_EPOCH, headers }
}

/// Appends, settles, buries, redrives and drops at random, in one transaction.
fn change(store: &mut Store, content: &mut Content, last: &mut Sequence, random: &mut Rng) {
    let (events, dead) = content;
    let mut tx = store.begin().unwrap();
    for sequence in events.keys().copied().collect::<Vec<_>>() {
        match random.u8(..4) {
            0 => {
                assert_eq!(tx.remove([(Sequence::new(sequence), 1)]).unwrap(), [true]);
                events.remove(&sequence);
            }
            1 => {
                let letter = serde_json::to_vec(&letter()).unwrap();
                let outcome = tx.bury(Sequence::new(sequence), 1, &letter, NO_END).unwrap();
                assert_eq!(outcome, BurialOutcome::Buried);
                dead.insert(sequence, events.remove(&sequence).unwrap());
            }
            _ => {}
        }
    }
    for sequence in dead.keys().copied().collect::<Vec<_>>() {
        match random.u8(..6) {
            0 => {
                let (letter, next) = (Sequence::new(sequence), last.next());
                let outcome = tx.redrive(letter, &[], &again(), next, NO_END).unwrap();
                assert!(matches!(outcome, RedriveOutcome::Redriven(_)), "{outcome:?}");
                *last = next;
                events.insert(next.get(), dead.remove(&sequence).unwrap());
            }
            1 => {
                assert!(tx.forget_dead(Sequence::new(sequence)).unwrap());
                dead.remove(&sequence);
            }
            _ => {}
        }
    }
    let records: Vec<_> = (0..random.usize(0..20))
        .map(|_| {
            *last = last.next();
            Record::new(*last, event(random))
        })
        .collect();
    tx.append(&records).unwrap();
    events.extend(records.into_iter().map(|r| (r.sequence.get(), r.event.payload)));
    tx.commit(*last).unwrap();
}

fn in_memory(image: &[u8]) -> InMemoryBackend {
    let memory = InMemoryBackend::new();
    memory.set_len(image.len() as u64).unwrap();
    memory.write(0, image).unwrap();
    memory
}

#[test]
fn a_power_cut_leaves_a_transaction_whole_or_not_at_all() {
    let (mut before_seen, mut after_seen) = (0, 0);
    for seed in 0..8 {
        let mut random = Rng::with_seed(seed);
        let disk = Disk::new(random.fork());
        let (mut store, recovered) = Store::open_on(disk.clone()).unwrap();
        let mut last = recovered.last;
        let mut now = Content::default();
        for _ in 0..25 {
            let before = now.clone();
            disk.lock().fuse = Some(random.usize(0..40));
            change(&mut store, &mut now, &mut last, &mut random);
            let left = disk.lock().left.take();
            disk.lock().fuse = None;
            let Some(left) = left else { continue };
            let (mut survivor, recovered) = Store::open_on(in_memory(&left)).unwrap();
            let found = content(&mut survivor);
            assert!(found == before || found == now, "seed {seed}: half a transaction");
            let highest = found.0.keys().chain(found.1.keys()).max().copied();
            assert!(
                highest <= Some(recovered.last.get()),
                "seed {seed}: a sequence to be given twice"
            );
            let bytes = found.0.values().map(|payload| payload.len() as u64).sum::<u64>();
            assert_eq!(survivor.totals().events.bytes, bytes, "seed {seed}");
            let events = survivor.events(Sequence::default(), usize::MAX).unwrap();
            let redriven = events.iter().filter(|record| record.redriven == again().headers);
            assert_eq!(survivor.totals().redriven, redriven.count() as u64, "seed {seed}");
            match found == before {
                true => before_seen += 1,
                false => after_seen += 1,
            }
        }
    }
    assert!(
        before_seen > 20 && after_seen > 0,
        "{before_seen} {after_seen}: the cuts miss something"
    );
}

const ROOM: Load = Load { messages: 1 << 20, bytes: 1 << 40 };

#[test]
fn a_power_cut_takes_back_nothing_that_was_answered() {
    let mut cuts = 0;
    for seed in 0..6 {
        let mut random = Rng::with_seed(seed);
        let disk = Disk::new(random.fork());
        let (store, recovered) = Store::open_on(disk.clone()).unwrap();
        let keeper = Keeper::start(store, recovered, ROOM).unwrap();
        let inbox = &keeper.shared.inbox;
        keeper.shared.shelf().demand(Demand::Flow);
        let mut now = Content::default();
        let mut last = Sequence::default();
        disk.lock().fuse = Some(0);
        for _ in 0..120 {
            let (before, last_before) = (now.clone(), last);
            let (events, dead) = &mut now;
            let known = random.choice(events.keys().copied().collect::<Vec<_>>());
            // One thing at a time: whatever is cut, it is cut in the middle of this one.
            let buried = random.choice(dead.keys().copied().collect::<Vec<_>>());
            match (random.u8(..5), known, buried) {
                (3, _, Some(n)) => {
                    let answer = inbox.redrive(Sequence::new(n), Vec::new(), again()).unwrap();
                    let outcome = answer.blocking_recv().unwrap();
                    assert!(matches!(outcome, Ok(RedriveOutcome::Redriven(_))), "{outcome:?}");
                    last = last.next();
                    events.insert(last.get(), dead.remove(&n).unwrap());
                }
                (4, _, Some(n)) => {
                    let answer = inbox.forget(Sequence::new(n)).unwrap();
                    assert_eq!(answer.blocking_recv().unwrap(), Ok(true));
                    dead.remove(&n);
                }
                (1, Some(n), _) => {
                    let answer = inbox.ack(Sequence::new(n), 1).unwrap();
                    assert_eq!(answer.blocking_recv().unwrap(), Ok(true));
                    events.remove(&n);
                }
                (2, Some(n), _) => {
                    let letter = serde_json::to_vec(&letter()).unwrap();
                    let answer = inbox.bury(Sequence::new(n), 1, letter).unwrap();
                    let outcome = answer.blocking_recv().unwrap();
                    assert_eq!(outcome, Ok(BurialOutcome::Buried));
                    dead.insert(n, events.remove(&n).unwrap());
                }
                _ => {
                    let event = event(&mut random);
                    last = last.next();
                    events.insert(last.get(), event.payload.clone());
                    let answer = inbox.append(vec![event]).unwrap();
                    assert_eq!(answer.blocking_recv().unwrap(), Ok(()));
                }
            }
            let Some(left) = disk.lock().left.take() else { continue };
            disk.lock().fuse = Some(random.usize(0..30));
            let (mut survivor, recovered) = Store::open_on(in_memory(&left)).unwrap();
            let found = content(&mut survivor);
            assert!(found == before || found == now, "seed {seed}: an answer was taken back");
            assert!(recovered.last >= last_before, "seed {seed}: a sequence would be given twice");
            cuts += 1;
        }
    }
    assert!(cuts > 100, "{cuts} cuts");
}
