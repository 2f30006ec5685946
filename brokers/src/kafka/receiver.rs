//! Where messages come from.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use jiff::Timestamp;
use rdkafka::{
    Message as _, Offset,
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
    assignments::{Assignments, Key},
    context::Consumer,
    note::Fingerprint,
    view::{Admission, View},
};

/// Receives topics as a member of a consumer group. Dropping it leaves the group, without a commit.
pub struct Receiver {
    consumer: Option<Arc<Consumer>>,
    view: View,
}

/// A record in the client's buffer.
pub struct Record<'a> {
    message: BorrowedMessage<'a>,
    view: &'a View,
    key: Key,
    /// How often work on it was begun before.
    begun: u32,
}

impl Borrowed for Record<'_> {
    /// A tombstone's missing payload is an empty one.
    fn payload(&self) -> &[u8] {
        self.message.payload().unwrap_or_default()
    }

    /// It is kept, so it is about to be worked on: the next commit says so.
    fn detach(self) -> Message {
        let message = &self.message;
        self.view.assignments().begin_work(self.key, self.begun, Fingerprint::of(message));
        let attempt = Attempt::Begun(self.begun.saturating_add(1));
        owned(message, self.view.topic(self.key), attempt)
    }
}

/// A record of `topic` as the worker owns it.
pub(super) fn owned(message: &BorrowedMessage<'_>, topic: Arc<str>, attempt: Attempt) -> Message {
    let offset = u64::try_from(message.offset()).unwrap_or_default();
    let published = message.timestamp().to_millis();
    Message {
        id: MessageId::in_partition(topic, message.partition(), offset),
        payload: Bytes::copy_from_slice(message.payload().unwrap_or_default()),
        key: message.key().map(Bytes::copy_from_slice),
        headers: headers(message),
        published: published.and_then(|ms| Timestamp::from_millisecond(ms).ok()),
        attempt,
    }
}

/// The headers; a null value becomes an empty one.
pub(super) fn headers(message: &BorrowedMessage<'_>) -> Vec<(String, Bytes)> {
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

impl Receiver {
    pub(super) fn new(consumer: Arc<Consumer>, assignments: Arc<Assignments>) -> Self {
        Self { consumer: Some(consumer), view: View::of(assignments) }
    }
}

/// Receives a partition from elsewhere on. What was prefetched is thrown away before this returns; the rest needn't be
/// waited for.
fn seek(consumer: &Consumer, topic: &str, partition: i32, to: i64) -> Result<(), Error> {
    let sought = consumer.seek(topic, partition, Offset::Offset(to), Duration::ZERO);
    // Going on from here could commit over what was in flight; a new receiver starts where the group stands.
    sought.map_err(|e| Error::client(format!("seeking to offset {to} of {topic}/{partition}"), e))
}

impl Contract for Receiver {
    type Message<'a> = Record<'a>;
    type Key = Key;

    async fn next(&mut self) -> Result<(Record<'_>, Key, Lease), Error> {
        let Some(consumer) = &self.consumer else { return std::future::pending().await };
        loop {
            match consumer.recv().await {
                Ok(message) => match self.view.admit(&message) {
                    Admission::Ours { key, lease, begun } => {
                        let record = Record { message, view: &self.view, key, begun };
                        return Ok((record, key, lease));
                    }
                    Admission::PassedOver => {}
                    Admission::Seek(to) => {
                        seek(consumer, message.topic(), message.partition(), to)?;
                    }
                },
                Err(error) => survive(error)?,
            }
        }
    }

    fn demand(&mut self, demand: Demand) {
        if let Some(consumer) = &self.consumer {
            consumer.context().set_demand(consumer, demand);
        }
    }
}

/// Waits out what the client gets over by itself; what that is was said by its callback.
fn survive(error: KafkaError) -> Result<(), Error> {
    if let KafkaError::MessageConsumptionFatal(_) = error {
        return Err(Error::client("Kafka's client has given up", error));
    }
    tracing::debug!(%error, "receiving failed; the client goes on");
    Ok(())
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
