//! Which subscriptions are up, for `/readyz`.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What each subscription waits for, if anything.
#[derive(Debug, Default)]
pub struct Readiness {
    state: Mutex<BTreeMap<String, State>>,
}

#[derive(Debug, Default)]
struct State {
    waits: Option<String>,
    was_up: bool,
}

impl Readiness {
    /// `subscription` waits for `what`.
    pub fn waits(&self, subscription: &str, what: impl Into<String>) {
        self.lock().entry(subscription.to_owned()).or_default().waits = Some(what.into());
    }

    /// `subscription` receives.
    pub fn up(&self, subscription: &str) {
        self.lock().insert(subscription.to_owned(), State { waits: None, was_up: true });
    }

    /// Whether `subscription` has ever been up: then what it is configured with has worked.
    pub fn was_up(&self, subscription: &str) -> bool {
        self.lock().get(subscription).is_some_and(|state| state.was_up)
    }

    /// A line for each subscription that waits.
    pub fn waiting(&self) -> Vec<String> {
        let line = |(name, state): (&String, &State)| {
            state.waits.as_ref().map(|what| format!("subscription {name}: {what}"))
        };
        self.lock().iter().filter_map(line).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
