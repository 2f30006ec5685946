//! Which subscriptions are up and which playbooks are not in force as they are written, for `/readyz`.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::objects::Refused;

/// What each subscription waits for, if anything.
#[derive(Debug, Default)]
pub struct Readiness {
    state: Mutex<BTreeMap<String, State>>,
    /// Why the playbooks' files are not what is in force.
    playbooks: Mutex<Option<String>>,
    /// Why the playbooks that are objects can't be seen.
    objects: Mutex<Option<String>>,
    /// The objects that are not in force as they are written.
    refused: Mutex<Refused>,
}

#[derive(Debug, Default)]
struct State {
    waits: Option<String>,
    was_up: bool,
    refused: bool,
    loses: bool,
}

impl Readiness {
    /// Of these subscriptions, none of which is up yet.
    pub fn of<'a>(subscriptions: impl IntoIterator<Item = &'a str>) -> Self {
        let readiness = Self::default();
        subscriptions.into_iter().for_each(|name| readiness.waits(name, "starting"));
        readiness
    }

    /// `subscription` waits for `what`.
    pub fn waits(&self, subscription: &str, what: impl Into<String>) {
        self.lock().entry(subscription.to_owned()).or_default().waits = Some(what.into());
    }

    /// `subscription` receives.
    pub fn up(&self, subscription: &str) {
        let mut state = self.lock();
        let state = state.entry(subscription.to_owned()).or_default();
        (state.waits, state.was_up, state.refused) = (None, true, false);
    }

    /// `subscription` can't be served as it is set up.
    pub fn refuses(&self, subscription: &str, why: &str) {
        let mut state = self.lock();
        let state = state.entry(subscription.to_owned()).or_default();
        (state.waits, state.refused) = (Some(why.to_owned()), true);
    }

    /// Whether not one subscription could be served.
    pub fn has_refused_all(&self) -> bool {
        self.lock().values().all(|state| state.refused)
    }

    /// Whether `subscription` has ever been up: then what it is configured with has worked.
    pub fn was_up(&self, subscription: &str) -> bool {
        self.lock().get(subscription).is_some_and(|state| state.was_up)
    }

    /// `subscription` can lose events, as its configuration accepts.
    pub fn loses(&self, subscription: &str) {
        self.lock().entry(subscription.to_owned()).or_default().loses = true;
    }

    /// The playbooks can't be used as their files are now, or `None` that they can.
    pub fn playbooks_refused(&self, why: Option<String>) {
        *lock(&self.playbooks) = why;
    }

    /// Whether the playbooks' files, or the objects as a whole, are not what is in force.
    pub fn has_refused_playbooks(&self) -> bool {
        lock(&self.playbooks).is_some() || lock(&self.objects).is_some()
    }

    /// The playbooks that are objects can't be seen now, or `None` that they can.
    pub fn objects_hidden(&self, why: Option<String>) {
        *lock(&self.objects) = why;
    }

    /// These objects are not in force as they are written now.
    pub fn objects_refused(&self, refused: Refused) {
        *lock(&self.refused) = refused;
    }

    /// The objects that are not in force as they are written.
    pub fn refused_objects(&self) -> Refused {
        lock(&self.refused).clone()
    }

    /// A line for each subscription that can lose events, and for playbooks that are not in force as they are written.
    pub fn warnings(&self) -> Vec<String> {
        let state = self.lock();
        let losing = state.iter().filter(|(_, state)| state.loses);
        let line = |(name, _)| {
            format!(
                "subscription {name}: its broker has no acks, so what a worker holds when it dies is lost"
            )
        };
        let stale = |why: &String| {
            format!("the playbooks' files are refused, and the last good ones in force: {why}")
        };
        let hidden = |why: &String| {
            format!(
                "the playbooks that are objects can't be seen, and those seen last are in force: {why}"
            )
        };
        let refused = self.refused_objects();
        let spoilt = (!refused.is_empty()).then(|| {
            format!(
                "playbooks that are objects are not in force as they are written: {refused}; their status says why, \
                 `kubectl get playbooks,clusterplaybooks -A`"
            )
        });
        let (playbooks, objects) = (lock(&self.playbooks), lock(&self.objects));
        let unseen = objects.iter().map(hidden);
        losing.map(line).chain(playbooks.iter().map(stale)).chain(unseen).chain(spoilt).collect()
    }

    /// A line for each subscription that waits.
    pub fn waiting(&self) -> Vec<String> {
        let line = |(name, state): (&String, &State)| {
            state.waits.as_ref().map(|what| format!("subscription {name}: {what}"))
        };
        self.lock().iter().filter_map(line).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, State>> {
        lock(&self.state)
    }
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_long_as_one_may_be_served_not_all_are_refused() {
        let readiness = Readiness::of(["a", "b"]);
        assert_eq!(readiness.waiting(), ["subscription a: starting", "subscription b: starting"]);
        readiness.refuses("a", "no such consumer");
        assert!(!readiness.has_refused_all());
        assert_eq!(readiness.waiting()[0], "subscription a: no such consumer");
        readiness.waits("b", "connecting");
        assert!(!readiness.has_refused_all());
        readiness.refuses("b", "push");
        assert!(readiness.has_refused_all());
        readiness.up("a");
        assert!(!readiness.has_refused_all());
        assert_eq!(readiness.waiting(), ["subscription b: push"]);
    }
}
