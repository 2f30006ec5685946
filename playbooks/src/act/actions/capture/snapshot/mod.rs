//! `snapshot`: what the API server tells of a pod, its owner, its node, its events and its logs, kept as it was.
//!
//! What can't be had is named in the manifest and holds back nothing else: a node that is away still leaves the events.
//! Only a missing permission, which the next event would meet as well, makes the step fail, with the rest kept.

mod gather;
mod logs;
mod redact;
mod tail;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use self::gather::Source;
use super::{Captures, about_gone, about_pod, claimed_uid, config::Bounds, name::Name};
use crate::act::{
    action::Context,
    api::{ApiError, Permission},
    evidence::{About, Artefact, Draft, Folder, Manifest, Missing, Sealed},
    outcome::{Failure, FailureKind, Outcome, SkipReason},
    target::{Gone, Verified},
};

/// What the words of a snapshot's name begin with; they are the same whatever its bounds are.
const REQUEST: &str = "snapshot";

pub(super) fn permissions() -> Vec<Permission> {
    let mut all = gather::permissions();
    all.push(Permission::new("", "pods/log", "get"));
    all
}

/// Of a live pod.
pub(super) async fn of_pod(
    cx: &Context<'_>,
    captures: &Captures,
    bounds: &Bounds,
    target: &Verified,
) -> Result<Outcome, Failure> {
    let mut taking = match Taking::begin(cx, captures, bounds).await? {
        Begun::Taking(taking) => taking,
        Begun::Before(done) => return Ok(Outcome::AlreadyDone(done)),
    };
    let source = Source { api: &cx.api()?, namespace: target.namespace() };
    taking.document("pod.json", serde_json::to_value(target.pod()).map_err(unreadable)).await?;
    let events = source.events(gather::Events::OfUid(target.uid().as_str())).await;
    taking.document("events.json", events).await?;
    if let Some(node) = target.node() {
        taking.document("node.json", source.node(node).await).await?;
    }
    for (name, owner) in source.owners(target).await {
        taking.document(&name, owner).await?;
    }
    let until = cx.limit.half_of_calls();
    for log in logs::of(target.pod()) {
        let most = taking.left().min(bounds.log);
        let read = logs::read(&source, target.name(), &log, most, until).await;
        taking.log(&log.file(), read).await?;
    }
    taking.end(about_pod(cx, target)).await.map(|ended| match ended {
        Ended { forbidden: Some(why), place, .. } => Outcome::Failed(Failure::permanent(format!(
            "{why}; what could be had is kept at {place}"
        ))),
        Ended { is_new: true, place, .. } => {
            Outcome::Applied(format!("a snapshot of {} is kept at {place}", target.object()))
        }
        Ended { place, .. } => {
            Outcome::AlreadyDone(format!("another worker has kept it at {place}"))
        }
    })
}

/// Of a pod that is gone there are its events still, for an hour or so, and the event itself.
pub(super) async fn of_gone(
    cx: &Context<'_>,
    captures: &Captures,
    bounds: &Bounds,
    gone: &Gone,
) -> Result<Outcome, Failure> {
    let skipped =
        |what: String| Outcome::Skipped(SkipReason::Gone, format!("{}; {what}", gone.why));
    let Some(object) = &gone.object else {
        return Ok(skipped("the event names nothing of it".into()));
    };
    let Some(namespace) = &object.namespace else {
        return Ok(skipped("the event names no namespace to look for its events in".into()));
    };
    let mut taking = match Taking::begin(cx, captures, bounds).await? {
        Begun::Taking(taking) => taking,
        Begun::Before(done) => return Ok(skipped(done)),
    };
    let source = Source { api: &cx.api()?, namespace };
    let uid = claimed_uid(cx);
    let which = match &uid {
        Some(uid) => gather::Events::OfUid(uid),
        None => gather::Events::OfName(&object.name),
    };
    taking.document("events.json", source.events(which).await).await?;
    taking.missing.push(Missing { what: "pod.json".into(), why: gone.why.clone() });
    let ended = taking.end(about_gone(cx, gone)).await?;
    Ok(match ended.forbidden {
        Some(why) => Outcome::Failed(Failure::permanent(why)),
        None => skipped(format!("its events are kept at {}", ended.place)),
    })
}

fn unreadable(error: serde_json::Error) -> ApiError {
    Failure::permanent(format!("it can't be read: {error}")).into()
}

enum Begun<'a> {
    Taking(Box<Taking<'a>>),
    /// An earlier delivery of the event has kept it; where, in words.
    Before(String),
}

/// A snapshot on its way into the store.
struct Taking<'a> {
    captures: &'a Captures,
    name: Name,
    folder: Folder,
    draft: Draft,
    started: Timestamp,
    until: Instant,
    left: usize,
    artefacts: Vec<Artefact>,
    missing: Vec<Missing>,
    forbidden: Option<String>,
    /// Held to the end: what is in memory at a time is bounded.
    _turn: tokio::sync::SemaphorePermit<'a>,
}

struct Ended {
    is_new: bool,
    place: String,
    forbidden: Option<String>,
}

impl<'a> Taking<'a> {
    async fn begin(
        cx: &Context<'_>,
        captures: &'a Captures,
        bounds: &Bounds,
    ) -> Result<Begun<'a>, Failure> {
        let occurrence = cx.occurrence();
        let name = Name::new(occurrence.id, REQUEST);
        let folder = name.folder(occurrence.time);
        let until = cx.limit.calls;
        if captures.evidence.sealed(&folder, until).await?.is_some() {
            let place = captures.evidence.name(&folder);
            return Ok(Begun::Before(format!("it is kept at {place} already")));
        }
        let turn = tokio::time::timeout_at(until, captures.turn.acquire()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(Failure::transient("too many snapshots are being taken").held_up());
        };
        let mut taking = Taking {
            captures,
            draft: Draft::begin(&folder)?,
            name,
            folder,
            started: Timestamp::now(),
            until,
            left: bounds.total,
            artefacts: Vec::new(),
            missing: Vec::new(),
            forbidden: None,
            _turn: turn,
        };
        let event = serde_json::from_slice(&occurrence.payload).map_err(unreadable);
        taking.document("falco-event.json", event).await?;
        Ok(Begun::Taking(Box::new(taking)))
    }

    /// How many bytes may still be kept.
    fn left(&self) -> usize {
        self.left
    }

    /// Keeps a document without its secrets, or takes down why there is none.
    async fn document(
        &mut self,
        name: &str,
        document: Result<Value, ApiError>,
    ) -> Result<(), Failure> {
        let mut document = match document {
            Ok(document) => document,
            Err(error) => return self.miss(name, error),
        };
        redact::document(&mut document);
        let text = serde_json::to_vec_pretty(&document)
            .map_err(|error| Failure::permanent(format!("{name} can't be written: {error}")))?;
        if text.len() > self.left {
            let why = format!("it has {} bytes, more than `total` leaves", text.len());
            self.missing.push(Missing { what: name.to_owned(), why });
            return Ok(());
        }
        self.keep(name, text.into(), None).await
    }

    async fn log(&mut self, name: &str, log: Result<logs::Log, ApiError>) -> Result<(), Failure> {
        match log {
            Ok(log) => self.keep(name, log.text, log.cut).await,
            Err(error) if error.code() == Some(403) => self.miss(name, error),
            // The kubelet's own word, or that it gave none: it holds up nothing else.
            Err(error) => {
                self.missing.push(Missing { what: name.to_owned(), why: error.to_string() });
                Ok(())
            }
        }
    }

    async fn keep(&mut self, name: &str, data: Bytes, cut: Option<String>) -> Result<(), Failure> {
        self.left = self.left.saturating_sub(data.len());
        let artefact = self.captures.evidence.keep(&self.draft, name, data, self.until).await?;
        self.artefacts.push(Artefact { cut, ..artefact });
        Ok(())
    }

    /// What can't be had now is tried again; what can't be had at all is taken down.
    fn miss(&mut self, name: &str, error: ApiError) -> Result<(), Failure> {
        let is_forbidden = error.code() == Some(403);
        let failure = Failure::from(error);
        if failure.kind != FailureKind::Permanent {
            return Err(failure);
        }
        if is_forbidden {
            self.forbidden.get_or_insert_with(|| failure.why.clone());
        }
        self.missing.push(Missing { what: name.to_owned(), why: failure.why });
        Ok(())
    }

    async fn end(self, about: About) -> Result<Ended, Failure> {
        let manifest = Manifest {
            version: 1,
            capture: self.name.as_str().to_owned(),
            kind: REQUEST.to_owned(),
            about,
            started: self.started,
            ended: Timestamp::now(),
            artefacts: self.artefacts,
            missing: self.missing,
        };
        let sealed = self.captures.evidence.seal(&self.folder, &manifest, self.until).await?;
        let place = self.captures.evidence.name(&self.folder);
        Ok(Ended { is_new: sealed == Sealed::New, place, forbidden: self.forbidden })
    }
}
