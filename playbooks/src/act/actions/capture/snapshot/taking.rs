//! A snapshot on its way into the store: what is kept, what is missing, what was forbidden.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use tokio::{sync::SemaphorePermit, time::Instant};

use super::{gather::Read, logs, redact, unreadable};
use crate::act::{
    action::Context,
    actions::capture::{Captures, config::Bounds, name::Name, note},
    api::ApiError,
    evidence::{About, Artefact, Draft, Folder, Kept, Manifest, Missing, Sealed},
    outcome::{Failure, FailureKind},
};

/// What the words of a snapshot's name begin with; they are the same whatever its bounds are.
const REQUEST: &str = "snapshot";

pub(super) enum Begun<'a> {
    Taking(Box<Taking<'a>>),
    /// An earlier delivery of the event has kept it; where, in words.
    Before(String),
}

/// A snapshot on its way into the store.
pub(super) struct Taking<'a> {
    captures: &'a Captures,
    name: Name,
    folder: Folder,
    draft: Draft,
    started: Timestamp,
    until: Instant,
    left: usize,
    /// What an earlier run has kept, to which something was forbidden.
    before: Option<Kept>,
    artefacts: Vec<Artefact>,
    missing: Vec<Missing>,
    forbidden: Vec<Missing>,
    /// Held to the end: what is in memory at a time is bounded.
    _turn: SemaphorePermit<'a>,
}

/// What it has come to.
pub(super) struct Ended {
    pub(super) kept: Kept,
    /// The folder, in words.
    pub(super) place: String,
    /// False where nothing came of it that was not kept before.
    pub(super) is_new: bool,
}

impl<'a> Taking<'a> {
    pub(super) async fn begin(
        cx: &Context<'_>,
        captures: &'a Captures,
        bounds: &Bounds,
    ) -> Result<Begun<'a>, Failure> {
        let occurrence = cx.occurrence();
        let name = Name::new(occurrence.id, REQUEST);
        let folder = name.folder(occurrence.time);
        let until = cx.limit.calls;
        let before = captures.evidence.sealed(&folder, until).await?;
        if let Some(kept) = before.as_ref().filter(|kept| kept.forbidden().is_empty()) {
            note(cx, kept);
            let place = captures.evidence.name(&folder);
            return Ok(Begun::Before(format!("it is kept at {place} already{}", kept.but())));
        }
        let turn = tokio::time::timeout_at(until, captures.turn.acquire()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(Failure::transient("too many snapshots are being taken").held_up());
        };
        let used: u64 = before.iter().flat_map(Kept::artefacts).map(|artefact| artefact.size).sum();
        let mut taking = Taking {
            captures,
            name,
            draft: Draft::begin(&folder)?,
            folder,
            started: Timestamp::now(),
            until,
            left: bounds.total.saturating_sub(usize::try_from(used).unwrap_or(usize::MAX)),
            before,
            artefacts: Vec::new(),
            missing: Vec::new(),
            forbidden: Vec::new(),
            _turn: turn,
        };
        let event = serde_json::from_slice::<Value>(&occurrence.payload).map_err(unreadable);
        taking.document("falco-event.json", event).await?;
        Ok(Begun::Taking(Box::new(taking)))
    }

    /// How many bytes may still be kept.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// False where an earlier run has it, or knows that nobody gets it.
    pub(super) fn wants(&self, name: &str) -> bool {
        self.before.as_ref().is_none_or(|kept| !kept.settles(name))
    }

    /// Keeps a document without its secrets, or takes down why there is none.
    pub(super) async fn document(
        &mut self,
        name: &str,
        read: Result<impl Into<Read>, ApiError>,
    ) -> Result<(), Failure> {
        if !self.wants(name) {
            return Ok(());
        }
        let Read { mut document, cut } = match read {
            Ok(read) => read.into(),
            Err(error) => return self.fail(name, error),
        };
        redact::document(&mut document);
        let text = serde_json::to_vec_pretty(&document)
            .map_err(|error| Failure::permanent(format!("{name} can't be written: {error}")))?;
        if text.len() > self.left {
            let why = format!("it has {} bytes, more than `total` leaves", text.len());
            self.miss(name, &why);
            return Ok(());
        }
        self.keep(name, text.into(), cut).await
    }

    pub(super) async fn log(
        &mut self,
        name: &str,
        log: Result<logs::Log, ApiError>,
    ) -> Result<(), Failure> {
        match log {
            Ok(log) => self.keep(name, log.text, log.cut).await,
            Err(error) if error.code() == Some(403) => self.fail(name, error),
            // The kubelet's own word, or that it gave none: it holds up nothing else.
            Err(error) => {
                self.miss(name, &error.to_string());
                Ok(())
            }
        }
    }

    /// Takes down what nobody gets.
    pub(super) fn miss(&mut self, name: &str, why: &str) {
        if self.wants(name) {
            self.missing.push(Missing { what: name.to_owned(), why: why.to_owned() });
        }
    }

    async fn keep(&mut self, name: &str, data: Bytes, cut: Option<String>) -> Result<(), Failure> {
        self.left = self.left.saturating_sub(data.len());
        let artefact = self.captures.evidence.keep(&self.draft, name, data, self.until).await?;
        self.artefacts.push(Artefact { cut, ..artefact });
        Ok(())
    }

    /// What can't be had now is tried again; what can't be had at all, or not with these rights, is taken down.
    fn fail(&mut self, name: &str, error: ApiError) -> Result<(), Failure> {
        let is_forbidden = error.code() == Some(403);
        let failure = Failure::from(error);
        if failure.kind != FailureKind::Permanent {
            return Err(failure);
        }
        match is_forbidden {
            true => self.forbidden.push(Missing { what: name.to_owned(), why: failure.why }),
            false => self.miss(name, &failure.why),
        }
        Ok(())
    }

    /// Seals what there is, beside what was there before.
    pub(super) async fn end(mut self: Box<Self>, about: About) -> Result<Ended, Failure> {
        let place = self.captures.evidence.name(&self.folder);
        let is_nothing = self.artefacts.is_empty() && self.missing.is_empty();
        if let Some(kept) = self.before.take_if(|_| is_nothing) {
            return Ok(Ended { kept, place, is_new: false });
        }
        self.carry_over();
        let manifest = Manifest {
            version: 1,
            capture: self.name.as_str().to_owned(),
            kind: REQUEST.to_owned(),
            about,
            started: self.started,
            ended: Timestamp::now(),
            artefacts: self.artefacts,
            missing: self.missing,
            forbidden: self.forbidden,
        };
        let evidence = &self.captures.evidence;
        let count = self.before.as_ref().map_or(0, Kept::count);
        let (is_new, sealed) =
            match evidence.seal(&self.folder, count, &manifest, self.until).await? {
                Sealed::New(ours) => (true, ours),
                // What it was forbidden, this worker may have been allowed.
                Sealed::Before(theirs) if !theirs.manifest.forbidden.is_empty() => {
                    let why = format!("another worker has kept a part of it at {place}");
                    return Err(Failure::transient(why).held_up());
                }
                Sealed::Before(theirs) => (false, theirs),
            };
        let kept = match self.before {
            Some(mut kept) => {
                kept.add(sealed);
                kept
            }
            None => Kept::new(sealed),
        };
        Ok(Ended { kept, place, is_new })
    }

    /// What was forbidden before and was not come to in this run is forbidden still.
    fn carry_over(&mut self) {
        let Some(before) = &self.before else { return };
        let of_now = |name: &str| {
            self.artefacts.iter().any(|artefact| artefact.name() == name)
                || self.missing.iter().chain(&self.forbidden).any(|missing| missing.what == name)
        };
        let old: Vec<_> =
            before.forbidden().iter().filter(|old| !of_now(&old.what)).cloned().collect();
        self.forbidden.extend(old);
    }
}
