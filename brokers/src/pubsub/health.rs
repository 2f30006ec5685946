//! Whether the subscription can be served now, for whoever watches.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::contract::Health;

/// What the stream says, and what asking for the subscription says. The client tries again for ever by itself while
/// Pub/Sub can't be reached and says nothing of it, so that a stream alone is never known to be well.
#[derive(Debug, Default)]
pub(super) struct Monitor {
    health: watch::Sender<Health>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Why no stream can be opened.
    refused: Option<String>,
    /// Whether Pub/Sub has answered when it was asked last; unknown at first.
    answers: Option<bool>,
    /// Why it doesn't.
    silent: String,
}

impl Monitor {
    pub(super) fn watch(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// Whether something is away.
    pub(super) fn is_away(&self) -> bool {
        matches!(*self.health.borrow(), Health::Unavailable(_))
    }

    /// No stream can be opened.
    pub(super) fn refused(&self, why: String) {
        self.change(|state| state.refused = Some(why));
    }

    /// A stream hasn't been refused for a while.
    pub(super) fn accepted(&self) {
        self.change(|state| state.refused = None);
    }

    /// A message has come.
    pub(super) fn received(&self) {
        if *self.health.borrow() != Health::Connected {
            self.change(|state| *state = State { answers: Some(true), ..State::default() });
        }
    }

    /// Pub/Sub has answered.
    pub(super) fn answered(&self) {
        self.change(|state| state.answers = Some(true));
    }

    /// Pub/Sub has not answered.
    pub(super) fn silent(&self, why: String) {
        self.change(|state| {
            state.answers = Some(false);
            state.silent = why;
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        let health = state.health();
        self.health.send_if_modified(|current| {
            if *current == health {
                return false;
            }
            match (&*current, &health) {
                (_, Health::Unavailable(what)) => tracing::warn!("{what}; waiting for it"),
                (Health::Unavailable(was), _) => tracing::info!(was, "Pub/Sub is back"),
                _ => {}
            }
            *current = health;
            true
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn health(&self) -> Health {
        match (&self.refused, self.answers) {
            (Some(why), _) => Health::Unavailable(why.clone()),
            (None, Some(false)) => Health::Unavailable(self.silent.clone()),
            (None, Some(true)) => Health::Connected,
            (None, None) => Health::Connecting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_does_not_give_a_permission() {
        let monitor = Monitor::default();
        let health = || monitor.watch().borrow().clone();
        assert_eq!(health(), Health::Connecting);
        monitor.answered();
        assert_eq!(health(), Health::Connected);
        monitor.refused("denied".into());
        monitor.silent("away".into());
        assert_eq!(health(), Health::Unavailable("denied".into()));
        monitor.answered();
        assert_eq!(health(), Health::Unavailable("denied".into()));
        monitor.accepted();
        assert_eq!(health(), Health::Connected);
    }

    #[test]
    fn a_message_that_comes_says_that_all_is_well() {
        let monitor = Monitor::default();
        monitor.refused("denied".into());
        monitor.silent("away".into());
        monitor.received();
        assert_eq!(*monitor.watch().borrow(), Health::Connected);
    }
}
