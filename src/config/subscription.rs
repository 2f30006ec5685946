//! One subscription: which broker, and how many events of it at once.

use brokers::{journal, kafka, nats, pubsub};
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
    /// A durable consumer of a JetStream stream, or a queue group of core NATS.
    nats: Option<nats::Config>,
    /// A subscription of Google Cloud Pub/Sub.
    pubsub: Option<pubsub::Config>,
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
    /// NATS.
    Nats(&'a nats::Config),
    /// Google Cloud Pub/Sub.
    PubSub(&'a pubsub::Config),
    /// The embedded journal.
    Journal(&'a journal::Config),
}

impl<'a> Broker<'a> {
    /// Whether its settings can work at all.
    ///
    /// # Errors
    /// They can't; the text says what to change.
    pub fn check(self) -> Result<(), brokers::Error> {
        match self {
            Self::Kafka(config) => config.check(),
            Self::Nats(config) => config.check(),
            Self::PubSub(config) => config.check(),
            Self::Journal(config) => config.check(),
        }
    }

    /// Where it puts dead letters, and what would be a good place; `None` where it keeps them itself.
    pub fn dead_letters(self) -> Option<(Option<&'a str>, String)> {
        match self {
            Self::Kafka(config) => {
                let topics = config.topics().ok();
                let topic = topics.as_ref().and_then(|topics| topics.first()).unwrap_or("stoop");
                Some((config.dead_letters.as_deref(), format!("{topic}.dead")))
            }
            Self::Nats(config) => Some((config.dead_letters.as_deref(), "stoop.dead".to_owned())),
            Self::PubSub(config) => Some((config.dead_letters.as_deref(), "stoop-dead".to_owned())),
            Self::Journal(_) => None,
        }
    }

    /// The key that names it in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kafka(_) => "kafka",
            Self::Nats(_) => "nats",
            Self::PubSub(_) => "pubsub",
            Self::Journal(_) => "journal",
        }
    }
}

impl Subscription {
    /// A subscription to a journal.
    pub fn of_journal(journal: journal::Config) -> Self {
        let concurrency = default_concurrency();
        Self { concurrency, kafka: None, nats: None, pubsub: None, journal: Some(journal) }
    }

    /// Its broker.
    ///
    /// # Errors
    /// None is named, or more than one.
    pub fn broker(&self) -> Result<Broker<'_>, &'static str> {
        let named = [
            self.kafka.as_ref().map(Broker::Kafka),
            self.nats.as_ref().map(Broker::Nats),
            self.pubsub.as_ref().map(Broker::PubSub),
            self.journal.as_ref().map(Broker::Journal),
        ];
        let mut named = named.into_iter().flatten();
        match (named.next(), named.next()) {
            (Some(broker), None) => Ok(broker),
            (None, _) => Err("no broker is named"),
            (Some(_), Some(_)) => Err("more than one broker is named"),
        }
    }
}
