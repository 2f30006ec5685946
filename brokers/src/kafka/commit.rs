//! Commits: about once a second, explicit, only forward, and never for a partition that isn't ours.
//!
//! An explicit commit is not fenced by the client after a partition was given back, so giving back and committing
//! exclude each other here.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer as _},
    error::{KafkaError, KafkaResult},
};
use tokio::sync::Mutex;

use super::{
    assignments::{Assignments, Committable, Partition},
    context::Consumer,
};

/// How often what was completed is made durable.
const EVERY: Duration = Duration::from_secs(1);

/// How long the last commit rests between two tries.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Committer {
    topic: Arc<str>,
    assignments: Arc<Assignments>,
    /// Only the receiver keeps the consumer alive: when it is dropped the group is left, whoever still holds a delivery.
    consumer: Weak<Consumer>,
    one_at_a_time: Mutex<()>,
}

impl Committer {
    pub(super) fn new(
        topic: Arc<str>,
        assignments: Arc<Assignments>,
        consumer: &Arc<Consumer>,
    ) -> Self {
        let (consumer, one_at_a_time) = (Arc::downgrade(consumer), Mutex::default());
        Self { topic, assignments, consumer, one_at_a_time }
    }

    /// Commits now and then, until the consumer is gone.
    pub(super) async fn run(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if self.consumer.strong_count() == 0 {
                return;
            }
            if let Err(error) = self.commit().await {
                tracing::warn!(%error, "committing failed; it is tried again");
            }
        }
    }

    /// Commits what is complete.
    pub(super) async fn commit(&self) -> KafkaResult<()> {
        let _alone = self.one_at_a_time.lock().await;
        let offsets = self.assignments.take_committable();
        let sent = self.send(&offsets).await;
        if sent.is_err() {
            offsets.iter().for_each(|of| self.assignments.uncommitted(of.partition));
        }
        sent
    }

    /// Commits what is complete, trying again until it is done: a group in the middle of a rebalance refuses for a moment.
    pub(super) async fn commit_at_last(&self) {
        while let Err(error) = self.commit().await {
            tracing::debug!(%error, "the last commit failed; it is tried again");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Gives partitions back: nothing of them is settled from here on, and what was is committed first.
    pub(super) async fn give_back(&self, partitions: &[Partition]) {
        let _alone = self.one_at_a_time.lock().await;
        let offsets = self.assignments.end(partitions);
        if let Err(error) = self.send(&offsets).await {
            tracing::warn!(%error, ?partitions, "the last commit failed; its messages come again");
        }
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for &partition in partitions {
            list.add_partition(&self.topic, partition);
        }
        let given = self.blocking(move |consumer| consumer.incremental_unassign(&list)).await;
        if let Err(error) = given {
            tracing::debug!(%error, ?partitions, "giving partitions back failed");
        }
    }

    /// Sends offsets as they are, and waits for the broker's answer.
    async fn send(&self, offsets: &[Committable]) -> KafkaResult<()> {
        if offsets.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for &Committable { partition, offset } in offsets {
            list.add_partition_offset(&self.topic, partition, Offset::Offset(offset))?;
        }
        self.blocking(move |consumer| consumer.commit(&list, CommitMode::Sync)).await
    }

    /// Calls into the client where it may block.
    async fn blocking<F>(&self, call: F) -> KafkaResult<()>
    where
        F: FnOnce(&Consumer) -> KafkaResult<()> + Send + 'static,
    {
        let consumer = self.consumer.upgrade().ok_or(KafkaError::Canceled)?;
        tokio::task::spawn_blocking(move || call(&consumer))
            .await
            .map_err(|_| KafkaError::Canceled)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_could_not_be_sent_is_sent_again() {
        let assignments = Arc::<Assignments>::default();
        assignments.assign(&[0]);
        assignments.complete(assignments.receive(0, 0));
        let committer = Committer {
            topic: Arc::from("topic"),
            assignments: assignments.clone(),
            consumer: Weak::new(),
            one_at_a_time: Mutex::default(),
        };
        assert!(committer.commit().await.is_err(), "there is no client");
        assert_eq!(assignments.take_committable().len(), 1);
    }
}
