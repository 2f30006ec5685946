//! One partition while it is ours.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicI64, Ordering},
};

use crate::lease::Lease;

use super::{
    super::{
        note::{Fingerprint, Note},
        tracker::{Span, Tracker},
    },
    Committable, Epoch, Marks, Place,
};

/// What the group knew of a partition before it became ours.
#[derive(Clone, Debug, Default)]
pub(in crate::kafka) struct Past {
    /// What it had committed; where its log began if nothing.
    pub(in crate::kafka) base: i64,
    /// What the commit said beside.
    pub(in crate::kafka) note: Note,
    /// Messages below may have been begun by a worker that died: where the log ended then. 0 if none died.
    pub(in crate::kafka) suspect: i64,
}

/// A partition as the receiver needs it.
#[derive(Clone)]
pub(in crate::kafka) struct Held {
    pub(in crate::kafka) epoch: Epoch,
    pub(in crate::kafka) lease: Lease,
    pub(in crate::kafka) memory: Memory,
    /// The first offset received. Only the receiver writes it.
    first: Arc<OnceLock<i64>>,
    /// Where receiving has come to. Only the receiver writes it.
    end: Arc<AtomicI64>,
}

/// What is known of the messages to come.
#[derive(Clone)]
pub(in crate::kafka) enum Memory {
    /// It is being asked for; none may be received yet.
    Asked,
    /// The first message has to prove it.
    Unproven(Arc<Past>),
    /// It is about this log.
    Proven(Arc<Past>),
    /// Nothing.
    None,
}

impl Past {
    /// How often work on a message was begun before us.
    pub(in crate::kafka) fn begun(&self, offset: i64) -> u32 {
        self.note.begun(offset).unwrap_or(u32::from(offset < self.suspect))
    }

    /// Whether it says anything of what lies at `offset` or above.
    pub(in crate::kafka) fn reaches(&self, offset: i64) -> bool {
        offset < self.suspect.max(self.note.end())
    }

    /// As it is without its note, which is about another log.
    fn disproven(&self) -> Memory {
        let rest = Self { note: Note::default(), ..self.clone() };
        rest.remembered()
    }

    fn remembered(self) -> Memory {
        match (self.note.items.is_empty(), self.suspect) {
            (true, 0) => Memory::None,
            (true, _) => Memory::Proven(Arc::new(self)),
            (false, _) => Memory::Unproven(Arc::new(self)),
        }
    }
}

impl Held {
    /// Takes note of a message received. `None` if its offset goes back.
    #[inline]
    pub(in crate::kafka) fn receive(&self, offset: i64) -> Option<Span> {
        let end = self.end.load(Ordering::Relaxed);
        let span = Span::after(end, offset)?;
        if end == 0 {
            self.first.get_or_init(|| offset);
        }
        self.end.store(span.end(), Ordering::Release);
        Some(span)
    }

    /// Where receiving has come to.
    pub(in crate::kafka) fn end(&self) -> i64 {
        self.end.load(Ordering::Acquire)
    }
}

pub(super) struct Live {
    pub(super) held: Held,
    pub(super) tracker: Tracker,
    /// It is asked back.
    pub(super) closing: bool,
    /// What the group knew before, once that is known.
    pub(super) past: Option<Past>,
    /// Where the partition's log begins and ends, once it is known.
    pub(super) log: Option<(i64, i64)>,
}

impl Live {
    pub(super) fn new(epoch: Epoch, memory: Memory) -> Self {
        let (first, end) = (Arc::default(), Arc::default());
        let held = Held { epoch, lease: Lease::new(), memory, first, end };
        Self { held, tracker: Tracker::default(), closing: false, past: None, log: None }
    }

    /// Whether none of its messages may come yet.
    pub(super) fn is_asked(&self) -> bool {
        matches!(self.held.memory, Memory::Asked)
    }

    /// Whether its messages may come.
    pub(super) fn flows(&self) -> bool {
        !self.closing && !self.is_asked()
    }

    /// What the group knew is known. It is to be said that we are here before anything is begun.
    pub(super) fn tell(&mut self, past: Past) {
        self.past = Some(past);
        self.tracker.touch();
    }

    /// Messages may come from now on, if what the group knew is known.
    pub(super) fn begin(&mut self) {
        if let (true, Some(past)) = (self.is_asked(), &self.past) {
            self.held.memory = past.clone().remembered();
        }
    }

    /// The first message is here: is what we were told about this log? False if it isn't.
    pub(super) fn prove(&mut self, offset: i64, print: Fingerprint) -> bool {
        let Memory::Unproven(past) = &self.held.memory else { return true };
        let proven = past.note.is_proven_by(offset, print);
        if proven {
            self.tracker.remember(&past.note);
            self.held.memory = Memory::Proven(past.clone());
        } else {
            self.held.memory = past.disproven();
        }
        proven
    }

    /// Where what is not complete begins; what lies below the first message received is not this assignment's.
    pub(super) fn complete_up_to(&self) -> i64 {
        self.tracker.low().max(self.held.first.get().copied().unwrap_or(0))
    }

    pub(super) fn marks(&self) -> Option<Marks> {
        let (start, log_end) = self.log?;
        let begun = self.past.as_ref()?.base.max(start);
        let received = self.held.end().max(begun);
        let completed = self.tracker.low().max(begun);
        Some(Marks { log_end, received, completed })
    }

    /// What is to be committed now, if anything has changed.
    pub(super) fn take(&mut self, place: Place) -> Option<Committable> {
        let past = self.past.as_ref()?;
        let taken = match self.held.first.get() {
            Some(first) => self.tracker.take(*first, true),
            None => self.tracker.take(past.base, true).map(|(offset, nothing)| {
                let note = match &self.held.memory {
                    Memory::None | Memory::Proven(_) => nothing,
                    Memory::Asked | Memory::Unproven(_) => Note { open: true, ..past.note.clone() },
                };
                (offset, note)
            }),
        };
        taken.map(|(offset, note)| Committable { place, offset, note })
    }

    /// What is to be committed when it goes in good order.
    pub(super) fn last(&self, place: Place) -> Option<Committable> {
        let past = self.past.as_ref()?;
        // Whom a dead worker may have begun is as suspect as before if we haven't come to it.
        let open = self.held.end() < past.suspect;
        let (offset, note) = match self.held.first.get() {
            Some(first) => self.tracker.last(*first, open)?,
            None => (past.base, Note { open, ..past.note.clone() }),
        };
        Some(Committable { place, offset, note })
    }
}
