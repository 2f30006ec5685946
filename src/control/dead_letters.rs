//! The dead letters of any subscription, for the page: those of an open journal in its file, others on their broker.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use brokers::{
    Error,
    dead_letter::{Buried, Queue},
    journal::{Monitor, Redriven, Sequence},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::{Desk, Refusal, letters::sequence};
use crate::{
    config::{Broker, Change},
    letters::{queue, rule_of},
};

/// How many are listed at most, and how long may be looked for them.
const MOST: usize = 200;
const PATIENCE: Duration = Duration::from_secs(20);

/// How many of a journal's are held at once.
const STRIDE: usize = 16;

/// How much of a message is shown, in bytes.
const SHOWN: usize = 64 << 10;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List {
    items: Vec<Letter>,
    /// Whether there are more.
    is_cut: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Letter {
    place: String,
    rule: Option<String>,
    reason: String,
    error: String,
    attempts: u32,
    first_failed: Timestamp,
    last_failed: Timestamp,
    /// Empty for all.
    playbooks: Vec<String>,
    worker: String,
    /// The message as text, or its beginning; only where one is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

/// Which letter is meant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct At {
    place: String,
}

impl Letter {
    fn of(buried: &Buried) -> Self {
        let letter = &buried.letter;
        Self {
            place: buried.place.clone(),
            rule: rule_of(buried).map(|rule| rule.into_owned()),
            reason: letter.reason.clone(),
            error: letter.error.clone(),
            attempts: letter.attempts,
            first_failed: letter.first_failed,
            last_failed: letter.last_failed,
            playbooks: letter.failed.clone(),
            worker: letter.worker.clone(),
            body: None,
        }
    }

    fn whole(buried: &Buried) -> Self {
        let payload = &buried.message.payload;
        let text = String::from_utf8_lossy(payload.get(..SHOWN).unwrap_or(payload)).into_owned();
        Self { body: Some(text), ..Self::of(buried) }
    }
}

/// Where a subscription's dead letters are.
enum Kept {
    Here(Monitor),
    There(Box<dyn Queue>),
}

pub(super) async fn list(
    State(desk): State<Arc<Desk>>,
    Path(name): Path<String>,
) -> Result<Json<List>, Refusal> {
    let listed = async {
        let mut items = Vec::new();
        match kept(&desk, &name).await? {
            Kept::Here(monitor) => {
                let mut after = Sequence::default();
                while items.len() <= MOST {
                    let found = monitor.dead_letters(after, STRIDE).await?;
                    let Some(last) = found.last() else { break };
                    after = sequence(&last.place)?;
                    items.extend(found.iter().map(Letter::of));
                }
            }
            Kept::There(mut queue) => {
                while items.len() <= MOST
                    && let Some(buried) = queue.next().await?
                {
                    items.push(Letter::of(&buried));
                }
            }
        }
        let is_cut = items.len() > MOST;
        items.truncate(MOST);
        Ok(Json(List { items, is_cut }))
    };
    in_time(listed).await
}

pub(super) async fn show(
    State(desk): State<Arc<Desk>>,
    Path(name): Path<String>,
    Query(At { place }): Query<At>,
) -> Result<Json<Letter>, Refusal> {
    let shown = async {
        let buried = match kept(&desk, &name).await? {
            Kept::Here(monitor) => monitor.dead_letter(sequence(&place)?).await?,
            Kept::There(mut queue) => find(&mut *queue, &place).await?,
        };
        buried.map(|buried| Json(Letter::whole(&buried))).ok_or_else(|| gone(&place))
    };
    in_time(shown).await
}

pub(super) async fn redrive(
    State(desk): State<Arc<Desk>>,
    Path(name): Path<String>,
    Json(At { place }): Json<At>,
) -> Result<StatusCode, Refusal> {
    desk.may(Change::Redrive)?;
    let redriven = async {
        match kept(&desk, &name).await? {
            Kept::Here(monitor) => match monitor.redrive(sequence(&place)?, &[], &[]).await? {
                Redriven::Done => {}
                Redriven::NotThere => return Err(gone(&place)),
                Redriven::NoRoom => {
                    let why = "the journal holds as many events as its `capacity` allows";
                    return Err(Refusal(StatusCode::INSUFFICIENT_STORAGE, why.to_owned()));
                }
            },
            Kept::There(mut queue) => {
                let buried = find(&mut *queue, &place).await?.ok_or_else(|| gone(&place))?;
                queue.redrive(&buried, &[]).await?;
            }
        }
        tracing::info!(subscription = name, place, "redriven on the page of the control port");
        Ok(StatusCode::NO_CONTENT)
    };
    in_time(redriven).await
}

pub(super) async fn remove(
    State(desk): State<Arc<Desk>>,
    Path(name): Path<String>,
    Json(At { place }): Json<At>,
) -> Result<StatusCode, Refusal> {
    desk.may(Change::Drop)?;
    let removed = async {
        match kept(&desk, &name).await? {
            Kept::Here(monitor) => {
                if !monitor.remove(sequence(&place)?).await? {
                    return Err(gone(&place));
                }
            }
            Kept::There(mut queue) => {
                let buried = find(&mut *queue, &place).await?.ok_or_else(|| gone(&place))?;
                queue.remove(&buried).await?;
            }
        }
        tracing::info!(subscription = name, place, "dropped on the page of the control port");
        Ok(StatusCode::NO_CONTENT)
    };
    in_time(removed).await
}

async fn kept(desk: &Desk, name: &str) -> Result<Kept, Refusal> {
    let config = &desk.told.config;
    let streams = config.streams();
    let subscription = streams
        .get(name)
        .ok_or_else(|| Refusal::not_found(format!("there is no subscription {name}")))?;
    if let Ok(Broker::Journal(_)) = subscription.broker() {
        return desk.told.journals.monitor(name).map(Kept::Here);
    }
    Ok(Kept::There(queue(name, subscription, &config.control).await?))
}

async fn find(queue: &mut dyn Queue, place: &str) -> Result<Option<Buried>, Error> {
    while let Some(buried) = queue.next().await? {
        if buried.place == place {
            return Ok(Some(buried));
        }
    }
    Ok(None)
}

async fn in_time<T>(asked: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
    let late = |_| {
        let why =
            format!("the broker took longer than {PATIENCE:?}: `stoop dlq` has more patience");
        Refusal(StatusCode::GATEWAY_TIMEOUT, why)
    };
    timeout(PATIENCE, asked).await.map_err(late)?
}

fn gone(place: &str) -> Refusal {
    Refusal(StatusCode::GONE, format!("there is no dead letter {place}"))
}
