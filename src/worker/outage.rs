//! Outages of what the worker depends on. While there is one no attempts are used up, and intake is held where no event can
//! be answered without it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use playbooks::act::Dependency;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

/// The outages of now, counted by who waits for their end.
///
/// An outage lasts as long as somebody waits in it: each waiter tries again on its own, and leaves with its success
/// or when it has nothing to wait for any more. So there is no probe to keep, and none to get wrong.
#[derive(Debug)]
pub struct Outages {
    state: Mutex<State>,
    leaving: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    current: HashMap<Dependency, Current>,
    /// By subscription, whether its intake is held. Told under the lock, so that what was said last is true.
    holds: HashMap<String, watch::Sender<bool>>,
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
        Arc::new(Self { state: Mutex::default(), leaving: CancellationToken::new() })
    }

    /// True while a subscription's intake is to be held: while anything is away that each of its events may need. Who waits
    /// for a notifier keeps his slot, and nobody else from being answered.
    pub fn hold(&self, subscription: &str) -> watch::Receiver<bool> {
        let mut state = self.lock();
        let held = state.holds(subscription);
        let sender =
            state.holds.entry(subscription.to_owned()).or_insert_with(|| watch::Sender::new(held));
        sender.subscribe()
    }

    /// Sends every waiter away, now and later: the worker leaves, and what waits is better off with another.
    pub fn leave_all(&self) {
        self.leaving.cancel();
    }

    /// Fires when nobody shall wait in an outage any more.
    pub fn leaving(&self) -> &CancellationToken {
        &self.leaving
    }

    /// Waits in the outage of `dependency`, which begins here unless it is under way.
    pub fn enter(self: &Arc<Self>, dependency: Dependency, why: &str) -> Waiter {
        {
            let mut state = self.lock();
            let outage = state.current.entry(dependency.clone()).or_insert_with(|| {
                match dependency.is_vital() {
                    true => tracing::warn!(%dependency, why, "an outage: intake is held until it is over"),
                    false => tracing::warn!(%dependency, why, "an outage: what needs it waits, within its playbook's timeout"),
                }
                Current { waiting: 0, since: Instant::now(), why: why.to_owned(), recovered: false }
            });
            outage.waiting += 1;
            outage.recovered = false;
            state.tell();
        }
        Waiter { outages: self.clone(), dependency }
    }

    /// What is away now, and why.
    pub fn current(&self) -> Vec<(Dependency, String)> {
        self.lock()
            .current
            .iter()
            .map(|(dependency, outage)| (dependency.clone(), outage.why.clone()))
            .collect()
    }

    fn leave(&self, dependency: &Dependency) {
        let mut state = self.lock();
        let Some(outage) = state.current.get_mut(dependency) else { return };
        outage.waiting -= 1;
        if outage.waiting > 0 {
            return;
        }
        let lasted = outage.since.elapsed();
        match outage.recovered {
            true => tracing::info!(%dependency, ?lasted, "the outage is over"),
            // Whoever waited was lost or drained: it may be away still.
            false => tracing::debug!(%dependency, ?lasted, "nobody waits for it any more"),
        }
        state.current.remove(dependency);
        state.tell();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held, and counts would be right if it did.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn holds(&self, subscription: &str) -> bool {
        let concerns = |dependency: &Dependency| match dependency {
            Dependency::DeadLetters(of) => of == subscription,
            dependency => dependency.is_vital(),
        };
        self.current.keys().any(concerns)
    }

    fn tell(&self) {
        for (subscription, hold) in &self.holds {
            let now = self.holds(subscription);
            hold.send_if_modified(|held| std::mem::replace(held, now) != now);
        }
    }
}

impl Waiter {
    /// What is waited for.
    pub fn dependency(&self) -> &Dependency {
        &self.dependency
    }

    /// Leaves because the dependency has answered.
    pub fn recovered(self) {
        if let Some(outage) = self.outages.lock().current.get_mut(&self.dependency) {
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
        let hold = outages.hold("falco");
        let first = outages.enter(api(), "connection refused");
        let second = outages.enter(api(), "connection refused");
        drop(first);
        assert!(*hold.borrow());
        assert_eq!(outages.current(), [(api(), "connection refused".to_owned())]);
        drop(second);
        assert!(!*hold.borrow());
        assert!(outages.current().is_empty());
    }

    #[test]
    fn an_outage_is_over_only_when_somebody_got_through_since_the_last_one_failed() {
        let outages = Outages::new();
        let recovered = || outages.lock().current.values().any(|outage| outage.recovered);
        let lost = outages.enter(api(), "connection refused");
        outages.enter(api(), "connection refused").recovered();
        assert!(recovered());
        drop(outages.enter(api(), "connection refused"));
        assert!(!recovered(), "it was away again");
        drop(lost);
        assert!(outages.current().is_empty());
    }

    #[test]
    fn what_single_steps_need_holds_no_intake() {
        let outages = Outages::new();
        let hold = outages.hold("falco");
        for of in [Dependency::Sink, Dependency::Destination, Dependency::Function] {
            let _waiter = outages.enter(of("chat".into()), "503");
            assert!(!*hold.borrow() && !*outages.hold("late").borrow());
            assert_eq!(outages.current().len(), 1, "it is told all the same");
        }
    }

    #[test]
    fn one_subscriptions_dead_letters_hold_no_others_intake() {
        let outages = Outages::new();
        let (falco, cloud) = (outages.hold("falco"), outages.hold("cloud"));
        let buried = outages.enter(Dependency::DeadLetters("falco".into()), "no such topic");
        assert!(*falco.borrow() && !*cloud.borrow());
        let _api = outages.enter(api(), "connection refused");
        assert!(*cloud.borrow());
        assert!(*outages.hold("late").borrow());
        drop(buried);
        assert!(*falco.borrow());
    }
}
