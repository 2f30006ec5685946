//! Commits: about once a second, explicit, only forward, and never for a partition that isn't ours.
//!
//! An explicit commit is not fenced by the client after a partition was given back, so giving back and committing
//! exclude each other here.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer as _},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};
use tokio::sync::Mutex;

use super::{
    assignments::{Assignments, Committable, Key, Place},
    context::{Consumer, list},
    note::{Commit, encode},
};

/// How often what was completed is made durable.
const EVERY: Duration = Duration::from_secs(1);

/// How long a commit that has to be rests between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// How much a note may take: the brokers' usual limit (`offset.metadata.max.bytes`) is 4096 bytes.
const ROOM: usize = 4000;

/// How much the brokers let a note take.
#[derive(Debug)]
pub(super) struct Room(AtomicUsize);

impl Default for Room {
    fn default() -> Self {
        Self(AtomicUsize::new(ROOM))
    }
}

impl Room {
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Notes say half as much, or nothing in the end, if it was one that was too large.
    pub(super) fn learn_from(&self, error: &KafkaError) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::OffsetMetadataTooLarge) {
            return;
        }
        let narrower = self.get() / 2;
        self.0.store(narrower, Ordering::Relaxed);
        tracing::warn!(
            bytes = narrower,
            "the Kafka broker takes less beside a commit than usual, so that a crash may run more again: \
             its offset.metadata.max.bytes should be 4096"
        );
    }
}

pub(super) struct Committer {
    assignments: Arc<Assignments>,
    room: Arc<Room>,
    /// Only the receiver keeps the consumer alive: when it is dropped the group is left, whoever still holds a delivery.
    consumer: Weak<Consumer>,
    turn: Mutex<Turn>,
}

/// Who has it commits.
#[derive(Debug, Default)]
struct Turn {
    /// The last commit was made.
    over: bool,
}

impl Committer {
    pub(super) fn new(
        assignments: Arc<Assignments>,
        room: Arc<Room>,
        consumer: &Arc<Consumer>,
    ) -> Self {
        Self { assignments, room, consumer: Arc::downgrade(consumer), turn: Mutex::default() }
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

    /// Commits what has changed.
    pub(super) async fn commit(&self) -> KafkaResult<()> {
        let turn = self.turn.lock().await;
        if turn.over {
            return Ok(());
        }
        let offsets = self.assignments.take_committable();
        let sent = self.send(&offsets).await;
        if sent.is_err() {
            offsets.iter().for_each(|of| self.assignments.uncommitted(of.place));
        }
        sent
    }

    /// Commits until it is durable that work on a message is begun, or its assignment is over. Whoever waits for his turn
    /// meanwhile finds it done.
    pub(super) async fn commit_begun(&self, key: Key) {
        while let Err(error) = self.commit().await {
            tracing::debug!(%error, "what may have broken a worker is not begun before that is committed");
            if !self.assignments.is_live(key) {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Commits for the last time, trying again until it is done: a group in the middle of a rebalance refuses for a moment.
    pub(super) async fn commit_at_last(&self) {
        loop {
            let mut turn = self.turn.lock().await;
            match self.send(&self.assignments.last_committable()).await {
                Ok(()) => return turn.over = true,
                Err(error) => {
                    tracing::debug!(%error, "the last commit failed; it is tried again");
                }
            }
            drop(turn);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Gives partitions back: nothing of them is settled from here on, and what was is committed first.
    pub(super) async fn give_back(&self, places: &[Place]) {
        let turn = self.turn.lock().await;
        let offsets = self.assignments.end(places);
        let names = self.assignments.names(places);
        if !turn.over
            && let Err(error) = self.send(&offsets).await
        {
            tracing::warn!(%error, ?names, "the last commit failed; its messages come again");
        }
        let list = list(&names);
        let given = self.blocking(move |consumer| consumer.incremental_unassign(&list)).await;
        if let Err(error) = given {
            tracing::debug!(%error, ?names, "giving partitions back failed");
        }
    }

    /// Sends offsets with what is to be said beside them, and waits for the broker's answer.
    async fn send(&self, offsets: &[Committable]) -> KafkaResult<()> {
        if offsets.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for Committable { place, offset, note } in offsets {
            let Some(name) = self.assignments.name(*place) else { continue };
            let (topic, partition) = (&*name.topic, name.partition);
            let commit = Commit { topic, partition, offset: *offset };
            let text = encode(note, commit, self.room.get());
            let mut element = list.add_partition(topic, partition);
            element.set_offset(Offset::Offset(*offset))?;
            // Once at most: the client library leaks what was set before.
            if !text.is_empty() {
                element.set_metadata(text);
            }
        }
        let sent = self.blocking(move |consumer| consumer.commit(&list, CommitMode::Sync)).await;
        sent.inspect_err(|error| self.room.learn_from(error))
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
        assignments.assign_known(&[0]);
        assignments.complete(assignments.receive(0, 0));
        let committer = Committer {
            assignments: assignments.clone(),
            room: Arc::default(),
            consumer: Weak::new(),
            turn: Mutex::default(),
        };
        assert!(committer.commit().await.is_err(), "there is no client");
        assert_eq!(assignments.take_committable().len(), 1);
    }

    #[test]
    fn a_broker_that_takes_no_notes_is_sent_none_in_the_end() {
        let room = Room::default();
        let other = KafkaError::ConsumerCommit(RDKafkaErrorCode::RebalanceInProgress);
        room.learn_from(&other);
        assert_eq!(room.get(), ROOM);
        let refused = KafkaError::ConsumerCommit(RDKafkaErrorCode::OffsetMetadataTooLarge);
        (0..20).for_each(|_| room.learn_from(&refused));
        assert_eq!(room.get(), 0);
    }
}
