//! What the worker counts, for Prometheus. Labels come from closed sets: names in the configuration, those of the playbooks in
//! force, and `as_str()`. Nothing that an event or a pod says is one.

mod ages;
mod define;
mod state;
mod watched;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use brokers::{Pool, pump::Passed};
use jiff::Timestamp;
use prometheus::{
    Encoder, GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Registry,
    TextEncoder, core::Collector as _,
};

pub use ages::{Ages, Aging};
use define::Shelf;
pub use define::{Definition, Kind};
pub(crate) use state::State;
use watched::{Ask, Watched, raise};
pub use watched::{Gauges, Partition};

use crate::telemetry;

/// The worker's metrics, under one registry.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    defined: Vec<Definition>,
    /// Events by what their decoding and matching came to.
    pub events: IntCounterVec,
    /// Settled deliveries, by how.
    pub settled: IntCounterVec,
    /// Deliveries of messages that were handed to a worker before.
    pub redelivered: IntCounterVec,
    /// Dead letters that were written, by why.
    pub dead_lettered: IntCounterVec,
    /// Playbooks that answered by another event's response, before anything was read for the event itself.
    pub shared: IntCounter,
    /// What became of playbooks that were changed.
    pub playbook_changes: IntCounterVec,
    /// Finished responses, by playbook, mode and outcome.
    pub responses: IntCounterVec,
    /// How long responses took, by outcome.
    pub response_time: HistogramVec,
    /// Finished steps, by action and outcome.
    pub actions: IntCounterVec,
    /// How long steps took, by action.
    pub action_time: HistogramVec,
    /// Refusals, by the guardrail that refused.
    pub refusals: IntCounterVec,
    /// Attempts of a response after its first.
    pub retries: IntCounterVec,
    /// From the event's own time to its first applied action.
    pub time_to_effect: Histogram,
    /// Audit lines that could not be written.
    pub audit_failures: IntCounter,
    /// Which subscriptions have no acks.
    pub loses: IntGaugeVec,
    pub(crate) state: State,
    spans: IntCounterVec,
    messages: IntCounterVec,
    in_flight: IntGaugeVec,
    lag: IntGaugeVec,
    lag_committed: IntGaugeVec,
    kept_letters: IntGaugeVec,
    intake: IntCounterVec,
    oldest: GaugeVec,
    ages: Mutex<BTreeMap<String, Arc<Ages>>>,
    subscriptions: Mutex<Vec<Watched>>,
}

impl Metrics {
    /// Fresh metrics in a registry of their own.
    ///
    /// # Errors
    /// Two metrics of one name, which a test would show.
    pub fn new() -> prometheus::Result<Arc<Self>> {
        let mut shelf = Shelf::new()?;
        let of = &mut shelf;
        let build = of.gauges("build_info", "Always 1, for the version", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let metrics = Self {
            events: of.counters("events_total", "Decoded events by what they came to", &["subscription", "result"])?,
            settled: of.counters("settled_total", "Settled deliveries", &["subscription", "how"])?,
            redelivered: of.counters(
                "redelivered_total",
                "Deliveries of messages that were handed to a worker before",
                &["subscription"],
            )?,
            dead_lettered: of.counters("dead_lettered_total", "Dead letters written", &["subscription", "reason"])?,
            shared: of.counter(
                "shared_answers_total",
                "Answers by the response of an event that said the same of its pod, with no read of its own",
            )?,
            playbook_changes: of.counters(
                "playbook_changes_total",
                "Changes of playbooks, files and objects, by what became of them",
                &["result"],
            )?,
            responses: of.counters("responses_total", "Finished responses", &["playbook", "mode", "outcome"])?,
            response_time: of.histograms(
                "response_seconds",
                "From a response's beginning to its audit line, waits included",
                &["outcome"],
            )?,
            actions: of.counters("actions_total", "Finished actions", &["action", "outcome"])?,
            action_time: of.histograms(
                "action_seconds",
                "From the end of the step before to the end of this one, guardrails and tries included",
                &["action"],
            )?,
            refusals: of.counters("refusals_total", "Responses refused", &["guardrail"])?,
            retries: of.counters("retries_total", "Attempts after the first", &["cause"])?,
            time_to_effect: of.histogram(
                "time_to_effect_seconds",
                "From the event's time to its response's first applied action",
            )?,
            audit_failures: of.counter("audit_failures_total", "Audit lines that could not be written, each try")?,
            spans: of.counters("spans_total", "Spans by what became of them on their way out", &["result"])?,
            loses: of.gauges(
                "can_lose_events",
                "1 where the broker has no acks, as acceptLoss accepts",
                &["subscription"],
            )?,
            messages: of.counters(
                "messages_total",
                "Messages received by what became of them",
                &["subscription", "fate"],
            )?,
            in_flight: of.gauges("in_flight", "Deliveries held now", &["subscription"])?,
            lag: of.gauges(
                "lag",
                "Messages not settled yet, of this worker, which add up, or of the whole fleet",
                &["subscription", "scope"],
            )?,
            lag_committed: of.gauges(
                "lag_committed",
                "Messages after the last one that is committed",
                &["subscription"],
            )?,
            kept_letters: of.gauges("journal_dead_letters", "Dead letters kept in the journal", &["subscription"])?,
            intake: of.counters(
                "intake_total",
                "Events accepted and requests refused by the intake",
                &["subscription", "result"],
            )?,
            oldest: of.fractions(
                "oldest_unsettled_seconds",
                "Age of the oldest unsettled event: of all in a journal, elsewhere of those that playbooks are asked about",
                &["subscription"],
            )?,
            state: State::new(of)?,
            ages: Mutex::default(),
            subscriptions: Mutex::default(),
            registry: shelf.registry,
            defined: shelf.defined,
        };
        // There from the start: of one that begins with its first, no increase is seen.
        for result in ["taken", "refused"] {
            metrics.playbook_changes.with_label_values(&[result]);
        }
        Ok(Arc::new(metrics))
    }

    /// Every metric that there is, whether it was counted yet or not, by name.
    pub fn definitions(&self) -> Vec<Definition> {
        let mut defined = self.defined.clone();
        defined.sort_by(|one, other| one.name.cmp(&other.name));
        defined
    }

    /// The events that a subscription works on.
    pub fn ages(&self, subscription: &str) -> Arc<Ages> {
        lock(&self.ages).entry(subscription.to_owned()).or_default().clone()
    }

    /// Reads a subscription's counters and lag at every scrape from now on.
    pub fn watch(&self, name: &str, passed: Arc<Passed>, pool: Pool, ask: Ask) {
        let ages = self.ages(name);
        let watched = Watched { name: name.to_owned(), passed, pool, ages, ask };
        let mut subscriptions = lock(&self.subscriptions);
        // One that was built anew takes the place of its predecessor.
        subscriptions.retain(|other| other.name != name);
        subscriptions.push(watched);
    }

    /// What each subscription that was opened tells of itself now, by name, and how many of its deliveries are held.
    pub fn lags(&self) -> Vec<(String, usize, Gauges)> {
        let lag = |it: &Watched| (it.name.clone(), it.pool.held(), (it.ask)());
        lock(&self.subscriptions).iter().map(lag).collect()
    }

    /// Drops the series of playbooks that are not in force: whoever makes objects could choose names without end.
    pub(crate) fn forget_others(&self, in_force: &BTreeSet<&str>) {
        for family in self.responses.collect() {
            for series in family.get_metric() {
                let labels: HashMap<_, _> =
                    series.get_label().iter().map(|label| (label.name(), label.value())).collect();
                if labels.get("playbook").is_some_and(|name| !in_force.contains(name)) {
                    // Nobody else drops it, and if so it is gone.
                    let _ = self.responses.remove(&labels);
                }
            }
        }
    }

    /// The text that Prometheus scrapes.
    ///
    /// # Errors
    /// The encoder's.
    pub fn render(&self) -> prometheus::Result<Vec<u8>> {
        let now = Timestamp::now();
        lock(&self.subscriptions).iter().for_each(|watched| watched.read(self, now));
        for (result, count) in telemetry::counts() {
            raise(&self.spans.with_label_values(&[result]), count);
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
