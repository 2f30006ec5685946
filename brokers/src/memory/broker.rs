//! The broker itself, seen from outside.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::Notify;

use crate::message::{Attempt, Message, MessageId};

use super::{ledger::Ledger, receiver::Receiver, state::State};

/// The broker. Cloning shares it; workers come and go with [`connect`](Self::connect).
#[derive(Clone)]
pub struct Memory {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    name: Arc<str>,
    state: Mutex<State>,
    /// Wakes receivers: something is ready again.
    pub(super) ready: Notify,
}

/// A dead letter, as it was written.
#[derive(Clone, Debug)]
pub struct Buried {
    /// The original body.
    pub payload: Bytes,
    /// The original key.
    pub key: Option<Bytes>,
    /// The original headers, and those that say why it is here.
    pub headers: Vec<(String, Bytes)>,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// An empty broker.
    pub fn new() -> Self {
        let (state, ready) = (Mutex::default(), Notify::new());
        Self { inner: Arc::new(Inner { name: Arc::from("memory"), state, ready }) }
    }

    /// A worker's two ends. Dropping the receiver hands back all it held.
    pub fn connect(&self) -> (Receiver, Arc<Ledger>) {
        let session = self.inner.state().join();
        (Receiver::new(self.clone(), session), Arc::new(Ledger::new(self.clone())))
    }

    /// Takes a message in.
    pub fn publish(&self, payload: Bytes, key: Option<Bytes>, headers: Vec<(String, Bytes)>) {
        let stream = self.inner.name.clone();
        self.inner.state().publish(|sequence| Message {
            id: MessageId::in_stream(stream, sequence),
            payload,
            key,
            headers,
            published: Some(Timestamp::now()),
            attempt: Attempt::Unknown,
        });
        self.inner.ready.notify_waiters();
    }

    /// Messages not settled, held or not.
    pub fn unsettled(&self) -> usize {
        self.inner.state().messages.len()
    }

    /// The dead letters, oldest first.
    pub fn dead_letters(&self) -> Vec<Buried> {
        self.inner.state().buried.clone()
    }

    /// Makes writing dead letters fail, or work again.
    pub fn set_dead_letters_down(&self, down: bool) {
        self.inner.state().dead_letters_down = down;
    }

    /// Asks back all that is held now; it may still be settled.
    pub fn revoke(&self) {
        self.inner.state().revoke();
    }

    /// Takes all that is held now away, and delivers it again.
    pub fn lose(&self) {
        self.inner.state().lose();
        self.inner.ready.notify_waiters();
    }
}

impl Inner {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
