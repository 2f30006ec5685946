//! Where messages come from.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::{
    contract::{Demand, Error, Receiver as Contract},
    lease::Lease,
    message::{Attempt, Borrowed, Message, MessageId},
};

use super::{core, driver::Shared, headers, ledger::Key, session::Session};

/// Receives as one of the workers of a durable consumer, or of a queue group.
pub struct Receiver {
    inner: Inner,
    demand: Demand,
}

enum Inner {
    JetStream { shared: Arc<Shared>, sessions: mpsc::Receiver<Session> },
    Core(core::Listener),
}

/// A message as NATS delivered it.
pub struct Record {
    pub(super) message: async_nats::Message,
    pub(super) id: MessageId,
    pub(super) published: Option<Timestamp>,
    pub(super) attempt: Attempt,
}

impl Borrowed for Record {
    fn payload(&self) -> &[u8] {
        &self.message.payload
    }

    fn detach(self) -> Message {
        Message {
            id: self.id,
            payload: self.message.payload,
            key: None,
            headers: headers::owned(self.message.headers.as_ref()),
            published: self.published,
            attempt: self.attempt,
        }
    }
}

impl Receiver {
    pub(super) fn of_stream(shared: Arc<Shared>, sessions: mpsc::Receiver<Session>) -> Self {
        Self { inner: Inner::JetStream { shared, sessions }, demand: Demand::Flow }
    }

    pub(super) fn of_core(listener: core::Listener) -> Self {
        Self { inner: Inner::Core(listener), demand: Demand::Flow }
    }
}

impl Contract for Receiver {
    type Message<'a> = Record;
    type Key = Key;

    async fn next(&mut self) -> Result<(Record, Key, Lease), Error> {
        match &mut self.inner {
            Inner::Core(listener) => listener.next(self.demand).await,
            Inner::JetStream { shared, sessions } => next(shared, sessions, self.demand).await,
        }
    }

    fn demand(&mut self, demand: Demand) {
        self.demand = demand;
    }
}

async fn next(
    shared: &Shared,
    sessions: &mut mpsc::Receiver<Session>,
    demand: Demand,
) -> Result<(Record, Key, Lease), Error> {
    let mut current = shared.session.lock().await;
    loop {
        match current.as_mut().filter(|session| !session.term.lease.is_lost()) {
            Some(session) if demand == Demand::Pause => {
                session.hand_back(shared).await;
                // Nothing comes while paused: whatever ends the pause ends this wait too.
                session.term.lease.lost().cancelled().await;
            }
            Some(session) => {
                if let Some((record, held)) = session.next(shared).await {
                    return Ok((record, Key::of_stream(held), session.term.lease.clone()));
                }
            }
            None => match sessions.recv().await {
                Some(new) => *current = Some(new),
                // The worker has left.
                None => std::future::pending().await,
            },
        }
    }
}
