//! Which subscriptions are up, for `/readyz`.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What each subscription waits for, if anything.
#[derive(Debug, Default)]
pub struct Readiness {
    state: Mutex<BTreeMap<String, Option<String>>>,
}

impl Readiness {
    /// `subscription` waits for `what`.
    pub fn waits(&self, subscription: &str, what: impl Into<String>) {
        self.lock().insert(subscription.to_owned(), Some(what.into()));
    }

    /// `subscription` receives.
    pub fn up(&self, subscription: &str) {
        self.lock().insert(subscription.to_owned(), None);
    }

    /// A line for each subscription that waits.
    pub fn waiting(&self) -> Vec<String> {
        let line = |(name, what): (&String, &Option<String>)| {
            what.as_ref().map(|what| format!("subscription {name}: {what}"))
        };
        self.lock().iter().filter_map(line).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Option<String>>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
