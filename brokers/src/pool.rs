//! Permits: how many messages, and how many bytes of them, may be held at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The unit in which bytes are counted, so that a pool's size fits a semaphore: a message costs at least one.
const UNIT: usize = 256;

/// A bound on messages held and on their bytes.
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
    units: Arc<Semaphore>,
    width: u32,
}

/// The right to hold one message. Dropping it gives the right back.
#[derive(Debug)]
pub struct Permit {
    _slot: OwnedSemaphorePermit,
    _units: OwnedSemaphorePermit,
}

impl Pool {
    /// A pool of `slots` messages and `bytes` bytes together.
    pub fn new(slots: usize, bytes: usize) -> Self {
        let size = slots.clamp(1, Semaphore::MAX_PERMITS);
        let width = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX).max(1);
        let units = (width as usize).min(Semaphore::MAX_PERMITS);
        Self {
            inner: Arc::new(Inner {
                slots: Arc::new(Semaphore::new(size)),
                size,
                units: Arc::new(Semaphore::new(units)),
                width,
            }),
        }
    }

    /// Takes a permit for a message of `bytes` bytes if there is one now.
    pub fn try_acquire(&self, bytes: usize) -> Option<Permit> {
        let inner = &self.inner;
        let slot = inner.slots.clone().try_acquire_owned().ok()?;
        let units = inner.units.clone().try_acquire_many_owned(self.units(bytes)).ok()?;
        Some(Permit { _slot: slot, _units: units })
    }

    /// Waits for a permit for a message of `bytes` bytes. Cancel safe: giving up returns what was gathered.
    pub async fn acquire(&self, bytes: usize) -> Permit {
        let slot = wait(self.inner.slots.clone(), 1).await;
        let units = wait(self.inner.units.clone(), self.units(bytes)).await;
        Permit { _slot: slot, _units: units }
    }

    fn units(&self, bytes: usize) -> u32 {
        u32::try_from(bytes / UNIT + 1).unwrap_or(u32::MAX).min(self.inner.width)
    }

    /// Messages held now.
    pub fn held(&self) -> usize {
        self.inner.size - self.inner.slots.available_permits()
    }

    /// Whether there is a permit for a small message.
    pub fn has_room(&self) -> bool {
        self.inner.slots.available_permits() > 0 && self.inner.units.available_permits() > 0
    }

    /// Whether at least half of the slots, and half of the bytes, are free.
    pub fn half_free(&self) -> bool {
        let Inner { slots, size, units, width } = &*self.inner;
        slots.available_permits() * 2 >= *size && units.available_permits() * 2 >= *width as usize
    }
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
    fn what_is_refused_for_its_bytes_holds_no_slot() {
        let pool = Pool::new(2, 4 * UNIT);
        let _held = pool.try_acquire(3 * UNIT).unwrap();
        assert!(pool.try_acquire(UNIT).is_none());
        assert_eq!(pool.held(), 1);
    }

    #[test]
    fn half_is_free_only_where_half_of_the_bytes_is() {
        let pool = Pool::new(4, 4 * UNIT);
        let _one = pool.try_acquire(1).unwrap();
        assert!(pool.half_free() && pool.has_room());
        let _two = pool.try_acquire(UNIT).unwrap();
        assert!(!pool.half_free() && pool.has_room());
        let _three = pool.try_acquire(1).unwrap();
        assert!(!pool.has_room());
    }

    #[tokio::test]
    async fn giving_up_waiting_returns_what_was_gathered() {
        let pool = Pool::new(2, UNIT);
        let held = pool.try_acquire(1).unwrap();
        let waiting = tokio::time::timeout(std::time::Duration::ZERO, pool.acquire(1)).await;
        assert!(waiting.is_err());
        assert_eq!(pool.held(), 1);
        drop(held);
        pool.acquire(1).await;
    }
}
