//! What the broker knows: every message not yet settled, and who holds it. Pure; the lock is the broker's.

use std::collections::{BTreeMap, BTreeSet};

use crate::{lease::Lease, message::Message};

use super::broker::Buried;

/// A connected worker.
pub(super) type SessionId = u64;

/// What a settlement has to show: under which lease of which session the message was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) session: SessionId,
    pub(super) term: u64,
}

pub(super) struct Stored {
    pub(super) message: Message,
    pub(super) delivered: u32,
    pub(super) holder: Option<Hold>,
}

struct Session {
    term: u64,
    lease: Lease,
    /// The terms asked back, whose messages may still be settled.
    closing: BTreeMap<u64, Lease>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) messages: BTreeMap<u64, Stored>,
    /// The messages nobody holds.
    ready: BTreeSet<u64>,
    sessions: BTreeMap<SessionId, Session>,
    next_sequence: u64,
    next_session: SessionId,
    pub(super) buried: Vec<Buried>,
    pub(super) dead_letters_down: bool,
}

impl State {
    pub(super) fn publish(&mut self, message: impl FnOnce(u64) -> Message) {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let stored = Stored { message: message(sequence), delivered: 0, holder: None };
        self.messages.insert(sequence, stored);
        self.ready.insert(sequence);
    }

    pub(super) fn join(&mut self) -> SessionId {
        let id = self.next_session;
        self.next_session += 1;
        let session = Session { term: 0, lease: Lease::new(), closing: BTreeMap::new() };
        self.sessions.insert(id, session);
        id
    }

    /// The first message that nobody holds, now held by `session`.
    pub(super) fn take(&mut self, session: SessionId) -> Option<(u64, Hold, &Stored, Lease)> {
        let Session { term, lease, .. } = self.sessions.get(&session)?;
        let hold = Hold { session, term: *term };
        let lease = lease.clone();
        let sequence = self.ready.pop_first()?;
        let stored = self.messages.get_mut(&sequence)?;
        stored.delivered += 1;
        stored.holder = Some(hold);
        Some((sequence, hold, stored, lease))
    }

    /// Settles a message for good, if it is still held so.
    pub(super) fn settle(&mut self, sequence: u64, hold: Hold) -> Option<Stored> {
        let held = self.messages.get(&sequence)?.holder == Some(hold);
        held.then(|| self.messages.remove(&sequence)).flatten()
    }

    pub(super) fn is_held(&self, sequence: u64, hold: Hold) -> bool {
        self.messages.get(&sequence).is_some_and(|stored| stored.holder == Some(hold))
    }

    /// Hands a message back.
    pub(super) fn release(&mut self, sequence: u64, hold: Hold) {
        if let Some(stored) = self.messages.get_mut(&sequence)
            && stored.holder == Some(hold)
        {
            stored.holder = None;
            self.ready.insert(sequence);
        }
    }

    /// Asks everything held now back. New messages come under new leases.
    pub(super) fn revoke(&mut self) {
        for session in self.sessions.values_mut() {
            let lease = std::mem::take(&mut session.lease);
            lease.close();
            session.closing.insert(session.term, lease);
            session.term += 1;
        }
    }

    /// Takes everything held now away.
    pub(super) fn lose(&mut self) {
        self.revoke();
        for session in self.sessions.values_mut() {
            for lease in std::mem::take(&mut session.closing).into_values() {
                lease.lose();
            }
        }
        self.free(|_| true);
    }

    /// A worker is gone; what it held comes again.
    pub(super) fn leave(&mut self, session: SessionId) {
        if let Some(left) = self.sessions.remove(&session) {
            left.lease.lose();
            left.closing.values().for_each(Lease::lose);
        }
        self.free(|hold| hold.session == session);
    }

    fn free(&mut self, which: impl Fn(Hold) -> bool) {
        for (sequence, stored) in &mut self.messages {
            if stored.holder.is_some_and(&which) {
                stored.holder = None;
                self.ready.insert(*sequence);
            }
        }
    }
}
