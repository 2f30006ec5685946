//! One subscription: which broker, and how many events of it at once.

use brokers::{journal, kafka};
use schemars::JsonSchema;
use serde::Deserialize;

/// One configured stream of events. Exactly one broker is named.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// Events of it worked on at once; the limit over all subscriptions holds as well.
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
    /// A topic of a Kafka cluster, read as a member of a consumer group.
    kafka: Option<kafka::Config>,
    /// The embedded journal behind its HTTP intake.
    journal: Option<journal::Config>,
}

fn default_concurrency() -> usize {
    128
}

/// The broker of a subscription.
#[derive(Clone, Copy, Debug)]
pub enum Broker<'a> {
    /// Apache Kafka, or what speaks its protocol.
    Kafka(&'a kafka::Config),
    /// The embedded journal.
    Journal(&'a journal::Config),
}

impl Broker<'_> {
    /// Whether its settings can work at all.
    ///
    /// # Errors
    /// They can't; the text says what to change.
    pub fn check(self) -> Result<(), brokers::Error> {
        match self {
            Self::Kafka(config) => config.check(),
            Self::Journal(config) => config.check(),
        }
    }

    /// The key that names it in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kafka(_) => "kafka",
            Self::Journal(_) => "journal",
        }
    }
}

impl Subscription {
    /// A subscription to a journal.
    pub fn of_journal(journal: journal::Config) -> Self {
        Self { concurrency: default_concurrency(), kafka: None, journal: Some(journal) }
    }

    /// Its broker.
    ///
    /// # Errors
    /// None is named, or more than one.
    pub fn broker(&self) -> Result<Broker<'_>, &'static str> {
        match (&self.kafka, &self.journal) {
            (Some(kafka), None) => Ok(Broker::Kafka(kafka)),
            (None, Some(journal)) => Ok(Broker::Journal(journal)),
            (None, None) => Err("no broker is named"),
            (Some(_), Some(_)) => Err("more than one broker is named"),
        }
    }
}
