//! The cluster's Responses: listed, shown, approved, denied, taken back, by the same calls as `stoop responses`.
//!
//! An answer is to what the page has shown: a response that was asked anew since, or began another run, is left alone.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use jiff::Timestamp;
use playbooks::act::{
    ApiError, Decision, Failure, Phase, Question, Reverter, Shelf, StoredResponse, TakenBack,
    TargetRef, Undecidable, Which,
};
use serde::{Deserialize, Serialize};
use tokio::{sync::Mutex, time::Instant};

use super::{Desk, Refusal};
use crate::config::Change;

/// How many are listed at most, the newest of them.
const MOST: usize = 500;

/// How long a list is good for everybody who looks: the API server is not to feel how many do.
const FRESH: Duration = Duration::from_secs(2);

/// The last list, and when it was made.
pub(super) type Listed = Mutex<Option<(Instant, List)>>;

#[derive(Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List {
    items: Vec<Summary>,
    /// How many there are in all.
    total: usize,
    /// Why there can be none.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<&'static str>,
}

/// One of a list.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    name: String,
    playbook: String,
    target: Option<TargetRef>,
    rule: String,
    event: String,
    phase: Phase,
    run: u32,
    members: u64,
    began: Timestamp,
    expires_at: Option<Timestamp>,
    done: String,
    /// Until when it waits for an answer, in seconds since 1970.
    waits_until: Option<i64>,
    /// Whether something of it may still be taken back.
    can_revert: bool,
}

impl Summary {
    fn of(stored: &StoredResponse) -> Self {
        let (spec, status) = (&stored.spec, stored.current());
        let phase = stored.phase();
        let waits = phase == Phase::Pending && spec.decision.is_none();
        let has_ended = !matches!(phase, Phase::Running | Phase::Pending | Phase::Reverted);
        let undone = status.map_or(0, |status| status.undone.len());
        Self {
            name: stored.metadata.name.clone().unwrap_or_default(),
            playbook: spec.playbook.clone(),
            target: spec.target.clone(),
            rule: spec.event.rule.clone(),
            event: spec.event.id.clone(),
            phase,
            run: spec.run,
            members: status.map_or(0, |status| status.members),
            began: spec.began,
            expires_at: status.and_then(|status| status.expires_at),
            done: status.map(|status| status.done.clone()).unwrap_or_default(),
            waits_until: spec.held.as_ref().filter(|_| waits).map(|held| held.until.as_second()),
            can_revert: has_ended && spec.changes.len() > undone,
        }
    }
}

/// What the page has shown when it asks for a decision.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Asked {
    event: String,
    waits_until: i64,
}

/// What the page has shown when it asks for a revert.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Shown {
    run: u32,
    /// Change nothing, and say what would be taken back.
    dry_run: bool,
}

#[derive(Serialize)]
pub(super) struct Reverted {
    undone: Vec<Taken>,
    failed: Vec<Taken>,
}

#[derive(Serialize)]
struct Taken {
    action: String,
    object: TargetRef,
    detail: String,
}

pub(super) async fn list(State(desk): State<Arc<Desk>>) -> Result<Json<List>, Refusal> {
    // Held while it is read: whoever comes meanwhile has the same list.
    let mut listed = desk.listed.lock().await;
    if let Some((at, list)) = &*listed
        && at.elapsed() < FRESH
    {
        return Ok(Json(list.clone()));
    }
    let list = match shelf(&desk).await? {
        Ok(shelf) => read(shelf).await?,
        Err(why) => List { missing: Some(why), ..List::default() },
    };
    *listed = Some((Instant::now(), list.clone()));
    Ok(Json(list))
}

async fn read(shelf: &Shelf) -> Result<List, Refusal> {
    let mut first = First::default();
    shelf.for_each(None, |stored| first.add(Summary::of(&stored))).await?;
    first.cut();
    Ok(List { items: first.items, total: first.total, missing: None })
}

/// The first of however many there are: no more than twice as many as are listed are held.
#[derive(Default)]
struct First {
    items: Vec<Summary>,
    total: usize,
}

impl First {
    fn add(&mut self, item: Summary) {
        self.total += 1;
        self.items.push(item);
        if self.items.len() >= 2 * MOST {
            self.cut();
        }
    }

    /// What waits for somebody first, then the newest.
    fn cut(&mut self) {
        self.items.sort_by_key(|it| (it.waits_until.is_none(), std::cmp::Reverse(it.began)));
        self.items.truncate(MOST);
    }
}

pub(super) async fn show(
    State(desk): State<Arc<Desk>>,
    Path(name): Path<String>,
) -> Result<Json<StoredResponse>, Refusal> {
    let mut stored = find(there(&desk).await?, &name).await?;
    stored.metadata.managed_fields = None;
    Ok(Json(stored))
}

pub(super) async fn approve(
    State(desk): State<Arc<Desk>>,
    Path(name): Path<String>,
    Json(asked): Json<Asked>,
) -> Result<StatusCode, Refusal> {
    decide(&desk, name, asked, Decision::Approved).await
}

pub(super) async fn deny(
    State(desk): State<Arc<Desk>>,
    Path(name): Path<String>,
    Json(asked): Json<Asked>,
) -> Result<StatusCode, Refusal> {
    decide(&desk, name, asked, Decision::Denied).await
}

async fn decide(
    desk: &Desk,
    name: String,
    asked: Asked,
    decision: Decision,
) -> Result<StatusCode, Refusal> {
    desk.may(Change::Approve)?;
    let question = Question { name, event: asked.event, until: asked.waits_until };
    let name = &question.name;
    let decided = there(desk).await?.decide(name, Some(&question), decision).await;
    desk.listed.lock().await.take();
    match decided {
        Ok(_) => {
            tracing::info!(response = name, ?decision, "decided on the page of the control port");
            Ok(StatusCode::NO_CONTENT)
        }
        Err(Undecidable::Failed(failure)) => Err(failure.into()),
        Err(why @ Undecidable::Unknown(_)) => Err(Refusal::not_found(why.to_string())),
        Err(why) => Err(Refusal(StatusCode::CONFLICT, why.to_string())),
    }
}

pub(super) async fn revert(
    State(desk): State<Arc<Desk>>,
    Path(name): Path<String>,
    Json(shown): Json<Shown>,
) -> Result<Json<Reverted>, Refusal> {
    desk.may(Change::Revert)?;
    let shelf = there(&desk).await?;
    let stored = find(shelf, &name).await?;
    if stored.spec.run != shown.run {
        let why = format!("the Response {name} has begun another run since: look again");
        return Err(Refusal(StatusCode::CONFLICT, why));
    }
    let reverter = format!("stoop-page-{:08x}", fastrand::u32(..));
    let lease = 2 * desk.told.config.limits.action_timeout.0;
    let reverter = Reverter { shelf, name: &reverter, lease };
    let done = reverter.revert(&stored, Which::All, shown.dry_run).await;
    desk.listed.lock().await.take();
    let done = done?;
    if !shown.dry_run {
        let (undone, failed) = (done.undone.len(), done.failed.len());
        tracing::info!(response = name, undone, failed, "reverted on the page of the control port");
    }
    Ok(Json(done.into()))
}

impl From<TakenBack> for Reverted {
    fn from(done: TakenBack) -> Self {
        let undone = done.undone.into_iter().map(|it| Taken {
            action: it.action,
            object: it.object,
            detail: it.detail,
        });
        let failed = done.failed.into_iter().map(|(change, failure)| Taken {
            action: change.action,
            object: change.object,
            detail: failure.why,
        });
        Self { undone: undone.collect(), failed: failed.collect() }
    }
}

async fn find(shelf: &Shelf, name: &str) -> Result<StoredResponse, Refusal> {
    let stored = shelf.get(name).await?;
    stored.ok_or_else(|| Refusal::not_found(format!("there is no Response {name}")))
}

/// Where they are, or why there are none.
async fn shelf(desk: &Desk) -> Result<Result<&Shelf, &'static str>, Refusal> {
    let Some(shelf) = &desk.shelf else {
        return Ok(Err("this worker was started without a cluster, which would keep them"));
    };
    Ok(match shelf.is_there().await? {
        true => Ok(shelf),
        false => Err(
            "the cluster has no Response objects: `stoop crds | kubectl apply -f -`, then start the workers anew",
        ),
    })
}

async fn there(desk: &Desk) -> Result<&Shelf, Refusal> {
    shelf(desk).await?.map_err(Refusal::not_found)
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::away(failure.why)
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Failure::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(number: usize, waits_until: Option<i64>) -> Summary {
        Summary {
            name: number.to_string(),
            playbook: "p".to_owned(),
            target: None,
            rule: String::new(),
            event: String::new(),
            phase: Phase::default(),
            run: 1,
            members: 0,
            began: Timestamp::from_second(i64::try_from(number).unwrap()).unwrap(),
            expires_at: None,
            done: String::new(),
            waits_until,
            can_revert: false,
        }
    }

    #[test]
    fn of_however_many_the_newest_are_held_and_those_that_wait_before_them() {
        let (mut first, many) = (First::default(), 10 * MOST);
        for number in 0..many {
            first.add(summary(number, (number % MOST == 7).then_some(1)));
            assert!(first.items.len() < 2 * MOST);
        }
        first.cut();
        assert_eq!((first.total, first.items.len()), (many, MOST));
        let (waiting, others) = first.items.split_at(10);
        assert!(waiting.iter().all(|it| it.waits_until.is_some()));
        let expected = (0..many).rev().filter(|number| number % MOST != 7).take(MOST - 10);
        let expected: Vec<_> = expected.map(|number| number.to_string()).collect();
        let held: Vec<_> = others.iter().map(|it| it.name.clone()).collect();
        assert_eq!(held, expected);
    }
}
