//! Permits: how many messages, and how many bytes of them, may be held at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// The unit in which bytes are counted, so that a pool's size fits a semaphore: a message costs at least one.
const UNIT: usize = 256;

/// A bound on messages held and on their bytes, with a wider pool behind it that has to agree.
///
/// Cloning shares the pool. A message larger than the whole pool is admitted alone: it waits until the pool is empty
/// and takes all of it, for a message that can never be admitted would block its broker for ever.
#[derive(Clone, Debug)]
pub struct Pool {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    slots: Arc<Semaphore>,
    size: usize,
    bytes: Option<Bytes>,
    parent: Option<Pool>,
}

#[derive(Debug)]
struct Bytes {
    units: Arc<Semaphore>,
    size: u32,
}

impl Bytes {
    fn units(&self, bytes: usize) -> u32 {
        u32::try_from(bytes / UNIT + 1).unwrap_or(u32::MAX).min(self.size)
    }
}

/// The right to hold one message. Dropping it gives the right back.
#[derive(Debug)]
pub struct Permit {
    _slot: OwnedSemaphorePermit,
    _bytes: Option<OwnedSemaphorePermit>,
    _parent: Option<Box<Permit>>,
}

impl Pool {
    /// A pool of `slots` messages and `bytes` bytes together.
    pub fn new(slots: usize, bytes: usize) -> Self {
        let size = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX).max(1);
        let units = Arc::new(Semaphore::new((size as usize).min(Semaphore::MAX_PERMITS)));
        Self::build(slots, Some(Bytes { units, size }), None)
    }

    /// A pool of `slots` messages whose every permit also counts against this one.
    pub fn narrow(&self, slots: usize) -> Self {
        Self::build(slots, None, Some(self.clone()))
    }

    fn build(slots: usize, bytes: Option<Bytes>, parent: Option<Pool>) -> Self {
        let size = slots.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            inner: Arc::new(Inner { slots: Arc::new(Semaphore::new(size)), size, bytes, parent }),
        }
    }

    /// Takes a permit for a message of `bytes` bytes if there is one now.
    pub fn try_acquire(&self, bytes: usize) -> Option<Permit> {
        let slot = granted(self.inner.slots.clone().try_acquire_owned())?;
        let own = match &self.inner.bytes {
            Some(b) => Some(granted(b.units.clone().try_acquire_many_owned(b.units(bytes)))?),
            None => None,
        };
        let parent = match &self.inner.parent {
            Some(parent) => Some(Box::new(parent.try_acquire(bytes)?)),
            None => None,
        };
        Some(Permit { _slot: slot, _bytes: own, _parent: parent })
    }

    /// Waits for a permit for a message of `bytes` bytes. Cancel safe: giving up returns what was gathered.
    pub async fn acquire(&self, bytes: usize) -> Permit {
        let mut pool = self;
        let mut gathered = Vec::with_capacity(2);
        loop {
            let slot = wait(pool.inner.slots.clone(), 1).await;
            let own = match &pool.inner.bytes {
                Some(b) => Some(wait(b.units.clone(), b.units(bytes)).await),
                None => None,
            };
            gathered.push((slot, own));
            match &pool.inner.parent {
                Some(parent) => pool = parent,
                None => break,
            }
        }
        let mut permit = None;
        while let Some((slot, own)) = gathered.pop() {
            permit = Some(Permit { _slot: slot, _bytes: own, _parent: permit.map(Box::new) });
        }
        match permit {
            Some(permit) => permit,
            // The loop above runs at least once.
            None => unreachable!("a permit is gathered from at least one pool"),
        }
    }

    /// Messages held now.
    pub fn held(&self) -> usize {
        self.inner.size - self.inner.slots.available_permits()
    }

    /// Whether there is a permit for a small message, here and in the wider pool.
    pub fn has_room(&self) -> bool {
        let inner = &self.inner;
        let bytes = inner.bytes.as_ref().is_none_or(|b| b.units.available_permits() > 0);
        let own = inner.slots.available_permits() > 0 && bytes;
        own && inner.parent.as_ref().is_none_or(Pool::has_room)
    }

    /// Whether at least half of the slots, and half of the bytes, are free here. The wider pool is not asked: how much
    /// of it others hold says nothing about this one.
    pub fn half_free(&self) -> bool {
        let inner = &self.inner;
        let half = |b: &Bytes| b.units.available_permits() * 2 >= b.size as usize;
        let bytes = inner.bytes.as_ref().is_none_or(half);
        inner.slots.available_permits() * 2 >= inner.size && bytes
    }
}

fn granted(result: Result<OwnedSemaphorePermit, TryAcquireError>) -> Option<OwnedSemaphorePermit> {
    result.ok()
}

/// The semaphores of a pool are never closed, so waiting for one ends with a permit.
async fn wait(semaphore: Arc<Semaphore>, n: u32) -> OwnedSemaphorePermit {
    match semaphore.acquire_many_owned(n).await {
        Ok(permit) => permit,
        Err(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_counts_until_it_is_dropped() {
        let pool = Pool::new(1, 1 << 20);
        let permit = pool.try_acquire(100).unwrap();
        assert!(pool.try_acquire(100).is_none());
        drop(permit);
        assert!(pool.try_acquire(100).is_some());
    }

    #[test]
    fn bytes_run_out_before_slots() {
        let pool = Pool::new(10, 4 * UNIT);
        let _held = pool.try_acquire(3 * UNIT).unwrap();
        assert!(pool.try_acquire(1).is_none());
    }

    #[test]
    fn a_message_larger_than_the_pool_is_admitted_alone() {
        let pool = Pool::new(10, 4 * UNIT);
        let giant = pool.try_acquire(100 * UNIT).unwrap();
        assert!(pool.try_acquire(1).is_none());
        drop(giant);
        let _small = pool.try_acquire(1).unwrap();
        assert!(pool.try_acquire(100 * UNIT).is_none());
    }

    #[test]
    fn a_narrow_pool_takes_from_the_wider_one_and_leaks_nothing_when_refused() {
        let wide = Pool::new(1, 1 << 20);
        let (a, b) = (wide.narrow(5), wide.narrow(5));
        let held = a.try_acquire(1).unwrap();
        assert!(b.try_acquire(1).is_none());
        assert_eq!(b.held(), 0);
        drop(held);
        assert!(b.try_acquire(1).is_some());
    }

    #[test]
    fn how_much_others_hold_of_the_wider_pool_matters_only_when_it_is_all() {
        let wide = Pool::new(3, 1 << 20);
        let narrow = wide.narrow(2);
        let _others = [wide.try_acquire(1).unwrap(), wide.try_acquire(1).unwrap()];
        assert!(narrow.half_free() && narrow.has_room());
        let _last = wide.try_acquire(1).unwrap();
        assert!(narrow.half_free() && !narrow.has_room());
    }

    #[tokio::test]
    async fn giving_up_waiting_returns_what_was_gathered() {
        let wide = Pool::new(1, 1 << 20);
        let narrow = wide.narrow(1);
        let held = wide.try_acquire(1).unwrap();
        let waiting = tokio::time::timeout(std::time::Duration::ZERO, narrow.acquire(1)).await;
        assert!(waiting.is_err());
        assert_eq!(narrow.held(), 0);
        drop(held);
        narrow.acquire(1).await;
    }
}
