//! Lends the journal's events to the pump, in order of arrival.

use std::sync::Arc;

use super::{
    Keeper,
    batch::Ended,
    record::{Lent, Sequence},
};
use crate::{
    contract::{Demand, Error, Receiver as Contract},
    lease::Lease,
};

/// What the ledger knows an event by.
#[derive(Clone, Debug)]
pub struct Key {
    pub(super) sequence: Sequence,
    pub(super) attempt: u32,
}

/// The journal's receiving side.
#[derive(Debug)]
pub struct Receiver {
    pub(super) keeper: Arc<Keeper>,
    pub(super) stream: Arc<str>,
    pub(super) demand: Demand,
}

impl Contract for Receiver {
    type Message<'a> = Lent;
    type Key = Key;

    async fn next(&mut self) -> Result<(Lent, Key, Lease), Error> {
        loop {
            let shared = &self.keeper.shared;
            let (taken, wants_writer) = {
                let mut shelf = shared.shelf();
                shelf.demand(self.demand);
                (shelf.take(), shelf.wants_writer())
            };
            if wants_writer {
                shared.inbox.want_more();
            }
            if let Some((record, attempt)) = taken {
                let key = Key { sequence: record.sequence, attempt };
                let lent = Lent { record, attempt, stream: self.stream.clone() };
                return Ok((lent, key, shared.lease.clone()));
            }
            match shared.inbox.ended() {
                Some(Ended::Failed(why)) => {
                    return Err(Error::client("the journal has stopped", why));
                }
                Some(Ended::Closed) => return Err(Error::client("receiving", Ended::Closed)),
                None => shared.ready.notified().await,
            }
        }
    }

    fn demand(&mut self, demand: Demand) {
        self.demand = demand;
        self.keeper.shared.shelf().demand(demand);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.keeper.shared.shelf().demand(Demand::Pause);
    }
}
