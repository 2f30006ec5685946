//! Settles the journal's events: every answer is durable.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::Instant;

use super::{
    Keeper,
    batch::{Answer, Ended},
    receiver::Key,
    store::BurialOutcome,
};
use crate::{
    contract::{AckStrength, Attempts, Capabilities, Error, Ledger as Contract, Settled},
    dead_letter::{DeadLetter, DeadLetterError},
    message::Message,
};

const NO_ROOM: &str = "the journal holds as many dead letters as its `capacity` allows: raise it";

/// The journal's settling side.
#[derive(Debug)]
pub struct Ledger {
    pub(super) keeper: Arc<Keeper>,
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
        self.keeper.shared.inbox.skip(key.sequence, key.attempt);
    }

    async fn ack(&self, key: &Key) -> Settled {
        let asked = self.keeper.shared.inbox.ack(key.sequence, key.attempt);
        match wait(asked).await {
            Ok(true) => Settled::Durable,
            Ok(false) | Err(Ended::Closed) => Settled::Fenced,
            Err(Ended::Failed(why)) => Settled::Unknown(why),
        }
    }

    async fn dead_letter(
        &self,
        key: &Key,
        _: &Message,
        letter: &DeadLetter,
    ) -> Result<Settled, DeadLetterError> {
        let letter = serde_json::to_vec(letter).map_err(|e| DeadLetterError::Refused(e.into()))?;
        let asked = self.keeper.shared.inbox.bury(key.sequence, key.attempt, letter);
        match wait(asked).await {
            Ok(BurialOutcome::Buried) => Ok(Settled::Durable),
            Ok(BurialOutcome::NotThere) | Err(Ended::Closed) => Ok(Settled::Fenced),
            Ok(BurialOutcome::NoRoom) => Err(DeadLetterError::Unavailable(NO_ROOM.into())),
            Err(failed) => Err(DeadLetterError::Unavailable(failed.into())),
        }
    }

    fn release(&self, key: Key) {
        let shared = &self.keeper.shared;
        shared.shelf().give_back(key.sequence);
        shared.ready.notify_one();
    }

    /// Makes durable what was settled, and lets go of the file.
    async fn close(&self, by: Instant) -> Result<(), Error> {
        let shared = &self.keeper.shared;
        shared.inbox.end(Ended::Closed);
        if tokio::time::timeout_at(by, shared.gone.cancelled()).await.is_err() {
            return Err(Error::client("closing the journal", "the disk has not answered in time"));
        }
        match shared.inbox.ended() {
            Some(Ended::Failed(why)) => Err(Error::client("the journal has stopped", why)),
            Some(Ended::Closed) | None => Ok(()),
        }
    }
}

/// Waits until the writer has answered.
pub(super) async fn wait<T>(asked: Result<Answer<T>, Ended>) -> Result<T, Ended> {
    match asked?.await {
        Ok(answer) => answer,
        Err(_) => Err(Ended::Failed("the journal's writer is gone".to_owned())),
    }
}
