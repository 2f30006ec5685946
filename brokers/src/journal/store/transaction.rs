//! One set of changes to the journal's file, durable together or not at all.

use redb::{Database, ReadableTable, ReadableTableMetadata, WriteTransaction};

use super::{
    Recovered, Totals,
    tables::{
        DEAD, DEAD_BYTES, EVENT_BYTES, EVENTS, Fault, HEADERS, ID, LENDS, MARK, META, event, fault,
        headers, oldest,
    },
};
use crate::journal::{
    load::Load,
    record::{Headers, Record, Sequence},
};

/// One set of changes, durable together or not at all.
pub(in crate::journal) struct Transaction<'a> {
    pub(super) tx: WriteTransaction,
    pub(super) totals: Totals,
    after: &'a mut Totals,
}

/// What became of an event that was to be moved to the dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::journal) enum BurialOutcome {
    /// It is a dead letter now.
    Buried,
    /// It was not there.
    NotThere,
    /// It stays an event: there are as many dead letters as there may be.
    NoRoom,
}

impl<'a> Transaction<'a> {
    /// Begins to change a file that holds `totals`, which say what it holds after the commit.
    pub(super) fn begin(database: &Database, totals: &'a mut Totals) -> Result<Self, Fault> {
        let mut tx = database.begin_write().map_err(fault("beginning a transaction"))?;
        // Without it a start after a crash walks the whole file.
        tx.set_quick_repair(true);
        Ok(Self { tx, totals: *totals, after: totals })
    }

    /// What an earlier process left. Makes the tables if there are none.
    pub(super) fn look_around(&mut self) -> Result<Recovered, Fault> {
        let reading = "being opened";
        let mut meta = self.tx.open_table(META).map_err(fault(reading))?;
        let events = self.tx.open_table(EVENTS).map_err(fault(reading))?;
        let dead = self.tx.open_table(DEAD).map_err(fault(reading))?;
        let redriven = self.tx.open_table(HEADERS).map_err(fault(reading))?;
        self.totals.redriven = redriven.len().map_err(fault(reading))?;
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
        // What is settled was lent before: nothing above the mark can be missing from the table.
        let last = events.last().map_err(fault(reading))?.map_or(0, |(key, _)| key.value());
        let mut leftovers = Vec::new();
        for entry in events.range(..=mark).map_err(fault(reading))? {
            leftovers.push(Sequence::new(entry.map_err(fault(reading))?.0.value()));
        }
        let last = Sequence::new(last.max(mark));
        Ok(Recovered { id, mark: Sequence::new(mark), last, leftovers })
    }

    /// The events after `after`, in order, until there are `messages` of them or `bytes` bytes.
    pub(in crate::journal) fn read(
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
            let redriven = self.redriven(key.value())?;
            records.push(Record { sequence: Sequence::new(key.value()), event, redriven });
            if size >= bytes {
                break;
            }
        }
        Ok(records)
    }

    /// Reads events that were lent before, and counts that they are lent once more.
    pub(in crate::journal) fn lend_again(
        &self,
        again: &[Sequence],
    ) -> Result<Vec<(Record, u32)>, Fault> {
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
            let redriven = self.redriven(sequence.get())?;
            records.push((Record { sequence: *sequence, event, redriven }, attempt));
        }
        Ok(records)
    }

    pub(in crate::journal) fn append(&mut self, records: &[Record]) -> Result<(), Fault> {
        if records.is_empty() {
            return Ok(());
        }
        let mut events = self.tx.open_table(EVENTS).map_err(fault("appending"))?;
        for Record { sequence, event, .. } in records {
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
    pub(in crate::journal) fn remove(
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
                forget(&self.tx, &mut self.totals.redriven, sequence, attempt)?;
            }
            found.push(size.is_some());
        }
        Ok(found)
    }

    /// Moves an event to the dead letters, of which there may be as many as `room`.
    pub(in crate::journal) fn bury(
        &mut self,
        sequence: Sequence,
        attempt: u32,
        letter: &[u8],
        room: Load,
    ) -> Result<BurialOutcome, Fault> {
        let mut events = self.tx.open_table(EVENTS).map_err(fault("burying"))?;
        let mut dead = self.tx.open_table(DEAD).map_err(fault("burying"))?;
        let Some(value) = events.get(sequence.get()).map_err(fault("burying"))? else {
            return Ok(BurialOutcome::NotThere);
        };
        let (received, content_type, traceparent, payload) = value.value();
        let size = payload.len() as u64;
        let mut after = self.totals.dead;
        after.add(size);
        if !after.within(room) {
            return Ok(BurialOutcome::NoRoom);
        }
        dead.insert(sequence.get(), (received, content_type, traceparent, payload, letter))
            .map_err(fault("burying"))?;
        drop(value);
        events.remove(sequence.get()).map_err(fault("burying"))?;
        self.totals.events.remove(size);
        self.totals.dead = after;
        forget(&self.tx, &mut self.totals.redriven, sequence, attempt)?;
        Ok(BurialOutcome::Buried)
    }

    /// Takes back the last count of events that were not lent after all.
    pub(in crate::journal) fn uncount(&self, unlent: &[(Sequence, u32)]) -> Result<(), Fault> {
        let mut lends = self.tx.open_table(LENDS).map_err(fault("counting"))?;
        for (sequence, attempt) in unlent {
            lends.insert(sequence.get(), attempt - 1).map_err(fault("counting"))?;
        }
        Ok(())
    }

    /// The headers that an event was redriven with. Most files hold none of those.
    fn redriven(&self, sequence: u64) -> Result<Headers, Fault> {
        match self.totals.redriven {
            0 => Ok(Headers::new()),
            _ => {
                let table = self.tx.open_table(HEADERS).map_err(fault("reading"))?;
                headers(&table, sequence, "reading")
            }
        }
    }

    /// Makes it all durable, and with it that everything up to `mark` has been lent.
    pub(in crate::journal) fn commit(mut self, mark: Sequence) -> Result<Totals, Fault> {
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
        *self.after = self.totals;
        Ok(self.totals)
    }
}

/// What is known of an event beside itself goes with it.
fn forget(
    tx: &WriteTransaction,
    redriven: &mut u64,
    sequence: Sequence,
    attempt: u32,
) -> Result<(), Fault> {
    if *redriven > 0 {
        let mut headers = tx.open_table(HEADERS).map_err(fault("settling"))?;
        let was = headers.remove(sequence.get()).map_err(fault("settling"))?.is_some();
        *redriven -= u64::from(was);
    }
    if attempt > 1 {
        let mut lends = tx.open_table(LENDS).map_err(fault("settling"))?;
        lends.remove(sequence.get()).map_err(fault("settling"))?;
    }
    Ok(())
}
