//! What a broker carries: a message as the client lends it, and as the worker owns it.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use jiff::Timestamp;

/// A message still in the client's buffer: looked at by the filter, copied only when it is kept.
pub trait Borrowed {
    /// The body, as the publisher sent it.
    fn payload(&self) -> &[u8];
    /// Copies the message out of the client's buffer.
    fn detach(self) -> Message;
}

/// A message that the worker owns.
#[derive(Clone, Debug)]
pub struct Message {
    /// Where the broker keeps it; the same at every redelivery.
    pub id: MessageId,
    /// The body, byte for byte.
    pub payload: Bytes,
    /// The record's key, where the broker knows keys.
    pub key: Option<Bytes>,
    /// Headers or attributes, in the publisher's order; a name can repeat.
    pub headers: Vec<(String, Bytes)>,
    /// When the broker or the publisher stamped it.
    pub published: Option<Timestamp>,
    /// Which delivery the broker takes this to be.
    pub attempt: Attempt,
}

/// How often the broker has delivered a message, and how far that count can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Counted durably by the broker; the first delivery is 1.
    Exact(u32),
    /// How often a worker has begun to work on it: those before this one broke off, for what is handed back in order is not
    /// counted. Some failures of the broker forget it.
    Begun(u32),
    /// How often the broker has delivered it, whatever for: handed back unlooked at, say. Forgotten or doubled by some of
    /// its failures.
    Hint(u32),
    /// The broker keeps no count.
    Unknown,
}

impl Attempt {
    /// How often work on the message was begun before, as far as is known. A count of mere deliveries says nothing of it:
    /// a message that waited through many of them must not be taken for one that breaks workers.
    pub fn earlier(self) -> u32 {
        match self {
            Self::Exact(count) | Self::Begun(count) => count.saturating_sub(1),
            Self::Hint(_) | Self::Unknown => 0,
        }
    }
}

/// A message's place on its broker: stable across redelivery, and so fit for deduplication and dead letters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId {
    stream: Arc<str>,
    partition: Option<i32>,
    sequence: u64,
    name: Option<Arc<str>>,
}

impl MessageId {
    /// A record of a partitioned log: Kafka's topic, partition and offset.
    pub fn in_partition(topic: Arc<str>, partition: i32, offset: u64) -> Self {
        Self { stream: topic, partition: Some(partition), sequence: offset, name: None }
    }

    /// A message of a stream with one sequence.
    pub fn in_stream(stream: Arc<str>, sequence: u64) -> Self {
        Self { stream, partition: None, sequence, name: None }
    }

    /// A message of a broker that names its messages and gives them no order: Pub/Sub's subscription and message id.
    pub fn named(stream: Arc<str>, name: &str) -> Self {
        Self { stream, partition: None, sequence: 0, name: Some(Arc::from(name)) }
    }

    /// The topic or stream.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// The partition, where the stream has any.
    pub fn partition(&self) -> Option<i32> {
        self.partition
    }

    /// The name, where the broker names its messages.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The offset in the partition, or the sequence in the stream; 0 of a message that has a [name](Self::name) instead.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.partition, &self.name) {
            (_, Some(name)) => write!(f, "{}/{name}", self.stream),
            (Some(partition), None) => write!(f, "{}/{partition}/{}", self.stream, self.sequence),
            (None, None) => write!(f, "{}/{}", self.stream, self.sequence),
        }
    }
}
