//! Where messages are settled.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use google_cloud_gax::error::rpc::StatusDetails;
use google_cloud_pubsub::{error::AckError, subscriber::handler::Handler};
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    contract::{AckStrength, Attempts, Capabilities, Error, Health, Ledger as Contract, Settled},
    dead_letter::{DeadLetter, DeadLetterError},
    message::Message,
};

use super::{
    burial::Cemetery, config::Limits, health::Monitor, lag::Lag, pull::Streams, receiver::Key,
    store::Store, subscription::Traits,
};

/// How long an ack may take to be confirmed. The client goes on trying for longer.
const CONFIRM: Duration = Duration::from_secs(30);

/// Settles messages of a subscription.
pub struct Ledger {
    pub(super) traits: Traits,
    pub(super) limits: Limits,
    pub(super) dead_letters: Option<Cemetery>,
    pub(super) monitor: Arc<Monitor>,
    pub(super) streams: Arc<Streams>,
    pub(super) store: Arc<Store>,
    pub(super) held: Arc<AtomicUsize>,
    pub(super) left: CancellationToken,
}

impl Ledger {
    /// Whether Pub/Sub answers, and the subscription can be read.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.monitor.watch()
    }

    /// How far this worker is behind, as far as a worker can know.
    pub fn lag(&self) -> Lag {
        Lag { waiting: self.store.len() as u64 }
    }
}

#[async_trait]
impl Contract<Key> for Ledger {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            ack: if self.traits.exactly_once {
                AckStrength::Durable
            } else {
                AckStrength::Accepted
            },
            attempts: if self.traits.counts { Attempts::Hint } else { Attempts::Unknown },
            dead_letters: self.dead_letters.is_some(),
            longest_lease: Some(self.limits.lease),
        }
    }

    #[inline]
    fn skip(&self, key: Key) {
        if let Some(handler) = key.take() {
            handler.ack();
        }
    }

    async fn ack(&self, key: &Key) -> Settled {
        match key.take() {
            None => Settled::Fenced,
            Some(Handler::ExactlyOnce(handler)) => {
                match timeout(CONFIRM, handler.confirmed_ack()).await {
                    Ok(confirmed) => settled(confirmed),
                    Err(late) => Settled::Unknown(format!("Pub/Sub has not confirmed: {late}")),
                }
            }
            Some(handler) => {
                handler.ack();
                Settled::Accepted
            }
        }
    }

    async fn dead_letter(
        &self,
        key: &Key,
        message: &Message,
        letter: &DeadLetter,
    ) -> Result<Settled, DeadLetterError> {
        let Some(dead_letters) = &self.dead_letters else {
            let what = "the subscription has no deadLetters topic: name one";
            return Err(DeadLetterError::Refused(what.into()));
        };
        if !key.is_live() {
            return Ok(Settled::Fenced);
        }
        dead_letters.bury(message, letter).await?;
        Ok(self.ack(key).await)
    }

    fn release(&self, key: Key) {
        key.release();
    }

    /// Sends the last acks. What is still held after that is lost to its handlers, and goes back as they drop it.
    async fn close(&self, by: Instant) -> Result<(), Error> {
        self.left.cancel();
        match timeout_at(by, self.streams.end()).await {
            Ok(()) => Ok(()),
            // The streams wait for whoever outlives the drain, and have sent the rest meanwhile.
            Err(_) if self.held.load(Ordering::Acquire) > 0 => Ok(()),
            Err(late) => Err(Error::client(
                "Pub/Sub has not taken the last acks; their messages come again",
                late,
            )),
        }
    }
}

/// What a confirmation says.
fn settled(confirmed: Result<(), AckError>) -> Settled {
    match confirmed {
        Ok(()) => Settled::Durable,
        Err(AckError::LeaseExpired | AckError::ShutdownBeforeAck) => Settled::Fenced,
        Err(AckError::Rpc { source, .. }) if is_expired(&source) => Settled::Fenced,
        Err(unknown) => Settled::Unknown(unknown.to_string()),
    }
}

/// Whether Pub/Sub says of the message acknowledged that its lease is over. Of a batch the client gives an error that
/// names some only to those: <https://cloud.google.com/pubsub/docs/exactly-once-delivery>
fn is_expired(error: &google_cloud_gax::error::Error) -> bool {
    let details = error.status().map(|status| status.details.as_slice()).unwrap_or_default();
    details.iter().any(|detail| match detail {
        StatusDetails::ErrorInfo(info) => {
            info.metadata.values().any(|what| what == "PERMANENT_FAILURE_INVALID_ACK_ID")
        }
        _ => false,
    })
}
