//! One delete at a time below an owner, whichever playbook or step asks for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::OwnedMutexGuard;

use crate::act::target::Verified;

/// A worker's locks for `minHealthy`, by the owner's uid: counting and deleting must not interleave, or two
/// responses would each see one pod to spare.
#[derive(Debug, Default)]
pub(in crate::act) struct OwnerLocks(Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>);

impl OwnerLocks {
    /// Waits for the lock of the target's owner. Cancel safe.
    pub(super) async fn lock(&self, target: &Verified) -> OwnedMutexGuard<()> {
        let owner = target.owner().map_or(target.uid().as_str(), |owner| &owner.uid);
        let lock = {
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Who holds a lock or waits for it has a reference of its own, taken under this one.
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(locks.entry(owner.to_owned()).or_default())
        };
        lock.lock_owned().await
    }
}
