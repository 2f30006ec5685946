//! Settling deliveries, and counting how.

use std::sync::Arc;

use brokers::{DeadLetter, Delivery, Message, Settled};
use jiff::Timestamp;
use prometheus::{IntCounter, IntCounterVec};

use super::{read::PassedOver, verdict::Reason};
use crate::metrics::{Ages, Aging, Metrics};

/// A subscription as its deliveries see it: a name, and the counters of the hot path looked up once.
pub(super) struct Stream {
    name: Arc<str>,
    unmatched: IntCounter,
    acked: IntCounter,
    events: IntCounterVec,
    settled: IntCounterVec,
    redelivered: IntCounter,
    dead_lettered: IntCounterVec,
    ages: Arc<Ages>,
}

/// What a message's decoding and matching came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Answered by nobody.
    PassedOver(PassedOver),
    /// Not a Falco event.
    Malformed,
    /// Every playbook that wanted it has answered.
    Answered,
}

impl Reading {
    /// The label.
    fn as_str(self) -> &'static str {
        match self {
            Self::PassedOver(why) => why.as_str(),
            Self::Malformed => "malformed",
            Self::Answered => "answered",
        }
    }
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Acked,
    DeadLettered,
    /// It comes again.
    HandedBack,
    /// It was no longer ours to settle, and comes again.
    Fenced,
    /// The broker did not say: it may come again.
    Unknown,
}

impl Fate {
    /// The label.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Acked => "acked",
            Self::DeadLettered => "dead-lettered",
            Self::HandedBack => "handed-back",
            Self::Fenced => "fenced",
            Self::Unknown => "unknown",
        }
    }
}

impl Stream {
    /// A subscription by the name it has in the configuration.
    pub(super) fn new(name: &str, metrics: &Metrics) -> Arc<Self> {
        let unmatched = Reading::PassedOver(PassedOver::Unmatched);
        // There from the start: of one that begins with its first, no increase is seen.
        for reason in Reason::ALL {
            metrics.dead_lettered.with_label_values(&[name, reason.as_str()]);
        }
        Arc::new(Self {
            name: name.into(),
            unmatched: metrics.events.with_label_values(&[name, unmatched.as_str()]),
            acked: metrics.settled.with_label_values(&[name, Fate::Acked.as_str()]),
            events: metrics.events.clone(),
            settled: metrics.settled.clone(),
            redelivered: metrics.redelivered.with_label_values(&[name]),
            dead_lettered: metrics.dead_lettered.clone(),
            ages: metrics.ages(name),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn read(&self, reading: Reading) {
        match reading {
            Reading::PassedOver(PassedOver::Unmatched) => self.unmatched.inc(),
            other => self.events.with_label_values(&[&*self.name, other.as_str()]).inc(),
        }
    }

    pub(super) async fn ack(&self, delivery: Delivery) -> Fate {
        let settled = delivery.ack().await;
        self.settled(Fate::Acked, &settled)
    }

    /// Hands the delivery back unsettled: it comes again.
    pub(super) fn hand_back(&self, delivery: Delivery) -> Fate {
        self.count(Fate::HandedBack);
        drop(delivery);
        Fate::HandedBack
    }

    /// A message that was handed to a worker before.
    pub(super) fn redelivered(&self) {
        self.redelivered.inc();
    }

    /// Counts the age of a message that takes longer than a look, until it is dropped.
    pub(super) fn hold(&self, message: &Message) -> Aging {
        self.ages.begin(message.published.unwrap_or_else(Timestamp::now))
    }

    /// A dead letter of the worker's own, whose reason is one of `Reason`.
    pub(super) fn dead_lettered(&self, letter: &DeadLetter, settled: &Settled) -> Fate {
        self.dead_lettered.with_label_values(&[&*self.name, &letter.reason]).inc();
        self.settled(Fate::DeadLettered, settled)
    }

    /// Counts `meant` where the broker has it.
    fn settled(&self, meant: Fate, settled: &Settled) -> Fate {
        let fate = match settled {
            Settled::Durable | Settled::Accepted => meant,
            Settled::Fenced => Fate::Fenced,
            Settled::Unknown(why) => {
                tracing::warn!(subscription = %self.name, why, "a settlement's fate is unknown: the event may come again");
                Fate::Unknown
            }
        };
        self.count(fate);
        fate
    }

    fn count(&self, fate: Fate) {
        match fate {
            Fate::Acked => self.acked.inc(),
            other => self.settled.with_label_values(&[&*self.name, other.as_str()]).inc(),
        }
    }
}
