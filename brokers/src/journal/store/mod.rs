//! The journal's file: which tables there are, and what one transaction may do to them.
//!
//! What lives here: everything that names redb. What may not: when a transaction is made, and for whom. Whoever holds
//! the [`Store`] is the only writer; nothing is durable before [`Transaction::commit`] has returned, and after an error
//! the store is of no more use.

mod redrive;
mod tables;
mod transaction;

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use redb::{Database, DatabaseError, ReadableDatabase};

use self::tables::{DEAD, EVENTS, HEADERS, event, fault, headers, json};
pub(super) use self::{
    redrive::RedriveOutcome,
    tables::Fault,
    transaction::{BurialOutcome, Transaction},
};
use super::{
    load::Load,
    record::{Record, Sequence},
};
use crate::{contract::Error, dead_letter::DeadLetter};

/// redb's default is 1 GiB. The journal reads what it has just written, or runs through it once.
const CACHE: usize = 16 << 20;

/// A file below this is not worth the compaction.
const COMPACT_FROM: u64 = 32 << 20;

/// What the file holds.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::journal) struct Totals {
    pub(in crate::journal) events: Load,
    pub(in crate::journal) dead: Load,
    /// How many of the events were dead letters before.
    pub(in crate::journal) redriven: u64,
    /// When the first unsettled event was received.
    pub(in crate::journal) oldest: Option<Timestamp>,
}

/// What an earlier process left.
#[derive(Debug)]
pub(in crate::journal) struct Recovered {
    /// Tells this journal from others.
    pub(in crate::journal) id: u64,
    /// Everything up to here has been lent at least once.
    pub(in crate::journal) mark: Sequence,
    /// The last sequence given.
    pub(in crate::journal) last: Sequence,
    /// Lent and not settled.
    pub(in crate::journal) leftovers: Vec<Sequence>,
}

/// The open file.
pub(in crate::journal) struct Store {
    database: Database,
    totals: Totals,
    path: Option<PathBuf>,
}

impl Store {
    /// Opens the journal in `folder`, and makes it if there is none. Readable by this user alone: events hold command
    /// lines.
    pub(in crate::journal) fn open(folder: &Path) -> Result<(Self, Recovered), Error> {
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
        // A new file, or folder, survives a power cut only once its entry in the folder around it does.
        for folder in folder.canonicalize().map_err(refused)?.ancestors().take(2) {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(refused)?;
        }
        opened.0.path = Some(path);
        opened.0.compact_if_it_pays();
        Ok(opened)
    }

    /// Opens a journal that is kept elsewhere than in a file, for tests of what storage can do wrong.
    #[cfg(test)]
    pub(in crate::journal) fn open_on(
        backend: impl redb::StorageBackend,
    ) -> Result<(Self, Recovered), Error> {
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
        let mut tx = self.begin()?;
        let recovered = tx.look_around()?;
        tx.commit(recovered.mark)?;
        Ok(recovered)
    }

    pub(in crate::journal) fn totals(&self) -> Totals {
        self.totals
    }

    pub(in crate::journal) fn begin(&mut self) -> Result<Transaction<'_>, Fault> {
        Transaction::begin(&self.database, &mut self.totals)
    }

    /// The dead letters after `after`, in order of sequence.
    pub(in crate::journal) fn dead_letters(
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
            let letter = json(letter, reading)?;
            let event = event(received, content_type, traceparent, payload);
            found.push((Record::new(Sequence::new(key.value()), event), letter));
        }
        Ok(found)
    }

    /// The unsettled events after `after`, in order of sequence.
    pub(in crate::journal) fn events(
        &self,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Record>, Fault> {
        let reading = "reading events";
        let tx = self.database.begin_read().map_err(fault(reading))?;
        let events = tx.open_table(EVENTS).map_err(fault(reading))?;
        let redriven = tx.open_table(HEADERS).map_err(fault(reading))?;
        let mut found = Vec::new();
        for entry in events.range(after.next().get()..).map_err(fault(reading))?.take(limit) {
            let (key, value) = entry.map_err(fault(reading))?;
            let (received, content_type, traceparent, payload) = value.value();
            let event = event(received, content_type, traceparent, payload);
            let redriven = headers(&redriven, key.value(), reading)?;
            found.push(Record { sequence: Sequence::new(key.value()), event, redriven });
        }
        Ok(found)
    }

    /// Gives disk space back if the file is mostly empty. Reading and writing wait meanwhile; there is little to move.
    pub(in crate::journal) fn compact_if_it_pays(&mut self) {
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
