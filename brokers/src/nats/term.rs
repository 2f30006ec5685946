//! A term: the time during which what the consumer delivers to us is ours, as far as our own clock can tell.
//!
//! The server delivers a message anew when it has not heard of it for `ack_wait`. So the term ends, and with it the lease
//! on everything held, a little before that could happen: when the server has not confirmed for that long that it hears us.
//! It also ends when the consumer is gone or made anew. What comes after that comes under another term.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_nats::{Client, Subject};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::lease::Lease;

/// A message that was delivered in a term, and is not settled yet.
#[derive(Debug)]
pub(super) struct Held {
    /// Its place in the stream.
    pub(super) sequence: u64,
    /// Where it was published to.
    pub(super) subject: Subject,
    /// Where its acks go.
    pub(super) reply: Subject,
    /// When the stream took it.
    pub(super) published: Option<Timestamp>,
    /// Under which term it is held.
    pub(super) term: Arc<Term>,
}

pub(super) struct Term {
    pub(super) client: Client,
    pub(super) stream: Arc<str>,
    pub(super) consumer: Arc<str>,
    pub(super) lease: Lease,
    /// How long the server waits before it delivers again.
    ack_wait: Duration,
    begun: Instant,
    /// When we last asked what was then confirmed, in milliseconds since the beginning.
    heard: AtomicU64,
    /// What nobody has any more is not extended: it comes again.
    held: Mutex<HashMap<u64, Weak<Held>>>,
}

impl Term {
    pub(super) fn new(
        client: Client,
        stream: Arc<str>,
        consumer: Arc<str>,
        ack_wait: Duration,
    ) -> Self {
        Self {
            client,
            stream,
            consumer,
            lease: Lease::new(),
            ack_wait,
            begun: Instant::now(),
            heard: AtomicU64::new(0),
            held: Mutex::default(),
        }
    }

    /// How often the server is told that what is held is being worked on.
    pub(super) fn beat(&self) -> Duration {
        self.ack_wait / 3
    }

    /// When the term ends unless the server is heard of. A sixth is left for what it delivered and we had not yet seen.
    pub(super) fn end(&self) -> Instant {
        let heard = Duration::from_millis(self.heard.load(Ordering::Acquire));
        self.begun + heard + self.ack_wait * 5 / 6
    }

    /// The server has heard what was said from `asked` on.
    pub(super) fn heard(&self, asked: Instant) {
        let since = asked.saturating_duration_since(self.begun).as_millis();
        self.heard.fetch_max(u64::try_from(since).unwrap_or(u64::MAX), Ordering::AcqRel);
    }

    /// Whether the server has confirmed something that was said after `asked`, while anything is held.
    pub(super) fn was_heard_after(&self, asked: Instant) -> bool {
        // What is noted is rounded down.
        self.begun + Duration::from_millis(self.heard.load(Ordering::Acquire)) > asked
    }

    /// Whether it has ended. A process that was stopped finds out here, before any of its timers does.
    pub(super) fn is_over(&self) -> bool {
        if !self.lease.is_lost() && Instant::now() >= self.end() {
            self.lease.lose();
        }
        self.lease.is_lost()
    }

    /// Holds a message; `None` if it is held already, and was delivered once more.
    pub(super) fn hold(&self, held: Held) -> Option<Arc<Held>> {
        let mut all = self.all();
        let place = all.entry(held.sequence).or_default();
        if place.strong_count() > 0 {
            return None;
        }
        let held = Arc::new(held);
        *place = Arc::downgrade(&held);
        Some(held)
    }

    /// No longer held: settled or given back.
    pub(super) fn let_go(&self, held: &Held) {
        self.all().remove(&held.sequence);
    }

    /// How many messages are held.
    pub(super) fn count(&self) -> usize {
        self.all().len()
    }

    /// Where the acks of all that is held go.
    pub(super) fn replies(&self) -> Vec<Subject> {
        let mut replies = Vec::new();
        self.all().retain(|_, held| {
            let held = held.upgrade();
            replies.extend(held.iter().map(|held| held.reply.clone()));
            held.is_some()
        });
        replies
    }

    fn all(&self) -> MutexGuard<'_, HashMap<u64, Weak<Held>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Term {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Term of {} on {}", self.consumer, self.stream)
    }
}
