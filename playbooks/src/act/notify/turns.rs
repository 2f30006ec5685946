//! How fast a sink is told: one message after another where it takes few, and what comes while one is on its way, or before
//! the next may go, goes together in one.

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

/// How fast a sink may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How many go in a second as they come, each by itself.
    pub at_once: u32,
    /// How far apart the others go, each with what comes in between.
    pub apart: Duration,
}

impl Pace {
    /// One after another, so far apart.
    pub const fn apart(apart: Duration) -> Pace {
        Pace { at_once: 0, apart }
    }
}

impl Default for Pace {
    /// For programs: they say 429 where it is too much for them, so that this bounds a flood alone.
    fn default() -> Pace {
        Pace { at_once: 1000, apart: Duration::from_millis(100) }
    }
}

/// The turns at one sink.
pub(super) struct Turns {
    pace: Pace,
    /// When the last second began, and how many have gone in it.
    second: Mutex<Option<(Instant, u32)>>,
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
    pub(super) fn new(pace: Pace) -> Turns {
        Turns {
            pace,
            second: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            waiting: Mutex::default(),
        }
    }

    /// Sends it, by itself, with others or among others. Cancel safe: others wait on.
    pub(super) async fn send(
        &self,
        sink: &dyn Sink,
        message: &Notification<'_>,
    ) -> Result<(), Failure> {
        if self.goes_at_once() {
            return sink.send(message).await;
        }
        let place = self.queue(message);
        let mut last = self.turn.lock().await;
        if place.ours.taken.load(Ordering::Acquire) {
            return Ok(());
        }
        if let Some(last) = *last {
            tokio::time::sleep_until(last + self.pace.apart).await;
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

    fn goes_at_once(&self) -> bool {
        const SECOND: Duration = Duration::from_secs(1);
        let now = Instant::now();
        let mut second = lock(&self.second);
        let (began, gone) = second
            .filter(|(began, _)| now.saturating_duration_since(*began) < SECOND)
            .unwrap_or((now, 0));
        let goes = gone < self.pace.at_once;
        *second = Some((began, gone + u32::from(goes)));
        goes
    }

    fn queue(&self, message: &Notification<'_>) -> Place<'_> {
        let message = Arc::new(message.owned());
        let ours = Arc::new(Waiting { message, taken: AtomicBool::new(false) });
        lock(&self.waiting).push_back(Arc::clone(&ours));
        Place { turns: self, ours }
    }

    /// The next ones after ours.
    fn others(&self, ours: &Arc<Waiting>) -> Vec<Arc<Waiting>> {
        let waiting = lock(&self.waiting);
        let others = waiting
            .iter()
            .filter(|other| !Arc::ptr_eq(other, ours) && !other.taken.load(Ordering::Acquire));
        others.take(MOST).cloned().collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        lock(&self.turns.waiting).retain(|other| !Arc::ptr_eq(other, &self.ours));
    }
}
