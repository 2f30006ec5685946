//! How old the oldest event is that a subscription works on.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

/// When the events that are worked on were published, counted.
#[derive(Debug, Default)]
pub struct Ages(Mutex<BTreeMap<Timestamp, usize>>);

/// One of them, until it is dropped.
#[derive(Debug)]
#[must_use = "dropped, the event is no longer worked on"]
pub struct Aging {
    ages: Arc<Ages>,
    since: Timestamp,
}

impl Ages {
    /// Begins to count one that was published at `since`.
    pub fn begin(self: &Arc<Self>, since: Timestamp) -> Aging {
        *self.lock().entry(since).or_default() += 1;
        Aging { ages: self.clone(), since }
    }

    /// Since when the oldest waits, if there is one.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.lock().keys().next().copied()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Timestamp, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Aging {
    fn drop(&mut self) {
        let mut since = self.ages.lock();
        if let Some(count) = since.get_mut(&self.since) {
            *count -= 1;
            if *count == 0 {
                since.remove(&self.since);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_the_oldest_of_those_that_are_left() {
        let (ages, at) = (Arc::<Ages>::default(), |second| Timestamp::from_second(second).unwrap());
        assert_eq!(ages.oldest(), None);
        let (late, early, twin) = (ages.begin(at(9)), ages.begin(at(1)), ages.begin(at(1)));
        drop(early);
        assert_eq!(ages.oldest(), Some(at(1)));
        drop(twin);
        assert_eq!(ages.oldest(), Some(at(9)));
        drop(late);
        assert_eq!(ages.oldest(), None);
    }
}
