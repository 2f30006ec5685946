//! `snapshot`: what the API server tells of a pod, its owner, its node, its events and its logs, kept as it was.
//!
//! What can't be had is named in the manifest and holds back nothing else: a node that is away still leaves the events.
//! Only a missing permission, which the next event would meet as well, makes the step fail, with the rest kept: the
//! manifest says what was forbidden, and a later run that may read it adds it in a manifest of its own.

mod gather;
mod logs;
mod redact;
mod tail;
mod taking;

use self::{
    gather::Source,
    taking::{Begun, Ended, Taking},
};
use super::{Captures, about_gone, about_pod, claimed_uid, config::Bounds, note};
use crate::act::{
    action::Context,
    api::{ApiError, Permission},
    outcome::{Failure, Outcome, SkipReason},
    target::{Gone, Verified},
};

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
    if taking.wants("events.json") {
        let events = source.events(gather::Events::OfUid(target.uid().as_str())).await;
        taking.document("events.json", events).await?;
    }
    if let Some(node) = target.node()
        && taking.wants("node.json")
    {
        taking.document("node.json", source.node(node).await).await?;
    }
    for (name, owner) in source.owners(target).await {
        taking.document(&name, owner).await?;
    }
    let until = cx.limit.half_of_calls();
    for log in logs::of(target.pod()) {
        let file = log.file();
        if taking.wants(&file) {
            let most = taking.left().min(bounds.log);
            let read = logs::read(&source, target.name(), &log, most, until).await;
            taking.log(&file, read).await?;
        }
    }
    let Ended { kept, place, is_new } = taking.end(about_pod(cx, target)).await?;
    note(cx, &kept);
    let but = kept.but();
    Ok(match kept.forbidden().first() {
        Some(first) => Outcome::Failed(Failure::permanent(format!(
            "{}; what could be had is kept at {place}{but}",
            first.why
        ))),
        None if is_new => {
            Outcome::Applied(format!("a snapshot of {} is kept at {place}{but}", target.object()))
        }
        None => Outcome::AlreadyDone(format!("another worker has kept it at {place}{but}")),
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
    if taking.wants("events.json") {
        taking.document("events.json", source.events(which).await).await?;
    }
    taking.miss("pod.json", &gone.why);
    let Ended { kept, place, .. } = taking.end(about_gone(cx, gone)).await?;
    note(cx, &kept);
    let but = kept.but();
    // Of logs, say, that were forbidden while the pod was there, no right will get anything any more.
    let events = kept.forbidden().iter().find(|missing| missing.what == "events.json");
    Ok(match events {
        Some(events) => Outcome::Failed(Failure::permanent(format!(
            "{}; what could be had is kept at {place}{but}",
            events.why
        ))),
        None => skipped(format!("its events are kept at {place}{but}")),
    })
}

fn unreadable(error: serde_json::Error) -> ApiError {
    Failure::permanent(format!("it can't be read: {error}")).into()
}
