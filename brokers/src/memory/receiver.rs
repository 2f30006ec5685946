//! One worker's receiving end.

use crate::{
    contract::{Demand, Error, Receiver as Contract},
    lease::Lease,
    message::{Attempt, Borrowed, Message},
};

use super::{
    broker::Memory,
    state::{Hold, SessionId},
};

/// Receives from a [`Memory`]. Dropping it hands back everything it held.
pub struct Receiver {
    broker: Memory,
    session: SessionId,
    demand: Demand,
    /// The message lent out last.
    lent: Option<Message>,
}

/// What a message is settled by.
#[derive(Clone, Debug)]
pub struct Key {
    pub(super) sequence: u64,
    pub(super) hold: Hold,
}

/// A message still in the receiver's hands.
pub struct Record<'a>(&'a mut Option<Message>);

impl Borrowed for Record<'_> {
    fn payload(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |message| &message.payload)
    }

    fn detach(self) -> Message {
        match self.0.take() {
            Some(message) => message,
            None => unreachable!("a record is made of a message and detached once"),
        }
    }
}

impl Receiver {
    pub(super) fn new(broker: Memory, session: SessionId) -> Self {
        Self { broker, session, demand: Demand::Flow, lent: None }
    }

    fn take(&self) -> Option<(Message, Key, Lease)> {
        let mut state = self.broker.inner.state();
        let (sequence, hold, stored, lease) = state.take(self.session)?;
        let message =
            Message { attempt: Attempt::Exact(stored.delivered), ..stored.message.clone() };
        Some((message, Key { sequence, hold }, lease))
    }
}

impl Contract for Receiver {
    type Message<'a> = Record<'a>;
    type Key = Key;

    async fn next(&mut self) -> Result<(Record<'_>, Key, Lease), Error> {
        let broker = self.broker.clone();
        loop {
            let ready = broker.inner.ready.notified();
            if self.demand == Demand::Flow
                && let Some((message, key, lease)) = self.take()
            {
                self.lent = Some(message);
                return Ok((Record(&mut self.lent), key, lease));
            }
            ready.await;
        }
    }

    fn demand(&mut self, demand: Demand) {
        self.demand = demand;
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.broker.inner.state().leave(self.session);
        self.broker.inner.ready.notify_waiters();
    }
}
