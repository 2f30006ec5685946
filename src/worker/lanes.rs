//! Lanes: what concerns one target runs one at a time in a worker.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::OwnedMutexGuard;

/// One lane a key, made when somebody enters and gone when the last has left.
///
/// Lanes keep the responses of one worker apart. Between workers safety rests on preconditions, never on a lock.
#[derive(Debug)]
pub struct Lanes<K: Eq + Hash> {
    lanes: Arc<Mutex<HashMap<K, Arc<tokio::sync::Mutex<()>>>>>,
}

/// The right to work on one target. Dropping it lets the next in.
#[derive(Debug)]
#[must_use = "the lane is left at once"]
pub struct InLane<K: Eq + Hash> {
    lanes: Arc<Mutex<HashMap<K, Arc<tokio::sync::Mutex<()>>>>>,
    key: K,
    guard: Option<OwnedMutexGuard<()>>,
}

impl<K: Eq + Hash + Clone> Lanes<K> {
    /// No lanes.
    pub fn new() -> Self {
        Self { lanes: Arc::default() }
    }

    /// Waits for the lane of `key`, first come first served. Cancel safe.
    pub async fn enter(&self, key: K) -> InLane<K> {
        let lane = {
            let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
            lanes.entry(key.clone()).or_default().clone()
        };
        // Built before waiting, so that a waiter that gives up cleans up as well.
        let mut entered = InLane { lanes: self.lanes.clone(), key, guard: None };
        entered.guard = Some(lane.lock_owned().await);
        entered
    }
}

impl<K: Eq + Hash + Clone> Default for Lanes<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Eq + Hash> Drop for InLane<K> {
    fn drop(&mut self) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        self.guard = None;
        // Every waiter holds a reference of its own, taken under this lock.
        if lanes.get(&self.key).is_some_and(|lane| Arc::strong_count(lane) == 1) {
            lanes.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn one_key_runs_one_at_a_time_and_others_do_not_wait() {
        let lanes = Lanes::new();
        let first = lanes.enter("a").await;
        let second = tokio::time::timeout(Duration::ZERO, lanes.enter("a")).await;
        assert!(second.is_err(), "the lane was entered twice");
        let _other = lanes.enter("b").await;
        drop(first);
        let _second = lanes.enter("a").await;
    }

    #[tokio::test]
    async fn an_empty_lane_is_forgotten_even_when_a_waiter_gave_up() {
        let lanes = Lanes::new();
        let first = lanes.enter("a").await;
        let waiting = tokio::time::timeout(Duration::ZERO, lanes.enter("a")).await;
        drop(waiting);
        drop(first);
        assert!(lanes.lanes.lock().unwrap().is_empty());
    }
}
