//! Outages of what the worker depends on. While there is one, intake is held and no attempts are used up.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use playbooks::act::Dependency;
use tokio::{sync::watch, time::Instant};

/// The outages of now, counted by who waits for their end.
///
/// An outage lasts as long as somebody waits in it: each waiter tries again on its own, and leaves with its success
/// or when it has nothing to wait for any more. So there is no probe to keep, and none to get wrong.
#[derive(Debug)]
pub struct Outages {
    current: Mutex<HashMap<Dependency, Current>>,
    hold: watch::Sender<bool>,
}

#[derive(Debug)]
struct Current {
    waiting: usize,
    since: Instant,
    why: String,
    /// Somebody has got through since the last one came in.
    recovered: bool,
}

/// One waiter in an outage. Dropping it leaves, and says nothing of the outage's end.
#[derive(Debug)]
#[must_use = "an outage ends when nobody waits in it"]
pub struct Waiter {
    outages: Arc<Outages>,
    dependency: Dependency,
}

impl Outages {
    /// No outage.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { current: Mutex::default(), hold: watch::Sender::new(false) })
    }

    /// True while intake is to be held.
    pub fn hold(&self) -> watch::Receiver<bool> {
        self.hold.subscribe()
    }

    /// Waits in the outage of `dependency`, which begins here unless it is under way.
    pub fn enter(self: &Arc<Self>, dependency: Dependency, why: &str) -> Waiter {
        {
            let mut current = self.lock();
            let outage = current.entry(dependency.clone()).or_insert_with(|| {
                tracing::warn!(%dependency, why, "an outage: intake is held until it is over");
                Current { waiting: 0, since: Instant::now(), why: why.to_owned(), recovered: false }
            });
            outage.waiting += 1;
            outage.recovered = false;
        }
        self.hold.send_if_modified(|held| !std::mem::replace(held, true));
        Waiter { outages: self.clone(), dependency }
    }

    /// What is away now, and why.
    pub fn current(&self) -> Vec<(Dependency, String)> {
        self.lock()
            .iter()
            .map(|(dependency, outage)| (dependency.clone(), outage.why.clone()))
            .collect()
    }

    fn leave(&self, dependency: &Dependency) {
        let none_left = {
            let mut current = self.lock();
            let Some(outage) = current.get_mut(dependency) else { return };
            outage.waiting -= 1;
            if outage.waiting == 0 {
                let lasted = outage.since.elapsed();
                match outage.recovered {
                    true => tracing::info!(%dependency, ?lasted, "the outage is over"),
                    // Whoever waited was lost or drained: it may be away still.
                    false => {
                        tracing::debug!(%dependency, ?lasted, "nobody waits for it any more");
                    }
                }
                current.remove(dependency);
            }
            current.is_empty()
        };
        if none_left {
            self.hold.send_if_modified(|held| std::mem::replace(held, false));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Dependency, Current>> {
        // Nothing panics while it is held, and counts would be right if it did.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter {
    /// What is waited for.
    pub fn dependency(&self) -> &Dependency {
        &self.dependency
    }

    /// Leaves because the dependency has answered.
    pub fn recovered(self) {
        if let Some(outage) = self.outages.lock().get_mut(&self.dependency) {
            outage.recovered = true;
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.outages.leave(&self.dependency);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api() -> Dependency {
        Dependency::KubernetesApi
    }

    #[test]
    fn intake_is_held_until_the_last_waiter_of_the_last_outage_leaves() {
        let outages = Outages::new();
        let hold = outages.hold();
        let first = outages.enter(api(), "connection refused");
        let second = outages.enter(api(), "connection refused");
        let sink = outages.enter(Dependency::Sink("slack".into()), "503");
        drop(first);
        drop(sink);
        assert!(*hold.borrow());
        assert_eq!(outages.current(), [(api(), "connection refused".to_owned())]);
        drop(second);
        assert!(!*hold.borrow());
        assert!(outages.current().is_empty());
    }

    #[test]
    fn an_outage_is_over_only_when_somebody_got_through_since_the_last_one_failed() {
        let outages = Outages::new();
        let recovered = || outages.lock().values().any(|outage| outage.recovered);
        let lost = outages.enter(api(), "connection refused");
        outages.enter(api(), "connection refused").recovered();
        assert!(recovered());
        drop(outages.enter(api(), "connection refused"));
        assert!(!recovered(), "it was away again");
        drop(lost);
        assert!(outages.current().is_empty());
    }
}
