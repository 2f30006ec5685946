//! The tables of the journal's file, and what stands in them.

use bytes::Bytes;
use jiff::Timestamp;
use redb::{ReadableTable, TableDefinition};

use crate::journal::record::Event;

/// Received (microseconds), content type, traceparent, payload.
pub(super) type Stored = (i64, Option<&'static str>, Option<&'static str>, &'static [u8]);
/// The same, and the [`DeadLetter`] as JSON.
pub(super) type StoredDead =
    (i64, Option<&'static str>, Option<&'static str>, &'static [u8], &'static [u8]);

/// What is not settled yet.
pub(super) const EVENTS: TableDefinition<'_, u64, Stored> = TableDefinition::new("events");
/// What was given up.
pub(super) const DEAD: TableDefinition<'_, u64, StoredDead> = TableDefinition::new("dead letters");
/// How often an event was lent, where that is more than once.
pub(super) const LENDS: TableDefinition<'_, u64, u32> = TableDefinition::new("lends");
/// Single numbers.
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// Tells one journal's sequences from another's, and from those of one that was here before.
pub(super) const ID: &str = "id";
/// Everything up to here has been lent at least once.
pub(super) const MARK: &str = "mark";
/// Bytes of payload in [`EVENTS`].
pub(super) const EVENT_BYTES: &str = "event bytes";
/// Bytes of payload in [`DEAD`].
pub(super) const DEAD_BYTES: &str = "dead letter bytes";

/// The file can't be read or written any more. What was not confirmed may or may not be there.
#[derive(Debug, thiserror::Error)]
#[error("the journal's file failed while {doing}")]
pub(in crate::journal) struct Fault {
    doing: &'static str,
    #[source]
    source: Box<redb::Error>,
}

/// What was being done when redb failed.
pub(super) fn fault<E: Into<redb::Error>>(doing: &'static str) -> impl FnOnce(E) -> Fault {
    move |source| Fault { doing, source: Box::new(source.into()) }
}

/// An event out of its table.
pub(super) fn event(
    received: i64,
    content_type: Option<&str>,
    traceparent: Option<&str>,
    payload: &[u8],
) -> Event {
    Event {
        received: Timestamp::from_microsecond(received).unwrap_or_default(),
        content_type: content_type.map(str::to_owned),
        traceparent: traceparent.map(str::to_owned),
        payload: Bytes::copy_from_slice(payload),
    }
}

/// When the first unsettled event was received.
pub(super) fn oldest(events: &impl ReadableTable<u64, Stored>) -> Result<Option<Timestamp>, Fault> {
    let first = events.first().map_err(fault("reading"))?;
    Ok(first.and_then(|(_, value)| Timestamp::from_microsecond(value.value().0).ok()))
}
