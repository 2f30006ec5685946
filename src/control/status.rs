//! The worker itself: what it waits for, its playbooks with what they have come to, how far it is behind.

use std::{collections::BTreeSet, sync::Arc};

use axum::{Json, extract::State};
use jiff::Timestamp;
use serde::Serialize;

use super::Desk;
use crate::{
    config::{Broker, Change},
    metrics::{Gauges, Partition},
    worker::feed::Counts,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WorkerStatus {
    name: String,
    version: &'static str,
    cluster: Option<String>,
    since: Timestamp,
    /// What the page may change.
    allow: BTreeSet<Change>,
    /// Whether there is a cluster that responses could be read from.
    has_cluster: bool,
    /// What is away or not up yet, a line each.
    waiting: Vec<String>,
    warnings: Vec<String>,
}

pub(super) async fn worker(State(desk): State<Arc<Desk>>) -> Json<WorkerStatus> {
    let told = &desk.told;
    let away =
        told.worker.outages.current().into_iter().map(|(what, why)| format!("{what}: {why}"));
    Json(WorkerStatus {
        name: told.worker.name.to_string(),
        version: env!("CARGO_PKG_VERSION"),
        cluster: told.worker.cluster.name.clone(),
        since: desk.since,
        allow: told.config.control.allow.clone(),
        has_cluster: desk.shelf.is_some(),
        waiting: away.chain(told.readiness.waiting()).collect(),
        warnings: told.readiness.warnings(),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PlaybookStatus {
    name: String,
    /// As far as this worker lets it go.
    mode: &'static str,
    /// The file or object that it was read from.
    source: String,
    actions: Vec<String>,
    #[serde(flatten)]
    counts: Counts,
}

pub(super) async fn playbooks(State(desk): State<Arc<Desk>>) -> Json<Vec<PlaybookStatus>> {
    let worker = &desk.told.worker;
    let mut counts = worker.feed.counts();
    let rules = worker.rules.now();
    let status = rules.plans().iter().map(|plan| {
        let playbook = &plan.playbook;
        PlaybookStatus {
            name: playbook.name.clone(),
            mode: playbook.mode.min(desk.told.mode_cap).as_str(),
            source: playbook.source.name().to_owned(),
            actions: playbook.actions.iter().map(|step| step.action.clone()).collect(),
            counts: counts.remove(&playbook.name).unwrap_or_default(),
        }
    });
    Json(status.collect())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SubscriptionLag {
    name: String,
    broker: &'static str,
    /// Deliveries that are worked on or wait here.
    in_flight: Option<usize>,
    lag: Option<u64>,
    oldest_seconds: Option<f64>,
    dead_letters: Option<u64>,
    partitions: Vec<Partition>,
    /// Of what the number speaks, and of what it doesn't.
    about: &'static str,
}

pub(super) async fn lag(State(desk): State<Arc<Desk>>) -> Json<Vec<SubscriptionLag>> {
    let lags = desk.told.worker.metrics.lags();
    let streams = desk.told.config.streams();
    let status = streams.iter().filter_map(|(name, subscription)| {
        let broker = subscription.broker().ok()?;
        let opened = lags.iter().find(|(other, ..)| other == name);
        let (in_flight, gauges) = match opened.cloned() {
            Some((_, held, gauges)) => (Some(held), Some(gauges)),
            None => (None, None),
        };
        let lag = gauges.as_ref().map(|gauges| gauges.lag);
        let Gauges { oldest_seconds, dead_letters, partitions, .. } = gauges.unwrap_or_default();
        Some(SubscriptionLag {
            name: name.clone(),
            broker: broker.as_str(),
            in_flight,
            lag,
            oldest_seconds,
            dead_letters,
            partitions,
            about: about(broker),
        })
    });
    Json(status.collect())
}

fn about(broker: Broker<'_>) -> &'static str {
    match broker {
        Broker::Kafka(_) => {
            "The partitions that this worker has; the group's others are its other workers'."
        }
        Broker::Nats(_) => {
            "The whole fleet's: its workers share one consumer, which has no partitions."
        }
        Broker::PubSub(_) => {
            "Only what this worker has received: Pub/Sub tells its clients nothing of what waits. Cloud Monitoring does, as num_undelivered_messages."
        }
        Broker::Journal(_) => "This worker's own journal, which has no partitions.",
    }
}
