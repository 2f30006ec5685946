//! One message after another, for sinks that keep no count of what they have seen: what comes while one is on its way, or
//! before the next may go, goes together in one.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{Notification, Sink};
use crate::act::outcome::Failure;

/// How many go along with one: as many as all sinks can show.
const MOST: usize = 20;

/// The turns at one sink.
pub(super) struct Turns {
    apart: Duration,
    /// When the last one went; held by whose turn it is.
    turn: tokio::sync::Mutex<Option<Instant>>,
    waiting: Mutex<VecDeque<Arc<Waiting>>>,
}

/// One that waits for its turn, or for another to take it along.
struct Waiting {
    message: Arc<Notification<'static>>,
    taken: AtomicBool,
}

/// A place in the queue. It is left when the sender is gone: nobody is told for who has given up.
struct Place<'a> {
    turns: &'a Turns,
    ours: Arc<Waiting>,
}

impl Turns {
    pub(super) fn new(apart: Duration) -> Turns {
        Turns { apart, turn: tokio::sync::Mutex::default(), waiting: Mutex::default() }
    }

    /// Sends it, with others or among others. Cancel safe: others wait on.
    pub(super) async fn send(
        &self,
        sink: &dyn Sink,
        message: &Notification<'_>,
    ) -> Result<(), Failure> {
        let place = self.queue(message);
        let mut last = self.turn.lock().await;
        if place.ours.taken.load(Ordering::Acquire) {
            return Ok(());
        }
        if let Some(last) = *last {
            tokio::time::sleep_until(last + self.apart).await;
        }
        let others = self.others(&place.ours);
        let mut all = message.owned();
        all.more = others.iter().map(|other| Arc::clone(&other.message)).collect();
        let sent = sink.send(&all).await;
        *last = Some(Instant::now());
        if sent.is_ok() {
            others.iter().for_each(|other| other.taken.store(true, Ordering::Release));
        }
        sent
    }

    fn queue(&self, message: &Notification<'_>) -> Place<'_> {
        let message = Arc::new(message.owned());
        let ours = Arc::new(Waiting { message, taken: AtomicBool::new(false) });
        self.lock().push_back(Arc::clone(&ours));
        Place { turns: self, ours }
    }

    /// The next ones after ours.
    fn others(&self, ours: &Arc<Waiting>) -> Vec<Arc<Waiting>> {
        let waiting = self.lock();
        let others = waiting
            .iter()
            .filter(|other| !Arc::ptr_eq(other, ours) && !other.taken.load(Ordering::Acquire));
        others.take(MOST).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Waiting>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.turns.lock().retain(|other| !Arc::ptr_eq(other, &self.ours));
    }
}
