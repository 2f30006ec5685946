//! The one thread that writes: takes what waits, makes it durable in one transaction, answers.
//!
//! After the first error it stops for good: what a failed flush has left on the disk can't be known, and a second one
//! that succeeds proves nothing about it.

use std::{error::Error as StdError, io, mem, sync::Arc, thread, time::Instant};

use super::{
    Shared,
    batch::{Batch, Burial, Ended, Redrive},
    load::Load,
    record::{Event, Record, Sequence},
    shelf::Plan,
    store::{Fault, RedriveOutcome, Store},
};

/// Starts the thread. It ends after [`Inbox::end`](super::inbox::Inbox::end), and lets go of the file.
pub(super) fn spawn(store: Store, last: Sequence, shared: Arc<Shared>) -> io::Result<()> {
    let panicked = Ended::Failed("the journal's writer has panicked".to_owned());
    let ending = Ending { shared, reason: panicked };
    thread::Builder::new().name("journal".to_owned()).spawn(move || {
        let mut ending = ending;
        let writer = Writer { store, last, shared: &ending.shared };
        ending.reason = match writer.run() {
            Ok(()) => Ended::Closed,
            Err(fault) => {
                tracing::error!(error = &fault as &dyn StdError, "the journal has stopped");
                Ended::Failed(with_causes(&fault))
            }
        };
    })?;
    Ok(())
}

/// Tells everybody that the thread has ended, whatever ended it.
struct Ending {
    shared: Arc<Shared>,
    reason: Ended,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let shared = &self.shared;
        shared.inbox.end(self.reason.clone());
        if let Some(left) = shared.inbox.take() {
            left.refuse(&self.reason);
        }
        shared.lease.lose();
        shared.gone.cancel();
        shared.ready.notify_one();
    }
}

struct Writer<'a> {
    store: Store,
    last: Sequence,
    shared: &'a Shared,
}

impl Writer<'_> {
    fn run(mut self) -> Result<(), Fault> {
        while let Some(mut batch) = self.shared.inbox.take() {
            if let Err(fault) = self.cycle(&mut batch) {
                mem::take(&mut batch).refuse(&Ended::Failed(with_causes(&fault)));
                return Err(fault);
            }
        }
        self.part()
    }

    fn cycle(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        let emptied_before = self.store.totals().events.messages == 0;
        self.transact(batch)?;
        for look in mem::take(&mut batch.looks) {
            let found = self.store.events(look.after, look.limit)?;
            let _ = look.reply.send(Ok(found));
        }
        for list in mem::take(&mut batch.lists) {
            let found = self.store.dead_letters(list.after, list.limit)?;
            let _ = list.reply.send(Ok(found));
        }
        if self.store.totals().events.messages == 0 && !emptied_before {
            self.store.compact_if_it_pays();
        }
        Ok(())
    }

    /// One transaction, from what was left in the inbox to the answers.
    fn transact(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        let begun = Instant::now();
        let Plan { again, block } = self.shared.shelf().plan();
        let mut tx = self.store.begin()?;
        let again = tx.lend_again(&again)?;
        let block = match block {
            Some(block) => tx.read(block.after, block.messages, block.bytes)?,
            None => Vec::new(),
        };
        let mut appended = place(mem::take(&mut batch.events), &mut self.last);
        tx.append(&appended)?;
        let mut arrived = Load::default();
        appended.iter().for_each(|record| arrived.add(record.event.size()));
        tx.remove(batch.skips.iter().copied())?;
        let acked = tx.remove(batch.acks.iter().map(|ack| (ack.sequence, ack.attempt)))?;
        let mut buried = Vec::with_capacity(batch.burials.len());
        for burial in &batch.burials {
            let Burial { sequence, attempt, letter, .. } = burial;
            buried.push(tx.bury(*sequence, *attempt, letter, self.shared.inbox.capacity())?);
        }
        let mut redriven = Vec::with_capacity(batch.redrives.len());
        for Redrive { sequence, handlers, event, .. } in &batch.redrives {
            let room = self.shared.inbox.capacity();
            let outcome = tx.redrive(*sequence, handlers, event, self.last.next(), room)?;
            if let RedriveOutcome::Redriven(record) = &outcome {
                self.last = record.sequence;
                appended.push(record.clone());
            }
            redriven.push(outcome);
        }
        let mut dropped = Vec::with_capacity(batch.drops.len());
        for drop in &batch.drops {
            dropped.push(tx.forget_dead(drop.sequence)?);
        }
        let mark = self.shared.shelf().mark_with(&block, &appended);
        let totals = tx.commit(mark)?;

        self.shared.inbox.stored(totals, arrived, begun.elapsed());
        // Publishers first: the next transaction waits for them. An answer that nobody waits for any more is no loss, for
        // what it says is true all the same.
        for reply in batch.appended.drain(..) {
            let _ = reply.send(Ok(()));
        }
        self.shared.shelf().arrived(again, block, appended, mark);
        self.shared.ready.notify_one();
        for (ack, found) in batch.acks.drain(..).zip(acked) {
            let _ = ack.reply.send(Ok(found));
        }
        for (burial, outcome) in batch.burials.drain(..).zip(buried) {
            let _ = burial.reply.send(Ok(outcome));
        }
        for (redrive, outcome) in batch.redrives.drain(..).zip(redriven) {
            let _ = redrive.reply.send(Ok(outcome));
        }
        for (drop, found) in batch.drops.drain(..).zip(dropped) {
            let _ = drop.reply.send(Ok(found));
        }
        Ok(())
    }

    /// Before an orderly end: what was counted and not lent is not counted.
    fn part(&mut self) -> Result<(), Fault> {
        let (mark, unlent) = self.shared.shelf().clear();
        let tx = self.store.begin()?;
        tx.uncount(&unlent)?;
        tx.commit(mark)?;
        Ok(())
    }
}

fn place(events: Vec<Event>, last: &mut Sequence) -> Vec<Record> {
    let place = |event| {
        *last = last.next();
        Record::new(*last, event)
    };
    events.into_iter().map(place).collect()
}

/// An error with its causes in a line: it is shown to several who wait, and none can own it.
fn with_causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
