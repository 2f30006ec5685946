//! Whether the subscription can be served now, for whoever watches.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use crate::contract::Health;

/// How often an outage that goes on is said again.
const REMIND: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(super) struct Monitor {
    health: watch::Sender<Health>,
    outage: Mutex<Option<Said>>,
}

/// An outage that goes on, and when it was said last.
#[derive(Debug)]
struct Said {
    what: String,
    at: Instant,
}

impl Monitor {
    pub(super) fn watch(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    pub(super) fn well(&self) {
        let ended = self.outage().take();
        if ended.is_some() || *self.health.borrow() != Health::Connected {
            self.health.send_replace(Health::Connected);
        }
        if let Some(said) = ended {
            tracing::info!(was = said.what, "NATS is back");
        }
    }

    /// Something is away. Said once when it begins, and then now and again.
    pub(super) fn away(&self, what: String) {
        let mut current = self.outage();
        if current.as_ref().is_some_and(|said| said.what == what && said.at.elapsed() < REMIND) {
            return;
        }
        tracing::warn!("{what}; waiting for it");
        self.health.send_replace(Health::Unavailable(what.clone()));
        *current = Some(Said { what, at: Instant::now() });
    }

    fn outage(&self) -> MutexGuard<'_, Option<Said>> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_lasts_until_all_is_well() {
        let monitor = Monitor::default();
        let health = monitor.watch();
        monitor.away("the cable is cut".into());
        assert_eq!(*health.borrow(), Health::Unavailable("the cable is cut".into()));
        monitor.well();
        assert_eq!(*health.borrow(), Health::Connected);
    }
}
