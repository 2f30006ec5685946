//! The feed, as server-sent events: what is still known, then what comes, until the reader leaves or the worker does.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::{Query, State},
    response::sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, StreamExt, stream};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;

use super::Desk;
use crate::worker::feed::{Entry, Look};

/// How often something is said where nothing happens: who hears nothing for longer is disconnected.
const BEAT: Duration = Duration::from_secs(5);

/// Where a reader goes on that was here before.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct From {
    /// The feed that it read; another one begins anew.
    feed: String,
    /// The last entry that it has.
    after: Option<u64>,
}

pub(super) async fn feed(
    State(desk): State<Arc<Desk>>,
    Query(from): Query<From>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let feed = &desk.told.worker.feed;
    let after = from.after.filter(|_| from.feed == feed.name());
    let Look { entries, missed, live } = feed.look(after);
    let hello = Event::default().event("hello").data(json!({"feed": feed.name()}).to_string());
    let lost_before = (missed > 0 && after.is_some()).then(|| lost(missed));
    let known = entries.into_iter().map(|entry| shown(&entry));
    let first = stream::iter([hello].into_iter().chain(lost_before).chain(known));
    let events = first.chain(coming(live)).map(Ok).take_until(left(desk.stop.clone()));
    Sse::new(events).keep_alive(KeepAlive::new().interval(BEAT))
}

fn coming(live: Receiver<Arc<Entry>>) -> impl Stream<Item = Event> {
    stream::unfold(live, async |mut live| match live.recv().await {
        Ok(entry) => Some((shown(&entry), live)),
        Err(RecvError::Lagged(count)) => Some((lost(count), live)),
        Err(RecvError::Closed) => None,
    })
}

fn shown(entry: &Entry) -> Event {
    Event::default().data(entry.json())
}

fn lost(count: u64) -> Event {
    Event::default().event("lost").data(json!({"count": count}).to_string())
}

async fn left(stop: CancellationToken) {
    stop.cancelled().await;
}
