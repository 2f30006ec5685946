//! One event as the journal keeps it.

use std::{fmt, num::ParseIntError, str::FromStr, sync::Arc};

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
        Self(self.0.saturating_add(1))
    }

    pub(super) const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The number, from 1.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Sequence {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.parse().map(Self)
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
    /// The headers that it was redriven with; none for what came in by the intake.
    pub(super) redriven: Headers,
}

/// Names and values, in order.
pub(super) type Headers = Vec<(String, String)>;

impl Record {
    /// One that was never a dead letter.
    pub(super) fn new(sequence: Sequence, event: Event) -> Self {
        Self { sequence, event, redriven: Headers::new() }
    }

    pub(super) fn message(self, stream: Arc<str>, attempt: Attempt) -> Message {
        let mut headers = self.event.headers();
        headers.extend(self.redriven.into_iter().map(|(name, value)| (name, Bytes::from(value))));
        Message {
            id: MessageId::in_stream(stream, self.sequence.get()),
            headers,
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
