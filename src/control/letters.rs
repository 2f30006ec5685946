//! The dead letters of a journal: listed, shown, redriven, dropped.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use brokers::{
    dead_letter::{Buried, MAX_AGE},
    journal::{Redriven, Sequence},
};
use bytes::Bytes;
use serde::Deserialize;
use settings::Span;

use super::{
    Refusal,
    journals::Journals,
    wire::{Letter, Page, Redrive},
};
use crate::letters::Filter;

/// How many are read at once, and how much a page may hold before it ends.
const STRIDE: usize = 16;
const PAGE: usize = 256;
const PAGE_BYTES: usize = 4 << 20;
/// How many a request looks at: where few are wanted, the next request goes on.
const LOOKED_AT: usize = 4096;

/// Where a list goes on.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct After {
    pub(super) after: Option<u64>,
}

pub(super) async fn list(
    State(journals): State<Arc<Journals>>,
    Path(name): Path<String>,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<Json<Page<Letter>>, Refusal> {
    let (filter, mut after) = asked(parameters)?;
    let monitor = journals.monitor(&name)?;
    let total = monitor.depth().dead.messages;
    let (mut items, mut bytes, mut looked_at) = (Vec::new(), 0, 0);
    while items.len() < PAGE && bytes < PAGE_BYTES && looked_at < LOOKED_AT {
        let found = monitor.dead_letters(after, STRIDE).await?;
        let Some(last) = found.last() else { return Ok(Json(Page { items, next: None, total })) };
        after = sequence(&last.place)?;
        looked_at += found.len();
        for buried in found.into_iter().filter(|buried| filter.wants(buried)) {
            bytes += buried.message.payload.len();
            items.push(buried.into());
        }
    }
    Ok(Json(Page { items, next: Some(after.get()), total }))
}

pub(super) async fn show(
    State(journals): State<Arc<Journals>>,
    Path((name, place)): Path<(String, String)>,
) -> Result<Json<Letter>, Refusal> {
    let found = journals.monitor(&name)?.dead_letter(sequence(&place)?).await?;
    found.map(|buried: Buried| Json(buried.into())).ok_or_else(|| missing(&place))
}

pub(super) async fn redrive(
    State(journals): State<Arc<Journals>>,
    Path((name, place)): Path<(String, String)>,
    Json(Redrive { playbooks, max_age }): Json<Redrive>,
) -> Result<StatusCode, Refusal> {
    let mut more = Vec::new();
    if let Some(age) = max_age {
        Span::parse(&age).map_err(|why| Refusal(StatusCode::BAD_REQUEST, why))?;
        more.push((MAX_AGE.to_owned(), Bytes::from(age)));
    }
    let monitor = journals.monitor(&name)?;
    match monitor.redrive(sequence(&place)?, &playbooks, &more).await? {
        Redriven::Done => {
            tracing::info!(subscription = name, place, "redriven by the control port");
            Ok(StatusCode::NO_CONTENT)
        }
        Redriven::NotThere => Err(missing(&place)),
        Redriven::NoRoom => {
            let why = "the journal holds as many events as its `capacity` allows".to_owned();
            Err(Refusal(StatusCode::INSUFFICIENT_STORAGE, why))
        }
    }
}

pub(super) async fn remove(
    State(journals): State<Arc<Journals>>,
    Path((name, place)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    match journals.monitor(&name)?.remove(sequence(&place)?).await? {
        true => {
            tracing::info!(subscription = name, place, "dropped by the control port");
            Ok(StatusCode::NO_CONTENT)
        }
        false => Err(missing(&place)),
    }
}

/// The conditions of a query, and where it begins.
fn asked(parameters: Vec<(String, String)>) -> Result<(Filter, Sequence), Refusal> {
    let mut after = Sequence::default();
    let mut conditions = serde_json::Map::new();
    for (name, value) in parameters {
        match name.as_str() {
            "after" => after = sequence(&value)?,
            _ => drop(conditions.insert(name, value.into())),
        }
    }
    let filter = serde_json::from_value(conditions.into());
    let filter = filter.map_err(|e| Refusal(StatusCode::BAD_REQUEST, e.to_string()))?;
    Ok((filter, after))
}

pub(super) fn sequence(text: &str) -> Result<Sequence, Refusal> {
    let wrong = |_| Refusal(StatusCode::BAD_REQUEST, format!("`{text}` is no sequence"));
    text.parse().map_err(wrong)
}

fn missing(place: &str) -> Refusal {
    // Another status than that of a journal which is not open: this one is somebody's work done.
    Refusal(StatusCode::GONE, format!("there is no dead letter {place}"))
}
