//! Where messages come from.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use google_cloud_pubsub::{model, subscriber::handler::Handler};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::{
    contract::{Demand, Error, Receiver as Contract},
    lease::Lease,
    message::{Attempt, Borrowed, Message, MessageId},
};

use super::{
    attributes,
    leases::Leases,
    store::{Arrival, Handful, Store},
};

/// Receives from a subscription. Dropping it hands back what nobody has taken.
pub struct Receiver {
    pub(super) store: Arc<Store>,
    /// What is out of the store already.
    pub(super) taken: Handful,
    pub(super) leases: Leases,
    pub(super) stream: Arc<str>,
    /// Whether Pub/Sub counts deliveries of this subscription.
    pub(super) counts: bool,
    pub(super) held: Arc<AtomicUsize>,
    pub(super) demand: Demand,
    pub(super) enough: CancellationToken,
    pub(super) left: CancellationToken,
}

/// What a message is settled by. It goes back to Pub/Sub when the last clone is dropped unsettled.
#[derive(Clone, Debug)]
pub struct Key(Arc<Slot>);

#[derive(Debug)]
struct Slot {
    handler: Mutex<Option<Handler>>,
    lease: Lease,
    held: Arc<AtomicUsize>,
}

impl Key {
    fn new(handler: Handler, lease: Lease, held: Arc<AtomicUsize>) -> Self {
        held.fetch_add(1, Ordering::AcqRel);
        Self(Arc::new(Slot { handler: Mutex::new(Some(handler)), lease, held }))
    }

    /// Whether the message can still be settled.
    pub(super) fn is_live(&self) -> bool {
        !self.0.lease.is_lost() && self.0.handler().is_some()
    }

    /// What it is settled with, once, and as long as the message is ours. Where it isn't any more, it is handed back.
    pub(super) fn take(&self) -> Option<Handler> {
        let handler = self.0.handler().take()?;
        (!self.0.lease.is_lost()).then_some(handler)
    }

    /// Hands the message back.
    pub(super) fn release(&self) {
        if let Some(handler) = self.0.handler().take() {
            handler.nack();
        }
    }
}

impl Slot {
    fn handler(&self) -> std::sync::MutexGuard<'_, Option<Handler>> {
        self.handler.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.held.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A message as the client has it.
pub struct Record {
    message: model::Message,
    stream: Arc<str>,
    attempt: Attempt,
}

impl Borrowed for Record {
    fn payload(&self) -> &[u8] {
        &self.message.data
    }

    fn detach(self) -> Message {
        let Self { message, stream, attempt } = self;
        owned(message, stream, attempt)
    }
}

/// A message of a subscription as the worker owns it.
pub(super) fn owned(message: model::Message, stream: Arc<str>, attempt: Attempt) -> Message {
    let published =
        message.publish_time.and_then(|time| Timestamp::new(time.seconds(), time.nanos()).ok());
    Message {
        id: MessageId::named(stream, &message.message_id),
        payload: message.data,
        key: (!message.ordering_key.is_empty()).then(|| Bytes::from(message.ordering_key)),
        headers: attributes::headers(message.attributes),
        published,
        attempt,
    }
}

impl Contract for Receiver {
    type Message<'a> = Record;
    type Key = Key;

    async fn next(&mut self) -> Result<(Record, Key, Lease), Error> {
        loop {
            if self.demand == Demand::Pause {
                return std::future::pending().await;
            }
            let Some(Arrival { at, message, handler }) = self.taken.next() else {
                self.store.take(&mut self.taken).await;
                continue;
            };
            let lease = self.leases.of(at);
            // It has waited here for too long; dropping the handler hands it back.
            if lease.is_closing() {
                continue;
            }
            let attempt = match handler.delivery_attempt() {
                Some(count) if self.counts => Attempt::Hint(u32::try_from(count).unwrap_or(1)),
                _ => Attempt::Unknown,
            };
            let key = Key::new(handler, lease.clone(), self.held.clone());
            return Ok((Record { message, stream: self.stream.clone(), attempt }, key, lease));
        }
    }

    fn demand(&mut self, demand: Demand) {
        self.demand = demand;
        // What waits for long is counted where others can see it.
        self.store.put_back(&mut self.taken);
    }

    fn drain(&mut self) {
        self.demand = Demand::Pause;
        self.store.put_back(&mut self.taken);
        self.enough.cancel();
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.left.cancel();
    }
}
