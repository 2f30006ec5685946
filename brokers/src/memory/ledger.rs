//! Where a worker settles.

use async_trait::async_trait;
use tokio::time::Instant;

use crate::{
    contract::{AckStrength, Attempts, Capabilities, Error, Ledger as Contract, Settled},
    dead_letter::{DeadLetter, DeadLetterError},
    message::Message,
};

use super::{
    broker::{Buried, Memory},
    receiver::Key,
};

/// Settles what a [`Memory`] delivered.
pub struct Ledger {
    broker: Memory,
}

impl Ledger {
    pub(super) fn new(broker: Memory) -> Self {
        Self { broker }
    }
}

#[async_trait]
impl Contract<Key> for Ledger {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            ack: AckStrength::Durable,
            attempts: Attempts::Exact,
            dead_letters: true,
            longest_lease: None,
        }
    }

    fn skip(&self, key: Key) {
        self.broker.inner.state().settle(key.sequence, key.hold);
    }

    async fn ack(&self, key: &Key) -> Settled {
        match self.broker.inner.state().settle(key.sequence, key.hold) {
            Some(_) => Settled::Durable,
            None => Settled::Fenced,
        }
    }

    async fn dead_letter(
        &self,
        key: &Key,
        message: &Message,
        letter: &DeadLetter,
    ) -> Result<Settled, DeadLetterError> {
        let mut state = self.broker.inner.state();
        if state.dead_letters_down {
            return Err(DeadLetterError::Unavailable("the dead letters are down".into()));
        }
        if !state.is_held(key.sequence, key.hold) {
            return Ok(Settled::Fenced);
        }
        let (payload, key_bytes) = (message.payload.clone(), message.key.clone());
        state.buried.push(Buried { payload, key: key_bytes, headers: letter.headers(message) });
        state.settle(key.sequence, key.hold);
        Ok(Settled::Durable)
    }

    fn release(&self, key: Key) {
        self.broker.inner.state().release(key.sequence, key.hold);
        self.broker.inner.ready.notify_waiters();
    }

    async fn close(&self, _by: Instant) -> Result<(), Error> {
        Ok(())
    }
}
