//! Where messages are settled.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use async_trait::async_trait;
use rdkafka::consumer::Consumer as _;
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
    assignments::{Assignments, Key},
    commit::Committer,
    context::Consumer,
    dead_letters::DeadLetters,
    health::Monitor,
    lag::{Lag, PartitionLag},
};

/// Settles messages of topics: each is complete or not, and the complete beginning of each partition is committed.
pub struct Ledger {
    pub(super) assignments: Arc<Assignments>,
    pub(super) committer: Arc<Committer>,
    pub(super) consumer: Weak<Consumer>,
    pub(super) dead_letters: Option<DeadLetters>,
    pub(super) monitor: Arc<Monitor>,
}

impl Ledger {
    /// Whether the brokers answer, and the topic can be read.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.monitor.watch()
    }

    /// How far this worker's partitions are behind, as of some seconds ago.
    pub fn lag(&self) -> Lag {
        Lag::of(&self.assignments.marks())
    }

    /// The same of each of this worker's partitions of which it is known, by topic and number.
    pub fn lag_by_partition(&self) -> Vec<PartitionLag> {
        let marks = self.assignments.named_marks().into_iter();
        let mut lags: Vec<_> = marks
            .map(|(name, marks)| PartitionLag {
                topic: name.topic,
                partition: name.partition,
                lag: Lag::of(&[marks]),
            })
            .collect();
        lags.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        lags
    }

    /// Gives everything back and leaves the group, so that others needn't wait for this worker to be missed.
    async fn leave(&self) {
        let Some(consumer) = self.consumer.upgrade() else { return };
        consumer.context().leaving.store(true, Ordering::Release);
        consumer.unsubscribe();
        // Nobody else polls any more, and what unsubscribing calls back is called from a poll.
        while consumer.assignment().is_ok_and(|assigned| assigned.count() > 0) {
            let pause = Duration::from_millis(20);
            drop(tokio::time::timeout(pause, consumer.recv()).await);
        }
    }
}

#[async_trait]
impl Contract<Key> for Ledger {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            ack: AckStrength::Accepted,
            attempts: Attempts::Hint,
            dead_letters: self.dead_letters.is_some(),
            longest_lease: None,
        }
    }

    #[inline]
    fn skip(&self, key: Key) {
        self.assignments.complete(key);
    }

    async fn ack(&self, key: &Key) -> Settled {
        if self.assignments.complete(*key) { Settled::Accepted } else { Settled::Fenced }
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
        if !self.assignments.is_live(*key) {
            return Ok(Settled::Fenced);
        }
        dead_letters.write(message, letter).await?;
        Ok(self.ack(key).await)
    }

    async fn begin(&self, key: &Key) {
        self.committer.commit_begun(*key).await;
    }

    fn release(&self, key: Key) {
        self.assignments.release(key);
    }

    async fn close(&self, by: Instant) -> Result<(), Error> {
        let committed = timeout_at(by, self.committer.commit_at_last()).await;
        if timeout_at(by, self.leave()).await.is_err() {
            tracing::debug!("the group was not left in time");
        }
        committed.map_err(|late| {
            Error::client("Kafka has not taken the last commit; its messages come again", late)
        })
    }
}
