//! What a subscription is asked at each scrape.

use std::sync::{Arc, atomic::Ordering};

use brokers::{Pool, pump::Passed};
use jiff::Timestamp;
use prometheus::IntCounter;
use serde::Serialize;

use super::{Metrics, ages::Ages};

/// What a subscription's broker tells of itself at a scrape.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    /// Messages not settled yet: those that wait, and those in flight.
    pub lag: u64,
    /// Whether each worker tells of the same ones, so that they don't add up.
    pub is_fleets: bool,
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

pub(super) type Ask = Box<dyn Fn() -> Gauges + Send + Sync>;

pub(super) struct Watched {
    pub(super) name: String,
    pub(super) passed: Arc<Passed>,
    pub(super) pool: Pool,
    pub(super) ages: Arc<Ages>,
    pub(super) ask: Ask,
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watched").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Watched {
    /// Brings what `metrics` say of it up to date.
    pub(super) fn read(&self, metrics: &Metrics, now: Timestamp) {
        let (name, passed) = (self.name.as_str(), &self.passed);
        let fates =
            [("skipped", &passed.skipped), ("kept", &passed.kept), ("again", &passed.again)];
        for (fate, count) in fates {
            raise(
                &metrics.messages.with_label_values(&[name, fate]),
                count.load(Ordering::Relaxed),
            );
        }
        metrics.in_flight.with_label_values(&[name]).set(clamp(self.pool.held() as u64));
        let gauges = (self.ask)();
        let scope = if gauges.is_fleets { "fleet" } else { "worker" };
        metrics.lag.with_label_values(&[name, scope]).set(clamp(gauges.lag));
        if let Some(committed) = gauges.lag_committed {
            metrics.lag_committed.with_label_values(&[name]).set(clamp(committed));
        }
        // Where the broker doesn't tell, that of those that are worked on.
        let held = || {
            self.ages.oldest().map_or(0.0, |since| now.duration_since(since).as_secs_f64().max(0.0))
        };
        let oldest = gauges.oldest_seconds.unwrap_or_else(held);
        metrics.oldest.with_label_values(&[name]).set(oldest);
        if let Some(dead) = gauges.dead_letters {
            metrics.kept_letters.with_label_values(&[name]).set(clamp(dead));
        }
        for (result, count) in gauges.intake {
            raise(&metrics.intake.with_label_values(&[name, result]), count);
        }
    }
}

/// Brings a counter up to what was counted elsewhere; what was counted anew there adds nothing.
pub(super) fn raise(counter: &IntCounter, count: u64) {
    counter.inc_by(count.saturating_sub(counter.get()));
}

fn clamp(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
