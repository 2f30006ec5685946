//! The tables of the journal's file, and what stands in them.

use bytes::Bytes;
use jiff::Timestamp;
use redb::{ReadableTable, TableDefinition};
use serde::de::DeserializeOwned;

use crate::journal::record::{Event, Headers};

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
/// The headers that an event was redriven with, as JSON. In a table of its own, so that a file from before it is read as it
/// stands, and one from after it by who knows nothing of it.
pub(super) const HEADERS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("redriven");
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

/// The headers that an event was redriven with, out of their table.
pub(super) fn headers(
    table: &impl ReadableTable<u64, &'static [u8]>,
    sequence: u64,
    doing: &'static str,
) -> Result<Headers, Fault> {
    let Some(stored) = table.get(sequence).map_err(fault(doing))? else {
        return Ok(Headers::new());
    };
    json(stored.value(), doing)
}

/// What stands in the file as JSON.
pub(super) fn json<T: DeserializeOwned>(text: &[u8], doing: &'static str) -> Result<T, Fault> {
    serde_json::from_slice(text)
        .map_err(|e| redb::StorageError::Corrupted(e.to_string()))
        .map_err(fault(doing))
}

/// When the first unsettled event was received.
pub(super) fn oldest(events: &impl ReadableTable<u64, Stored>) -> Result<Option<Timestamp>, Fault> {
    let first = events.first().map_err(fault("reading"))?;
    Ok(first.and_then(|(_, value)| Timestamp::from_microsecond(value.value().0).ok()))
}
