//! Where messages come from.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use jiff::Timestamp;
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::Consumer as _,
    error::KafkaError,
    message::{BorrowedMessage, Headers as _},
};

use crate::{
    contract::{Demand, Error, Receiver as Contract},
    lease::Lease,
    message::{Attempt, Borrowed, Message, MessageId},
};

use super::{
    assignments::{Assignments, Held, Key, Partition},
    context::Consumer,
    health::Outage,
    tracker::Span,
};

/// Receives a topic as a member of a consumer group. Dropping it leaves the group, without a commit.
pub struct Receiver {
    consumer: Option<Arc<Consumer>>,
    topic: Arc<str>,
    view: View,
}

/// The receiver's own copy of what is assigned, so that a message costs no lock.
struct View {
    assignments: Arc<Assignments>,
    version: u64,
    held: Vec<Option<Held>>,
}

/// What to do with a message received.
enum Admission {
    /// To be handed on.
    Ours(Key, Lease),
    /// Its partition isn't ours any more.
    NotOurs,
    /// To be received again, after all that comes from this offset on.
    SeekBack(i64),
}

/// A record in the client's buffer.
pub struct Record<'a> {
    pub(super) message: BorrowedMessage<'a>,
    pub(super) topic: &'a Arc<str>,
}

impl Borrowed for Record<'_> {
    /// A tombstone's missing payload is an empty one.
    fn payload(&self) -> &[u8] {
        self.message.payload().unwrap_or_default()
    }

    fn detach(self) -> Message {
        let message = &self.message;
        let offset = u64::try_from(message.offset()).unwrap_or_default();
        let published = message.timestamp().to_millis();
        Message {
            id: MessageId::in_partition(self.topic.clone(), message.partition(), offset),
            payload: Bytes::copy_from_slice(self.payload()),
            key: message.key().map(Bytes::copy_from_slice),
            headers: headers(message),
            published: published.and_then(|ms| Timestamp::from_millisecond(ms).ok()),
            attempt: Attempt::Unknown,
        }
    }
}

/// The headers; a null value becomes an empty one.
fn headers(message: &BorrowedMessage<'_>) -> Vec<(String, Bytes)> {
    let Some(headers) = message.headers() else { return Vec::new() };
    let owned = (0..headers.count()).map(|n| {
        // The client library panics on a name that isn't UTF-8, which any publisher can send.
        let header = std::panic::catch_unwind(|| {
            let header = headers.get(n);
            let value = header.value.map_or_else(Bytes::new, Bytes::copy_from_slice);
            (header.key.to_owned(), value)
        });
        header.unwrap_or_else(|_| (UNREADABLE.to_owned(), Bytes::new()))
    });
    owned.collect()
}

/// Stands for a header whose name isn't text.
const UNREADABLE: &str = "stoop-unreadable-header";

impl View {
    /// Takes note of a message received.
    #[inline]
    fn admit(&mut self, partition: Partition, offset: i64) -> Admission {
        if self.version != self.assignments.version() {
            self.renew();
        }
        let Some(held) = self.held(partition) else { return Admission::NotOurs };
        match held.receive(offset) {
            Some(span) => held.admission(partition, span),
            None => self.begin_anew(partition, offset),
        }
    }

    fn held(&self, partition: Partition) -> Option<&Held> {
        self.held.get(usize::try_from(partition).ok()?)?.as_ref()
    }

    #[cold]
    fn renew(&mut self) {
        self.version = self.assignments.version();
        self.held = self.assignments.held();
    }

    #[cold]
    fn begin_anew(&mut self, partition: Partition, offset: i64) -> Admission {
        tracing::warn!(partition, offset, "the log went back; what was in flight comes again");
        let from = self.assignments.begin_anew(partition, offset);
        self.renew();
        if let Some(from) = from {
            return Admission::SeekBack(from);
        }
        let Some(held) = self.held(partition) else { return Admission::NotOurs };
        held.receive(offset).map_or(Admission::NotOurs, |span| held.admission(partition, span))
    }
}

impl Held {
    #[inline]
    fn admission(&self, partition: Partition, span: Span) -> Admission {
        Admission::Ours(Key { partition, epoch: self.epoch, span }, self.lease.clone())
    }
}

impl Receiver {
    pub(super) fn new(
        consumer: Arc<Consumer>,
        topic: Arc<str>,
        assignments: Arc<Assignments>,
    ) -> Self {
        let view = View { assignments, version: 0, held: Vec::new() };
        Self { consumer: Some(consumer), topic, view }
    }

    fn open_partitions(&self) -> TopicPartitionList {
        let open = self.view.assignments.open();
        let mut list = TopicPartitionList::with_capacity(open.len());
        for partition in open {
            list.add_partition(&self.topic, partition);
        }
        list
    }
}

/// Receives a partition from elsewhere on. What was prefetched is thrown away before this returns; the rest needn't be
/// waited for.
fn seek(consumer: &Consumer, topic: &str, partition: Partition, from: i64) -> Result<(), Error> {
    let sought = consumer.seek(topic, partition, Offset::Offset(from), Duration::ZERO);
    // Going on from here would commit over what was in flight; a new receiver starts where the group stands.
    sought.map_err(|e| Error::client(format!("seeking back to offset {from} of a log cut off"), e))
}

impl Contract for Receiver {
    type Message<'a> = Record<'a>;
    type Key = Key;

    async fn next(&mut self) -> Result<(Record<'_>, Key, Lease), Error> {
        let Some(consumer) = &self.consumer else { return std::future::pending().await };
        loop {
            match consumer.recv().await {
                Ok(message) => {
                    let partition = message.partition();
                    match self.view.admit(partition, message.offset()) {
                        Admission::Ours(key, lease) => {
                            return Ok((Record { message, topic: &self.topic }, key, lease));
                        }
                        Admission::NotOurs => {}
                        Admission::SeekBack(from) => seek(consumer, &self.topic, partition, from)?,
                    }
                }
                Err(error) => consumer.context().survive(error)?,
            }
        }
    }

    fn demand(&mut self, demand: Demand) {
        let Some(consumer) = &self.consumer else { return };
        let pause = demand == Demand::Pause;
        consumer.context().paused.store(pause, Ordering::Release);
        let open = self.open_partitions();
        let done = if pause { consumer.pause(&open) } else { consumer.resume(&open) };
        if let Err(error) = done {
            tracing::warn!(%error, ?demand, "telling Kafka's client so failed");
        }
    }
}

impl super::context::Context {
    /// Waits out what the client gets over by itself.
    fn survive(&self, error: KafkaError) -> Result<(), Error> {
        if let KafkaError::MessageConsumptionFatal(_) = error {
            return Err(Error::client("Kafka's client has given up", error));
        }
        match Outage::of(&error, &self.topic) {
            Some(outage) => self.monitor.away(outage),
            None => tracing::debug!(%error, "receiving failed; the client goes on"),
        }
        Ok(())
    }
}

impl Drop for Receiver {
    /// Leaving the group waits for the broker's answer: not on a thread that others need.
    fn drop(&mut self) {
        let Some(consumer) = self.consumer.take() else { return };
        consumer.context().leaving.store(true, Ordering::Release);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(move || drop(consumer));
        }
    }
}
