//! The events of a journal that are not settled yet.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
};

use super::{
    Refusal,
    journals::Journals,
    letters::{After, sequence},
    wire::{Event, Page},
};

/// How many at once.
const PAGE: usize = 16;

pub(super) async fn list(
    State(journals): State<Arc<Journals>>,
    Path(name): Path<String>,
    Query(After { after }): Query<After>,
) -> Result<Json<Page<Event>>, Refusal> {
    let monitor = journals.monitor(&name)?;
    let after = sequence(&after.unwrap_or_default().to_string())?;
    let items = monitor.events(after, PAGE).await?;
    let next = items.last().map(|message| message.id.sequence());
    let total = monitor.depth().unsettled.messages;
    Ok(Json(Page { items: items.into_iter().map(Event::from).collect(), next, total }))
}
