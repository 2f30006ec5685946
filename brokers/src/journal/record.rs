//! One event as the journal keeps it.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use crate::message::{Attempt, Borrowed, Message, MessageId};

/// The header under which the trace of the publishing request is kept.
const TRACEPARENT: &str = "traceparent";
/// The header under which the body's type is kept.
const CONTENT_TYPE: &str = "content-type";

/// An event's place in the journal. Given once, and never again, not even after a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(u64);

impl Sequence {
    pub(super) const fn new(number: u64) -> Self {
        Self(number)
    }

    pub(super) const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    pub(super) const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The number, from 1.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// An event on its way in, with what is kept of the request that brought it.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) received: Timestamp,
    pub(super) traceparent: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) payload: Bytes,
}

impl Event {
    /// What it counts for against the capacity.
    pub(super) fn size(&self) -> u64 {
        self.payload.len() as u64
    }

    pub(super) fn headers(&self) -> Vec<(String, Bytes)> {
        let header = |name: &str, value: &Option<String>| {
            value.as_ref().map(|value| (name.to_owned(), Bytes::from(value.clone())))
        };
        [header(CONTENT_TYPE, &self.content_type), header(TRACEPARENT, &self.traceparent)]
            .into_iter()
            .flatten()
            .collect()
    }
}

/// An event that has its place.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) sequence: Sequence,
    pub(super) event: Event,
}

impl Record {
    pub(super) fn message(self, stream: Arc<str>, attempt: Attempt) -> Message {
        Message {
            id: MessageId::in_stream(stream, self.sequence.get()),
            headers: self.event.headers(),
            published: Some(self.event.received),
            payload: self.event.payload,
            key: None,
            attempt,
        }
    }
}

/// An event lent to the pump: durable, and counted.
pub struct Lent {
    pub(super) record: Record,
    pub(super) attempt: u32,
    pub(super) stream: Arc<str>,
}

impl Borrowed for Lent {
    fn payload(&self) -> &[u8] {
        &self.record.event.payload
    }

    fn detach(self) -> Message {
        self.record.message(self.stream, Attempt::Exact(self.attempt))
    }
}
