//! Which partitions are ours now, under which epoch, and how far each has come.
//!
//! Everyone shares it: the rebalance callback assigns and closes, the receiver reads its own copy and asks again when
//! the version has changed, the ledger completes, the committer commits. One lock, never held across an await.

#[cfg(test)]
mod tests;

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use tokio::sync::Notify;

use crate::lease::Lease;

use super::tracker::{Span, Tracker};

/// The number of a partition of the topic.
pub(super) type Partition = i32;

/// Which assignment of a partition: what was received under an older one can't be settled under this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Epoch(u32);

/// What a message is settled by.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub(super) partition: Partition,
    pub(super) epoch: Epoch,
    pub(super) span: Span,
}

/// A partition as the receiver needs it.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) epoch: Epoch,
    pub(super) lease: Lease,
    /// The first offset received. Only the receiver writes it.
    first: Arc<OnceLock<i64>>,
    /// Where receiving has come to. Only the receiver writes it.
    end: Arc<AtomicI64>,
}

impl Held {
    /// Takes note of a message received. `None` if its offset goes back.
    #[inline]
    pub(super) fn receive(&self, offset: i64) -> Option<Span> {
        let end = self.end.load(Ordering::Relaxed);
        let span = Span::after(end, offset)?;
        if end == 0 {
            self.first.get_or_init(|| offset);
        }
        self.end.store(span.end(), Ordering::Release);
        Some(span)
    }
}

#[derive(Default)]
pub(super) struct Assignments {
    version: AtomicU64,
    table: Mutex<Table>,
    /// Something under a closing lease was settled or handed back.
    pub(super) left: Notify,
}

#[derive(Default)]
struct Table {
    live: Vec<Option<Live>>,
    epochs: u32,
}

struct Live {
    held: Held,
    tracker: Tracker,
    closing: bool,
    /// What the group had committed before this assignment, once it is known.
    base: Option<i64>,
    /// Where the partition's log begins and ends, once it is known.
    log: Option<(i64, i64)>,
}

/// How far a partition can be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Committable {
    pub(super) partition: Partition,
    pub(super) offset: i64,
}

/// How far behind the end of its log a partition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) log_end: i64,
    pub(super) received: i64,
    pub(super) completed: i64,
}

impl Table {
    fn live(&mut self, partition: Partition, epoch: Epoch) -> Option<&mut Live> {
        let slot = self.live.get_mut(usize::try_from(partition).ok()?)?;
        slot.as_mut().filter(|live| live.held.epoch == epoch)
    }

    fn begin(&mut self, partition: Partition) -> Option<Live> {
        let slot = usize::try_from(partition).ok()?;
        self.epochs += 1;
        let held = Held {
            epoch: Epoch(self.epochs),
            lease: Lease::new(),
            first: Arc::default(),
            end: Arc::default(),
        };
        if self.live.len() <= slot {
            self.live.resize_with(slot + 1, || None);
        }
        let live =
            Live { held, tracker: Tracker::default(), closing: false, base: None, log: None };
        self.live.get_mut(slot)?.replace(live)
    }

    fn end(&mut self, partition: Partition) -> Option<Live> {
        self.live.get_mut(usize::try_from(partition).ok()?)?.take()
    }

    fn each(&mut self) -> impl Iterator<Item = (Partition, &mut Live)> {
        (0..).zip(self.live.iter_mut()).filter_map(|(n, slot)| Some((n, slot.as_mut()?)))
    }
}

impl Assignments {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes with every change of what the receiver keeps a copy of.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The partitions by number, for the receiver.
    pub(super) fn held(&self) -> Vec<Option<Held>> {
        self.table().live.iter().map(|slot| slot.as_ref().map(|live| live.held.clone())).collect()
    }

    /// The partitions that are ours and have not been asked back.
    pub(super) fn open(&self) -> Vec<Partition> {
        self.table().each().filter(|(_, live)| !live.closing).map(|(n, _)| n).collect()
    }

    /// Partitions become ours, under new epochs.
    pub(super) fn assign(&self, partitions: &[Partition]) {
        let ended: Vec<_> = {
            let mut table = self.table();
            partitions.iter().filter_map(|&partition| table.begin(partition)).collect()
        };
        self.version.fetch_add(1, Ordering::Release);
        ended.iter().for_each(|live| live.held.lease.lose());
    }

    /// A partition's log has gone back to `offset`: its topic was made anew, or its end was cut off. A new epoch begins,
    /// for nothing that was received of the old log can be settled in this one. Says from where it has to be received
    /// again, if something below `offset` was in flight.
    pub(super) fn begin_anew(&self, partition: Partition, offset: i64) -> Option<i64> {
        let ended = {
            let mut table = self.table();
            let ended = table.end(partition)?;
            table.begin(partition);
            ended
        };
        self.version.fetch_add(1, Ordering::Release);
        ended.held.lease.lose();
        Some(ended.complete_up_to()).filter(|&from| from < offset)
    }

    /// Partitions are asked back: nothing new starts, and what runs may still settle.
    pub(super) fn close(&self, partitions: &[Partition]) {
        let mut leases = Vec::with_capacity(partitions.len());
        for (partition, live) in self.table().each() {
            if partitions.contains(&partition) {
                live.closing = true;
                leases.push(live.held.lease.clone());
            }
        }
        leases.iter().for_each(Lease::close);
    }

    /// Partitions are gone: what still runs is fenced from now on. Says how far they had come.
    pub(super) fn end(&self, partitions: &[Partition]) -> Vec<Committable> {
        let ended: Vec<_> = {
            let mut table = self.table();
            partitions.iter().filter_map(|&p| Some((p, table.end(p)?))).collect()
        };
        self.version.fetch_add(1, Ordering::Release);
        let last = ended.iter().filter_map(|(partition, live)| {
            live.held.lease.lose();
            live.committable(*partition)
        });
        last.collect()
    }

    /// Whether nobody works on anything of these partitions.
    pub(super) fn are_idle(&self, partitions: &[Partition]) -> bool {
        self.table()
            .each()
            .filter(|(partition, _)| partitions.contains(partition))
            .all(|(_, live)| live.tracker.is_idle(live.held.end.load(Ordering::Acquire)))
    }

    /// A message is done. False if its assignment is over.
    pub(super) fn complete(&self, key: Key) -> bool {
        self.leave(key, |tracker| tracker.complete(key.span))
    }

    /// A message is handed back.
    pub(super) fn release(&self, key: Key) {
        self.leave(key, |tracker| tracker.release(key.span));
    }

    /// Whether a message could be settled now.
    pub(super) fn is_live(&self, key: Key) -> bool {
        self.table().live(key.partition, key.epoch).is_some()
    }

    fn leave(&self, key: Key, how: impl FnOnce(&mut Tracker)) -> bool {
        let closing = match self.table().live(key.partition, key.epoch) {
            Some(live) => {
                how(&mut live.tracker);
                live.closing
            }
            None => return false,
        };
        if closing {
            self.left.notify_waiters();
        }
        true
    }

    /// What is to be committed now. It counts as committed from here on, until it is said not to be: the broker's refusal
    /// of a partition can be served before the commit that it answers has returned.
    pub(super) fn take_committable(&self) -> Vec<Committable> {
        let mut table = self.table();
        let take = |(partition, live): (Partition, &mut Live)| {
            let taken = live.committable(partition)?;
            live.tracker.committed(taken.offset);
            Some(taken)
        };
        table.each().filter_map(take).collect()
    }

    /// The last commit of a partition failed.
    pub(super) fn uncommitted(&self, partition: Partition) {
        if let Some((_, live)) = self.table().each().find(|(n, _)| *n == partition) {
            live.tracker.uncommitted();
        }
    }

    /// The partitions of which it is not known what the group had committed.
    pub(super) fn without_base(&self) -> Vec<Partition> {
        self.table().each().filter(|(_, live)| live.base.is_none()).map(|(n, _)| n).collect()
    }

    /// What the group had committed of a partition.
    pub(super) fn set_base(&self, partition: Partition, offset: i64) {
        if let Some((_, live)) = self.table().each().find(|(n, _)| *n == partition) {
            live.base = Some(offset);
        }
    }

    /// Where a partition's log begins and ends.
    pub(super) fn set_log(&self, partition: Partition, start: i64, end: i64) {
        if let Some((_, live)) = self.table().each().find(|(n, _)| *n == partition) {
            live.log = Some((start, end));
        }
    }

    /// How far each partition has come of which that is known.
    pub(super) fn marks(&self) -> Vec<Marks> {
        self.table().each().filter_map(|(_, live)| live.marks()).collect()
    }
}

impl Live {
    /// Where what is not complete begins; what lies below the first message received is not this assignment's.
    fn complete_up_to(&self) -> i64 {
        self.tracker.low().max(self.held.first.get().copied().unwrap_or(0))
    }

    fn marks(&self) -> Option<Marks> {
        let (start, log_end) = self.log?;
        let begun = self.base?.max(start);
        let received = self.held.end.load(Ordering::Acquire).max(begun);
        let completed = self.tracker.low().max(begun);
        Some(Marks { log_end, received, completed })
    }

    fn committable(&self, partition: Partition) -> Option<Committable> {
        let offset = self.tracker.committable()?;
        Some(Committable { partition, offset })
    }
}
