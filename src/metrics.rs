//! What the worker counts, for Prometheus. Labels come from closed sets: names in the configuration and `as_str()`.

use std::sync::{Arc, Mutex, PoisonError, atomic::Ordering};

use brokers::{Pool, pump::Passed};
use prometheus::{
    Encoder, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use serde::Serialize;

use crate::worker::outage::Outages;

/// The worker's metrics, under one registry.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Events by what their decoding and matching came to.
    pub events: IntCounterVec,
    /// Settled deliveries, by how.
    pub settled: IntCounterVec,
    /// Playbooks that answered by another event's response, before anything was read for the event itself.
    pub shared: IntCounter,
    /// What became of playbooks that were changed.
    pub playbook_changes: IntCounterVec,
    /// Finished responses, by playbook, mode and outcome.
    pub responses: IntCounterVec,
    /// Finished steps, by action and outcome.
    pub actions: IntCounterVec,
    /// Refusals, by the guardrail that refused.
    pub refusals: IntCounterVec,
    /// Attempts of a response after its first.
    pub retries: IntCounterVec,
    /// From the event's own time to its first applied action.
    pub time_to_effect: Histogram,
    messages: IntCounterVec,
    in_flight: IntGaugeVec,
    lag: IntGaugeVec,
    lag_committed: IntGaugeVec,
    dead_letters: IntGaugeVec,
    intake: IntCounterVec,
    oldest: GaugeVec,
    /// Which subscriptions have no acks.
    pub loses: IntGaugeVec,
    outage: IntGaugeVec,
    subscriptions: Mutex<Vec<Watched>>,
}

/// What a subscription's broker tells of itself at a scrape.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    /// Messages not settled yet: those that wait, and those in flight.
    pub lag: u64,
    /// Messages after the last that is committed, where that differs: one that is slow holds back those settled after it.
    pub lag_committed: Option<u64>,
    /// Age of the oldest of them in seconds, where the broker tells.
    pub oldest_seconds: Option<f64>,
    /// Dead letters that it keeps itself.
    pub dead_letters: Option<u64>,
    /// The same lag by partition, where there are any that are this worker's.
    pub partitions: Vec<Partition>,
    /// What its own intake has done so far, by result; the results are a closed set.
    pub intake: Vec<(&'static str, u64)>,
}

/// How far a partition is behind.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Partition {
    /// `TOPIC/NUMBER`.
    pub name: String,
    /// Messages that nobody has looked at yet.
    pub waiting: u64,
    /// Messages after the last that is committed.
    pub uncommitted: u64,
}

type Ask = Box<dyn Fn() -> Gauges + Send + Sync>;

struct Watched {
    name: String,
    passed: Arc<Passed>,
    pool: Pool,
    ask: Ask,
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watched").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Metrics {
    /// Fresh metrics in a registry of their own.
    ///
    /// # Errors
    /// Two metrics of one name, which a test would show.
    pub fn new() -> prometheus::Result<Arc<Self>> {
        let registry = Registry::new_custom(Some("stoop".into()), None)?;
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            prometheus::Result::Ok(metric)
        };
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            prometheus::Result::Ok(metric)
        };
        let seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];
        let time_to_effect = Histogram::with_opts(
            HistogramOpts::new(
                "time_to_effect_seconds",
                "From the event's time to its response's first applied action",
            )
            .buckets(seconds.to_vec()),
        )?;
        registry.register(Box::new(time_to_effect.clone()))?;
        let oldest = GaugeVec::new(
            Opts::new("oldest_unsettled_seconds", "Age of the oldest unsettled message"),
            &["subscription"],
        )?;
        registry.register(Box::new(oldest.clone()))?;
        let shared = IntCounter::new(
            "shared_answers_total",
            "Answers by the response of an event that said the same of its pod, with no read of its own",
        )?;
        registry.register(Box::new(shared.clone()))?;
        Ok(Arc::new(Self {
            events: counter(
                "events_total",
                "Decoded events by what they came to",
                &["subscription", "result"],
            )?,
            settled: counter("settled_total", "Settled deliveries", &["subscription", "how"])?,
            playbook_changes: counter(
                "playbook_changes_total",
                "Changes of the playbooks' files by what became of them",
                &["result"],
            )?,
            responses: counter(
                "responses_total",
                "Finished responses",
                &["playbook", "mode", "outcome"],
            )?,
            actions: counter("actions_total", "Finished actions", &["action", "outcome"])?,
            refusals: counter("refusals_total", "Responses refused", &["guardrail"])?,
            retries: counter("retries_total", "Attempts after the first", &["cause"])?,
            messages: counter(
                "messages_total",
                "Messages received by what became of them",
                &["subscription", "fate"],
            )?,
            in_flight: gauge("in_flight", "Deliveries held now", &["subscription"])?,
            lag: gauge("lag", "Messages not settled yet", &["subscription"])?,
            lag_committed: gauge(
                "lag_committed",
                "Messages after the last one that is committed",
                &["subscription"],
            )?,
            dead_letters: gauge(
                "journal_dead_letters",
                "Dead letters kept in the journal",
                &["subscription"],
            )?,
            intake: counter(
                "intake_total",
                "Events accepted and requests refused by the intake",
                &["subscription", "result"],
            )?,
            loses: gauge(
                "can_lose_events",
                "1 where the broker has no acks, as acceptLoss accepts",
                &["subscription"],
            )?,
            outage: gauge("outage", "1 while something depended on is away", &["dependency"])?,
            time_to_effect,
            shared,
            oldest,
            registry,
            subscriptions: Mutex::default(),
        }))
    }

    /// Reads a subscription's counters and lag at every scrape from now on.
    pub fn watch(&self, name: &str, passed: Arc<Passed>, pool: Pool, ask: Ask) {
        let watched = Watched { name: name.to_owned(), passed, pool, ask };
        let mut subscriptions = self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner);
        // One that was built anew takes the place of its predecessor.
        subscriptions.retain(|other| other.name != name);
        subscriptions.push(watched);
    }

    /// What each subscription that was opened tells of itself now, by name, and how many of its deliveries are held.
    pub fn lags(&self) -> Vec<(String, usize, Gauges)> {
        let subscriptions = self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner);
        let lag = |it: &Watched| (it.name.clone(), it.pool.held(), (it.ask)());
        subscriptions.iter().map(lag).collect()
    }

    /// The text that Prometheus scrapes.
    ///
    /// # Errors
    /// The encoder's.
    pub fn render(&self, outages: &Outages) -> prometheus::Result<Vec<u8>> {
        for watched in self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            self.read(watched);
        }
        self.outage.reset();
        for (dependency, _) in outages.current() {
            self.outage.with_label_values(&[dependency.as_str()]).set(1);
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }

    fn read(&self, watched: &Watched) {
        let name = watched.name.as_str();
        let passed = &watched.passed;
        let fates =
            [("skipped", &passed.skipped), ("kept", &passed.kept), ("again", &passed.again)];
        for (fate, count) in fates {
            raise(&self.messages.with_label_values(&[name, fate]), count.load(Ordering::Relaxed));
        }
        self.in_flight.with_label_values(&[name]).set(clamp(watched.pool.held() as u64));
        let gauges = (watched.ask)();
        self.lag.with_label_values(&[name]).set(clamp(gauges.lag));
        if let Some(committed) = gauges.lag_committed {
            self.lag_committed.with_label_values(&[name]).set(clamp(committed));
        }
        if let Some(seconds) = gauges.oldest_seconds {
            self.oldest.with_label_values(&[name]).set(seconds);
        }
        if let Some(dead) = gauges.dead_letters {
            self.dead_letters.with_label_values(&[name]).set(clamp(dead));
        }
        for (result, count) in gauges.intake {
            raise(&self.intake.with_label_values(&[name, result]), count);
        }
    }
}

/// Brings a counter up to what was counted elsewhere; what was counted anew there adds nothing.
fn raise(counter: &IntCounter, count: u64) {
    counter.inc_by(count.saturating_sub(counter.get()));
}

fn clamp(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
