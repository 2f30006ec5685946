//! The embedded broker: a durable queue on disk behind an HTTP intake, for a worker without a broker.
//!
//! What lives here: the queue (what is answered with 200 is on the disk), the intake that fills it, and the
//! [`Receiver`] and [`Ledger`] that empty it. What may not: what an event looks like. The caller's check says whether a
//! body is one.
//!
//! ```text
//! POST / ── intake ── inbox ──▶ writer ──▶ store (redb)     one thread, one flush for all who wait
//!              ▲ 200             │
//!              └──── durable ────┤
//!                                ▼
//!                              shelf ──▶ receiver ──▶ pump ──▶ ledger ── inbox ──▶ writer
//! ```
//!
//! # What holds
//! An event comes again until it is settled durably: at the next start, or at once when it is released. Events come in
//! order of arrival, those lent before first. A dead letter replaces its event in one transaction. The lease lasts as
//! long as the journal: it is lost when the file fails or the journal is closed.
//!
//! Attempts are exact: a lend is durable before it happens, in the transaction that brings the event or in one made for
//! it. A crash also counts those few that were about to be lent; an orderly end doesn't.
//!
//! When the disk is full or fails, everything stops: no request is answered with 200 any more, the receiver ends with
//! an error, and what was not confirmed comes again after a restart.

mod batch;
mod config;
mod gathering;
mod history;
mod inbox;
mod intake;
mod ledger;
mod letters;
mod load;
mod monitor;
mod receiver;
mod record;
mod shelf;
mod store;
mod writer;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::{
    batch::Ended,
    inbox::Inbox,
    intake::Door,
    monitor::Counters,
    shelf::Shelf,
    store::{Recovered, Store},
};
pub use self::{
    config::{Capacity, Config, Tls},
    history::{History, history},
    intake::{Intake, Rejection, Validate},
    ledger::Ledger,
    letters::{DeadLetters, Redriven, dead_letters},
    load::Load,
    monitor::{Depth, Monitor},
    receiver::{Key, Receiver},
    record::{Lent, Sequence},
};
use crate::{
    contract::{Demand, Error},
    lease::Lease,
};

/// An open journal: the parts of a subscription. It holds the file's lock until the ledger is closed, or until all
/// parts are dropped and the writer has noticed.
#[derive(Debug)]
pub struct Journal {
    /// For the [pump](crate::pump).
    pub receiver: Receiver,
    /// For the [pump](crate::pump).
    pub ledger: Arc<Ledger>,
    /// Takes events in once it is served.
    pub intake: Intake,
    /// For metrics.
    pub monitor: Monitor,
}

impl Journal {
    /// Opens the journal and binds the intake's address. `validate` says why a body is no event.
    ///
    /// # Errors
    /// The configuration is refused, the file is in use or can't be read, or the address can't be bound.
    pub async fn open<V: Validate>(config: &Config, validate: V) -> Result<Self, Error> {
        config.check()?;
        // Before the file: what is wrong here is quicker to see.
        let door = Door::open(config).await?;
        let folder = config.path.clone();
        let opened = tokio::task::spawn_blocking(move || Store::open(&folder)).await;
        let (store, recovered) = opened.map_err(|e| Error::client("opening the journal", e))??;
        Self::assemble(config, door, store, recovered, validate)
    }

    fn assemble<V: Validate>(
        config: &Config,
        door: Door,
        store: Store,
        recovered: Recovered,
        validate: V,
    ) -> Result<Self, Error> {
        let keeper = Keeper::start(store, recovered, config.capacity.into())?;
        let stream = keeper.shared.stream.clone();
        Ok(Self {
            receiver: Receiver { keeper: keeper.clone(), stream, demand: Demand::Flow },
            ledger: Arc::new(Ledger { keeper: keeper.clone() }),
            intake: Intake::new(door, keeper.clone(), config.body_limit, Arc::new(validate)),
            monitor: Monitor { keeper },
        })
    }
}

/// What the writer and all others share.
#[derive(Debug)]
struct Shared {
    stream: Arc<str>,
    inbox: Inbox,
    shelf: Mutex<Shelf>,
    /// There may be something on the shelf, or the end has come.
    ready: Notify,
    lease: Lease,
    counters: Counters,
    /// The writer has ended, and the file is free.
    gone: CancellationToken,
}

impl Shared {
    /// A panic elsewhere can't leave it half changed: nothing panics between two changes.
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the writer running until the last part of the journal is dropped.
#[derive(Debug)]
struct Keeper {
    shared: Arc<Shared>,
}

impl Keeper {
    fn start(store: Store, recovered: Recovered, capacity: Load) -> Result<Arc<Self>, Error> {
        let Recovered { id, mark, last, leftovers } = recovered;
        let shared = Arc::new(Shared {
            stream: format!("journal-{id:016x}").into(),
            inbox: Inbox::new(capacity, store.totals()),
            shelf: Mutex::new(Shelf::new(mark, last, leftovers)),
            ready: Notify::new(),
            lease: Lease::new(),
            counters: Counters::default(),
            gone: CancellationToken::new(),
        });
        writer::spawn(store, last, shared.clone())
            .map_err(|e| Error::client("starting the journal's writer", e))?;
        Ok(Arc::new(Self { shared }))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.inbox.end(Ended::Closed);
    }
}
