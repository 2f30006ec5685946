//! Dead letters on their way out: back to the events, or away.

use redb::ReadableTable as _;

use super::{
    tables::{DEAD, EVENTS, Fault, HEADERS, event, fault, json},
    transaction::Transaction,
};
use crate::{
    dead_letter::DeadLetter,
    journal::{
        batch::Redriven,
        load::Load,
        record::{Record, Sequence},
    },
};

const DOING: &str = "redriving";

/// What became of a dead letter that was to be redriven.
#[derive(Debug)]
pub(in crate::journal) enum RedriveOutcome {
    /// It is an event again.
    Redriven(Record),
    /// It was not there, or none of these handlers is left to it.
    NotThere,
    /// It stays: there are as many events as there may be.
    NoRoom,
}

impl Transaction<'_> {
    /// Makes a dead letter an event again, at `next`, if there is room for it. It stays a dead letter as well where only
    /// some of the handlers that failed are named, for the others.
    pub(in crate::journal) fn redrive(
        &mut self,
        sequence: Sequence,
        handlers: &[String],
        redriven: &Redriven,
        next: Sequence,
        room: Load,
    ) -> Result<RedriveOutcome, Fault> {
        let mut dead = self.tx.open_table(DEAD).map_err(fault(DOING))?;
        let Some(value) = dead.get(sequence.get()).map_err(fault(DOING))? else {
            return Ok(RedriveOutcome::NotThere);
        };
        let (received, content_type, traceparent, payload, letter) = value.value();
        let mut letter: DeadLetter = json(letter, DOING)?;
        let before = letter.failed.len();
        letter.failed.retain(|failed| !handlers.contains(failed));
        if !handlers.is_empty() && letter.failed.len() == before {
            return Ok(RedriveOutcome::NotThere);
        }
        let stays = !handlers.is_empty() && !letter.failed.is_empty();
        let mut event = event(received, content_type, traceparent, payload);
        drop(value);

        let mut after = self.totals.events;
        after.add(event.size());
        if !after.within(room) {
            return Ok(RedriveOutcome::NoRoom);
        }
        if stays {
            let letter = serde_json::to_vec(&letter).unwrap_or_default();
            let (content_type, traceparent) =
                (event.content_type.as_deref(), event.traceparent.as_deref());
            let value =
                (received, content_type, traceparent, event.payload.as_ref(), letter.as_slice());
            dead.insert(sequence.get(), value).map_err(fault(DOING))?;
        } else {
            dead.remove(sequence.get()).map_err(fault(DOING))?;
            self.totals.dead.remove(event.size());
        }
        event.received = redriven.at;
        let mut events = self.tx.open_table(EVENTS).map_err(fault(DOING))?;
        let value = (
            event.received.as_microsecond(),
            event.content_type.as_deref(),
            event.traceparent.as_deref(),
            event.payload.as_ref(),
        );
        events.insert(next.get(), value).map_err(fault(DOING))?;
        self.totals.events = after;
        let headers = serde_json::to_vec(&redriven.headers).unwrap_or_default();
        let mut table = self.tx.open_table(HEADERS).map_err(fault(DOING))?;
        table.insert(next.get(), headers.as_slice()).map_err(fault(DOING))?;
        self.totals.redriven += 1;
        let headers = redriven.headers.clone();
        Ok(RedriveOutcome::Redriven(Record { sequence: next, event, redriven: headers }))
    }

    /// Takes a dead letter out, and says whether it was there.
    pub(in crate::journal) fn forget_dead(&mut self, sequence: Sequence) -> Result<bool, Fault> {
        let doing = "dropping a dead letter";
        let mut dead = self.tx.open_table(DEAD).map_err(fault(doing))?;
        let found = dead.remove(sequence.get()).map_err(fault(doing))?;
        let size = found.map(|value| value.value().3.len() as u64);
        if let Some(size) = size {
            self.totals.dead.remove(size);
        }
        Ok(size.is_some())
    }
}
