//! Where messages are settled.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use crate::{
    contract::{AckStrength, Attempts, Capabilities, Error, Health, Ledger as Contract, Settled},
    dead_letter::{DeadLetter, DeadLetterError},
    message::Message,
};

use super::{
    dead_letters::DeadLetters,
    driver::Shared,
    lag::Lag,
    term::Held,
    verb::{self, Verb},
};

/// How long a worker that leaves gives back what is on its way to it.
const HAND_BACK: Duration = Duration::from_secs(2);

/// What a message is settled by.
#[derive(Clone, Debug)]
pub struct Key(Option<Arc<Held>>);

impl Key {
    pub(super) fn of_stream(held: Arc<Held>) -> Self {
        Self(Some(held))
    }

    /// Of core NATS, where there is nothing to settle.
    pub(super) fn of_core() -> Self {
        Self(None)
    }
}

/// Settles messages of a consumer: an ack counts when the server has confirmed it.
pub struct Ledger {
    shared: Arc<Shared>,
    dead_letters: Option<DeadLetters>,
    ack: AckStrength,
}

impl Ledger {
    pub(super) fn new(shared: Arc<Shared>, ack: AckStrength) -> Self {
        let subject = shared.config.dead_letters.clone();
        let dead_letters = subject.map(|subject| DeadLetters::new(subject, shared.clone(), ack));
        Self { shared, dead_letters, ack }
    }

    /// Whether the servers answer, and the consumer is there and fit.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.shared.monitor.watch()
    }

    /// How far the fleet is behind, as of some seconds ago; nothing for core NATS, which keeps nothing.
    pub fn lag(&self) -> Lag {
        *self.shared.lag.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn settle(&self, held: &Held, verb: Verb) -> Settled {
        let settled = verb::settle(held, verb).await;
        held.term.let_go(held);
        settled
    }

    /// Gives back what is on its way to us. The receiver asks for nothing any more.
    async fn hand_back(&self) {
        let mut session = self.shared.session.lock().await;
        if let Some(session) = session.as_mut().filter(|session| !session.term.lease.is_lost()) {
            session.hand_back(&self.shared).await;
        }
        *session = None;
    }
}

#[async_trait]
impl Contract<Key> for Ledger {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            ack: self.ack,
            attempts: match self.ack {
                AckStrength::None => Attempts::Unknown,
                _ => Attempts::Hint,
            },
            dead_letters: self.dead_letters.is_some(),
            longest_lease: None,
        }
    }

    fn skip(&self, key: Key) {
        if let Some(held) = key.0 {
            held.term.let_go(&held);
            self.shared.outbox.post(held, Verb::Ack);
        }
    }

    async fn ack(&self, key: &Key) -> Settled {
        match &key.0 {
            Some(held) => self.settle(held, Verb::Ack).await,
            None => Settled::Accepted,
        }
    }

    async fn dead_letter(
        &self,
        key: &Key,
        message: &Message,
        letter: &DeadLetter,
    ) -> Result<Settled, DeadLetterError> {
        let Some(dead_letters) = &self.dead_letters else {
            let what = "the subscription has no deadLetters subject: name one";
            return Err(DeadLetterError::Refused(what.into()));
        };
        if key.0.as_ref().is_some_and(|held| held.term.is_over()) {
            return Ok(Settled::Fenced);
        }
        dead_letters.write(message, letter, key.0.as_deref()).await?;
        match &key.0 {
            Some(held) => Ok(self.settle(held, Verb::Term).await),
            None => Ok(Settled::Accepted),
        }
    }

    fn release(&self, key: Key) {
        match key.0 {
            Some(held) => {
                held.term.let_go(&held);
                self.shared.outbox.post(held, Verb::Nak);
            }
            None => tracing::warn!("a message of core NATS was given back, and is lost"),
        }
    }

    async fn close(&self, by: Instant) -> Result<(), Error> {
        let hand_back = by.min(Instant::now() + HAND_BACK);
        if timeout_at(hand_back, self.hand_back()).await.is_err() {
            tracing::debug!("not all that was on its way was given back in time");
        }
        let context = self.shared.context.borrow().clone();
        let flushed = timeout_at(by, async {
            self.shared.outbox.is_empty().await;
            match context {
                Some(context) => context.client().flush().await.is_ok(),
                None => true,
            }
        });
        let flushed = flushed.await;
        self.shared.left.cancel();
        match flushed {
            Ok(true) => Ok(()),
            _ => Err(Error::Client {
                context: "NATS may not have the last acks of skipped messages; those come again"
                    .into(),
                source: "it did not answer in time".into(),
            }),
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.shared.left.cancel();
    }
}
