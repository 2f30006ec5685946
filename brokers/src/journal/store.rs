//! The journal's file: which tables there are, and what one transaction may do to them.
//!
//! The only file that names redb. Whoever holds the [`Store`] is the only writer; nothing is durable before
//! [`Transaction::commit`] has returned, and after an error the store is of no more use.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use jiff::Timestamp;
use redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    TableDefinition, WriteTransaction,
};

use super::record::{Event, Record, Sequence};
use crate::{contract::Error, dead_letter::DeadLetter};

/// Received (microseconds), content type, traceparent, payload.
type Stored = (i64, Option<&'static str>, Option<&'static str>, &'static [u8]);
/// The same, and the [`DeadLetter`] as JSON.
type Buried = (i64, Option<&'static str>, Option<&'static str>, &'static [u8], &'static [u8]);

/// What is not settled yet.
const EVENTS: TableDefinition<'_, u64, Stored> = TableDefinition::new("events");
/// What was given up.
const DEAD: TableDefinition<'_, u64, Buried> = TableDefinition::new("dead letters");
/// How often an event was lent, where that is more than once.
const LENDS: TableDefinition<'_, u64, u32> = TableDefinition::new("lends");
/// Single numbers.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// Tells one journal's sequences from another's, and from those of one that was here before.
const ID: &str = "id";
/// Everything up to here has been lent at least once.
const MARK: &str = "mark";
/// Bytes of payload in [`EVENTS`].
const EVENT_BYTES: &str = "event bytes";
/// Bytes of payload in [`DEAD`].
const DEAD_BYTES: &str = "dead letter bytes";

/// redb's default is 1 GiB. The journal reads what it has just written, or runs through it once.
const CACHE: usize = 16 << 20;

/// A file below this is not worth the compaction.
const COMPACT_FROM: u64 = 64 << 20;

/// The file can't be read or written any more. What was not confirmed may or may not be there.
#[derive(Debug, thiserror::Error)]
#[error("the journal's file failed while {doing}")]
pub(super) struct Fault {
    doing: &'static str,
    #[source]
    source: Box<redb::Error>,
}

fn fault<E: Into<redb::Error>>(doing: &'static str) -> impl FnOnce(E) -> Fault {
    move |source| Fault { doing, source: Box::new(source.into()) }
}

/// A number of messages and the bytes of their payloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Messages.
    pub messages: u64,
    /// Bytes of payload.
    pub bytes: u64,
}

impl Load {
    pub(super) fn add(&mut self, bytes: u64) {
        self.messages += 1;
        self.bytes += bytes;
    }

    pub(super) fn remove(&mut self, bytes: u64) {
        self.messages = self.messages.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self { messages: self.messages + other.messages, bytes: self.bytes + other.bytes }
    }

    pub(super) fn within(self, limit: Self) -> bool {
        self.messages <= limit.messages && self.bytes <= limit.bytes
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self {
            messages: self.messages.saturating_sub(other.messages),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }
}

/// What the file holds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) events: Load,
    pub(super) dead: Load,
    /// When the first unsettled event was received.
    pub(super) oldest: Option<Timestamp>,
}

/// What an earlier process left.
#[derive(Debug)]
pub(super) struct Recovered {
    /// Tells this journal from others.
    pub(super) id: u64,
    /// Everything up to here has been lent at least once.
    pub(super) mark: Sequence,
    /// The last sequence given.
    pub(super) last: Sequence,
    /// Lent and not settled.
    pub(super) leftovers: Vec<Sequence>,
}

/// The open file.
pub(super) struct Store {
    database: Database,
    totals: Totals,
    path: Option<PathBuf>,
}

impl Store {
    /// Opens the journal in `folder`, and makes it if there is none. Readable by this user alone: events hold command
    /// lines.
    pub(super) fn open(folder: &Path) -> Result<(Self, Recovered), Error> {
        let path = folder.join("journal.redb");
        let refused = |error: io::Error| {
            Error::Configuration(format!(
                "the journal {} can't be opened ({error}): change `path`, or who may write there",
                path.display()
            ))
        };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(refused)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(refused)?;
        let database = redb::Builder::new().set_cache_size(CACHE).create_file(file);
        let mut opened = Self::recover(database, &path)?;
        // A new file survives a power cut only once its folder's entry does.
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(refused)?;
        opened.0.path = Some(path);
        opened.0.compact_if_it_pays();
        Ok(opened)
    }

    /// Opens a journal that is kept elsewhere than in a file, for tests of what storage can do wrong.
    #[cfg(test)]
    pub(super) fn open_on(backend: impl redb::StorageBackend) -> Result<(Self, Recovered), Error> {
        let database = redb::Builder::new().set_cache_size(CACHE).create_with_backend(backend);
        Self::recover(database, Path::new("memory"))
    }

    fn recover(
        database: Result<Database, DatabaseError>,
        path: &Path,
    ) -> Result<(Self, Recovered), Error> {
        let database = match database {
            Ok(database) => database,
            Err(DatabaseError::DatabaseAlreadyOpen) => {
                return Err(Error::Configuration(format!(
                    "the journal {} is in use by another worker: stop that one, or give this one a `path` of its own",
                    path.display()
                )));
            }
            Err(error) => {
                return Err(Error::client(
                    format!("opening the journal {}", path.display()),
                    error,
                ));
            }
        };
        let mut store = Self { database, totals: Totals::default(), path: None };
        let recovered = store.look_around().map_err(|error| {
            Error::client(format!("reading the journal {}", path.display()), error)
        })?;
        Ok((store, recovered))
    }

    fn look_around(&mut self) -> Result<Recovered, Fault> {
        let reading = "being opened";
        let tx = begin(&self.database)?;
        let recovered = {
            let mut meta = tx.open_table(META).map_err(fault(reading))?;
            let events = tx.open_table(EVENTS).map_err(fault(reading))?;
            let dead = tx.open_table(DEAD).map_err(fault(reading))?;
            let number = |meta: &redb::Table<'_, &str, u64>, name| {
                let found = meta.get(name).map_err(fault(reading))?;
                Ok(found.map(|value| value.value()))
            };
            let id = match number(&meta, ID)? {
                Some(id) => id,
                None => {
                    let id = fastrand::u64(..);
                    meta.insert(ID, id).map_err(fault(reading))?;
                    id
                }
            };
            let mark = number(&meta, MARK)?.unwrap_or_default();
            self.totals.events = Load {
                messages: events.len().map_err(fault(reading))?,
                bytes: number(&meta, EVENT_BYTES)?.unwrap_or_default(),
            };
            self.totals.dead = Load {
                messages: dead.len().map_err(fault(reading))?,
                bytes: number(&meta, DEAD_BYTES)?.unwrap_or_default(),
            };
            self.totals.oldest = oldest(&events)?;
            // What is settled was lent before: nothing above the mark can be missing from the table.
            let last = events.last().map_err(fault(reading))?.map_or(0, |(key, _)| key.value());
            let mut leftovers = Vec::new();
            for entry in events.range(..=mark).map_err(fault(reading))? {
                leftovers.push(Sequence::new(entry.map_err(fault(reading))?.0.value()));
            }
            Recovered {
                id,
                mark: Sequence::new(mark),
                last: Sequence::new(last.max(mark)),
                leftovers,
            }
        };
        tx.commit().map_err(fault(reading))?;
        Ok(recovered)
    }

    pub(super) fn totals(&self) -> Totals {
        self.totals
    }

    pub(super) fn begin(&mut self) -> Result<Transaction<'_>, Fault> {
        let tx = begin(&self.database)?;
        Ok(Transaction { tx, totals: self.totals, settled: &mut self.totals })
    }

    /// The dead letters after `after`, in order of sequence.
    pub(super) fn dead_letters(
        &self,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<(Record, DeadLetter)>, Fault> {
        let reading = "reading dead letters";
        let tx = self.database.begin_read().map_err(fault(reading))?;
        let dead = tx.open_table(DEAD).map_err(fault(reading))?;
        let mut found = Vec::new();
        for entry in dead.range(after.next().get()..).map_err(fault(reading))?.take(limit) {
            let (key, value) = entry.map_err(fault(reading))?;
            let (received, content_type, traceparent, payload, letter) = value.value();
            let letter = serde_json::from_slice(letter)
                .map_err(|e| redb::StorageError::Corrupted(e.to_string()))
                .map_err(fault(reading))?;
            let event = event(received, content_type, traceparent, payload);
            found.push((Record { sequence: Sequence::new(key.value()), event }, letter));
        }
        Ok(found)
    }

    /// Gives disk space back if the file is mostly empty. Reading and writing wait meanwhile; there is little to move.
    pub(super) fn compact_if_it_pays(&mut self) {
        let Some(path) = &self.path else { return };
        let Ok(length) = path.metadata().map(|file| file.len()) else { return };
        let stored = self.totals.events.plus(self.totals.dead).bytes;
        if length < COMPACT_FROM || stored > length / 4 {
            return;
        }
        match self.database.compact() {
            Ok(_) => tracing::debug!(journal = %path.display(), length, stored, "compacted"),
            // The next commit tells whether the file is of any more use.
            Err(error) => tracing::warn!(journal = %path.display(), %error, "compacting failed"),
        }
    }
}

fn begin(database: &Database) -> Result<WriteTransaction, Fault> {
    let mut tx = database.begin_write().map_err(fault("beginning a transaction"))?;
    // Without it a start after a crash walks the whole file.
    tx.set_quick_repair(true);
    Ok(tx)
}

fn event(
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

fn oldest(events: &impl ReadableTable<u64, Stored>) -> Result<Option<Timestamp>, Fault> {
    let first = events.first().map_err(fault("reading"))?;
    Ok(first.and_then(|(_, value)| Timestamp::from_microsecond(value.value().0).ok()))
}

/// One set of changes, durable together or not at all.
pub(super) struct Transaction<'a> {
    tx: WriteTransaction,
    totals: Totals,
    settled: &'a mut Totals,
}

impl Transaction<'_> {
    /// The events after `after`, in order, until there are `messages` of them or `bytes` bytes.
    pub(super) fn read(
        &self,
        after: Sequence,
        messages: usize,
        bytes: usize,
    ) -> Result<Vec<Record>, Fault> {
        let events = self.tx.open_table(EVENTS).map_err(fault("reading"))?;
        let mut records = Vec::new();
        let mut size = 0;
        for entry in events.range(after.next().get()..).map_err(fault("reading"))?.take(messages) {
            let (key, value) = entry.map_err(fault("reading"))?;
            let (received, content_type, traceparent, payload) = value.value();
            size += payload.len();
            let event = event(received, content_type, traceparent, payload);
            records.push(Record { sequence: Sequence::new(key.value()), event });
            if size >= bytes {
                break;
            }
        }
        Ok(records)
    }

    /// Reads events that were lent before, and counts that they are lent once more.
    pub(super) fn lend_again(&self, again: &[Sequence]) -> Result<Vec<(Record, u32)>, Fault> {
        if again.is_empty() {
            return Ok(Vec::new());
        }
        let events = self.tx.open_table(EVENTS).map_err(fault("reading"))?;
        let mut lends = self.tx.open_table(LENDS).map_err(fault("counting"))?;
        let mut records = Vec::with_capacity(again.len());
        for sequence in again {
            let Some(value) = events.get(sequence.get()).map_err(fault("reading"))? else {
                continue;
            };
            let before = lends.get(sequence.get()).map_err(fault("counting"))?;
            let attempt = before.map_or(1, |count| count.value()).saturating_add(1);
            lends.insert(sequence.get(), attempt).map_err(fault("counting"))?;
            let (received, content_type, traceparent, payload) = value.value();
            let event = event(received, content_type, traceparent, payload);
            records.push((Record { sequence: *sequence, event }, attempt));
        }
        Ok(records)
    }

    pub(super) fn append(&mut self, records: &[Record]) -> Result<(), Fault> {
        if records.is_empty() {
            return Ok(());
        }
        let mut events = self.tx.open_table(EVENTS).map_err(fault("appending"))?;
        for Record { sequence, event } in records {
            let value = (
                event.received.as_microsecond(),
                event.content_type.as_deref(),
                event.traceparent.as_deref(),
                event.payload.as_ref(),
            );
            events.insert(sequence.get(), value).map_err(fault("appending"))?;
            self.totals.events.add(event.size());
        }
        Ok(())
    }

    /// Takes settled events out, and says for each whether it was there.
    pub(super) fn remove(
        &mut self,
        settled: impl IntoIterator<Item = (Sequence, u32)>,
    ) -> Result<Vec<bool>, Fault> {
        let mut settled = settled.into_iter().peekable();
        if settled.peek().is_none() {
            return Ok(Vec::new());
        }
        let mut events = self.tx.open_table(EVENTS).map_err(fault("settling"))?;
        let mut found = Vec::new();
        for (sequence, attempt) in settled {
            let size = events
                .remove(sequence.get())
                .map_err(fault("settling"))?
                .map(|value| value.value().3.len() as u64);
            if let Some(size) = size {
                self.totals.events.remove(size);
                self.forget(sequence, attempt)?;
            }
            found.push(size.is_some());
        }
        Ok(found)
    }

    /// Moves an event to the dead letters, and says whether it was there.
    pub(super) fn bury(
        &mut self,
        sequence: Sequence,
        attempt: u32,
        letter: &[u8],
    ) -> Result<bool, Fault> {
        let mut events = self.tx.open_table(EVENTS).map_err(fault("burying"))?;
        let mut dead = self.tx.open_table(DEAD).map_err(fault("burying"))?;
        let Some(value) = events.remove(sequence.get()).map_err(fault("burying"))? else {
            return Ok(false);
        };
        let (received, content_type, traceparent, payload) = value.value();
        let size = payload.len() as u64;
        dead.insert(sequence.get(), (received, content_type, traceparent, payload, letter))
            .map_err(fault("burying"))?;
        self.totals.events.remove(size);
        self.totals.dead.add(size);
        self.forget(sequence, attempt)?;
        Ok(true)
    }

    /// Takes back the last count of events that were not lent after all.
    pub(super) fn uncount(&self, unlent: &[(Sequence, u32)]) -> Result<(), Fault> {
        let mut lends = self.tx.open_table(LENDS).map_err(fault("counting"))?;
        for (sequence, attempt) in unlent {
            lends.insert(sequence.get(), attempt - 1).map_err(fault("counting"))?;
        }
        Ok(())
    }

    fn forget(&self, sequence: Sequence, attempt: u32) -> Result<(), Fault> {
        if attempt > 1 {
            let mut lends = self.tx.open_table(LENDS).map_err(fault("settling"))?;
            lends.remove(sequence.get()).map_err(fault("settling"))?;
        }
        Ok(())
    }

    /// Makes it all durable, and with it that everything up to `mark` has been lent.
    pub(super) fn commit(mut self, mark: Sequence) -> Result<Totals, Fault> {
        {
            let events = self.tx.open_table(EVENTS).map_err(fault("committing"))?;
            self.totals.oldest = oldest(&events)?;
            let mut meta = self.tx.open_table(META).map_err(fault("committing"))?;
            for (name, value) in [
                (MARK, mark.get()),
                (EVENT_BYTES, self.totals.events.bytes),
                (DEAD_BYTES, self.totals.dead.bytes),
            ] {
                meta.insert(name, value).map_err(fault("committing"))?;
            }
        }
        self.tx.commit().map_err(fault("committing"))?;
        *self.settled = self.totals;
        Ok(self.totals)
    }
}
