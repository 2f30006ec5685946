//! Whether the subscription can be served now, for whoever watches.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::watch;

/// How often an outage that goes on is said again.
const REMIND: Duration = Duration::from_secs(30);

/// The outage that a broker's answer ends.
pub(super) const UNREACHABLE: &str = "no Kafka broker can be reached";

/// Whether the brokers answer, and the topic can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Not heard of yet.
    #[default]
    Connecting,
    /// All is well.
    Connected,
    /// Something is away; it is waited for. The text is for a person, and says what to do where that is known.
    Unavailable(String),
}

#[derive(Debug, Default)]
pub(super) struct Monitor {
    health: watch::Sender<Health>,
    warned: Mutex<Option<Instant>>,
}

impl Monitor {
    pub(super) fn watch(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// Whether all that is wrong is that no broker answered.
    pub(super) fn only_unreachable(&self) -> bool {
        matches!(&*self.health.borrow(), Health::Unavailable(what) if what == UNREACHABLE)
    }

    pub(super) fn connected(&self) {
        let before = self.health.send_replace(Health::Connected);
        if let Health::Unavailable(what) = before {
            tracing::info!(was = what, "Kafka is back");
        }
    }

    /// Something is away. Said once when it begins, and then now and again.
    pub(super) fn unavailable(&self, what: String) {
        let news = self.health.send_if_modified(|health| {
            let now = Health::Unavailable(what.clone());
            let news = *health != now;
            *health = now;
            news
        });
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if news || warned.is_none_or(|at| at.elapsed() >= REMIND) {
            *warned = Some(Instant::now());
            tracing::warn!("{what}; waiting for it");
        }
    }
}
