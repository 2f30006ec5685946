//! Settling deliveries, and counting how.

use std::{sync::Arc, time::Duration};

use brokers::{DeadLetter, DeadLetterError, Delivery, Settled};
use jiff::Timestamp;
use playbooks::{
    act::{Dependency, Failure},
    decide::EventError,
};
use prometheus::{IntCounter, IntCounterVec};

use super::{
    Worker,
    persevere::{Patience, Stopped, Tries},
    read::PassedOver,
    verdict::Reason,
};
use crate::{error::with_sources, metrics::Metrics};

/// A dead letter that is refused is not offered again; one that meets an outage is, without end.
const ONCE: Patience = Patience { attempts: 1, timeout: Duration::ZERO };

/// A subscription as its deliveries see it: a name, and the counters of the hot path looked up once.
pub struct Stream {
    name: Arc<str>,
    unmatched: IntCounter,
    acked: IntCounter,
    events: IntCounterVec,
    settled: IntCounterVec,
}

impl Stream {
    /// A subscription by the name it has in the configuration.
    pub fn new(name: &str, metrics: &Metrics) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            unmatched: metrics.events.with_label_values(&[name, PassedOver::Unmatched.as_str()]),
            acked: metrics.settled.with_label_values(&[name, "acked"]),
            events: metrics.events.clone(),
            settled: metrics.settled.clone(),
        })
    }

    pub(super) fn passed_over(&self, why: PassedOver) {
        match why {
            PassedOver::Unmatched => self.unmatched.inc(),
            other => self.events(other.as_str()),
        }
    }

    pub(super) fn events(&self, result: &'static str) {
        self.events.with_label_values(&[&self.name, result]).inc();
    }

    pub(super) async fn ack(&self, delivery: Delivery) {
        let settled = delivery.ack().await;
        match settled {
            Settled::Durable | Settled::Accepted => self.acked.inc(),
            other => self.settled(&other),
        }
    }

    /// Hands the delivery back unsettled: it comes again.
    pub(super) fn hand_back(&self, delivery: Delivery) {
        self.settled.with_label_values(&[&self.name, "handed-back"]).inc();
        drop(delivery);
    }

    fn settled(&self, settled: &Settled) {
        let how = match settled {
            Settled::Durable | Settled::Accepted => "dead-lettered",
            Settled::Fenced => "fenced",
            Settled::Unknown(why) => {
                tracing::warn!(subscription = %self.name, why, "a settlement's fate is unknown: the event may come again");
                "unknown"
            }
        };
        self.settled.with_label_values(&[&self.name, how]).inc();
    }
}

impl Worker {
    /// Gives a delivery up: durable as a dead letter, then settled. While the dead letters are away it waits.
    pub(super) async fn bury(&self, stream: &Stream, delivery: Delivery, letter: &DeadLetter) {
        let lost = delivery.lease().lost().clone();
        let id = delivery.message().id.clone();
        let mut tries = Tries::new(&self.outages, ONCE, &lost);
        let mut held = delivery;
        loop {
            let (back, error) = match held.dead_letter(letter).await {
                Ok(settled) => {
                    tracing::warn!(
                        subscription = %stream.name, message = %id, reason = letter.reason,
                        error = letter.error, playbooks = letter.failed.join(","), "dead-lettered"
                    );
                    return stream.settled(&settled);
                }
                Err(not_buried) => not_buried,
            };
            held = back;
            match tries.after(refused(&stream.name, &error)).await {
                Ok(()) => {}
                Err(Stopped::GaveUp { failure, .. }) => {
                    tracing::error!(
                        subscription = %stream.name, message = %id, why = %failure,
                        "the dead letters refuse an event: it is kept unacknowledged, and comes again"
                    );
                    return stream.hand_back(held);
                }
                Err(Stopped::Lost) => return stream.hand_back(held),
            }
        }
    }

    pub(super) async fn bury_malformed(
        &self,
        stream: &Stream,
        delivery: Delivery,
        error: &EventError,
    ) {
        let letter = self.letter(Reason::Malformed, error.to_string(), 1);
        self.bury(stream, delivery, &letter).await;
    }

    /// A message that broke its handler time and again.
    pub(super) async fn bury_poison(&self, stream: &Stream, delivery: Delivery) {
        let attempts = delivery.handed().saturating_sub(1);
        let why = "the worker broke on it again and again; its log says how".to_owned();
        let letter = self.letter(Reason::Crashed, why, attempts);
        self.bury(stream, delivery, &letter).await;
    }

    fn letter(&self, reason: Reason, error: String, attempts: u32) -> DeadLetter {
        let now = Timestamp::now();
        DeadLetter {
            reason: reason.as_str().to_owned(),
            error,
            attempts,
            first_failed: now,
            last_failed: now,
            failed: Vec::new(),
            worker: self.name.to_string(),
        }
    }
}

fn refused(subscription: &str, error: &DeadLetterError) -> Failure {
    let why = with_sources(error);
    match error {
        DeadLetterError::Unavailable(_) => {
            Failure::unavailable(Dependency::DeadLetters(subscription.to_owned()), why)
        }
        DeadLetterError::Refused(_) => Failure::permanent(why),
    }
}
