//! One destination: which topic or subject events are forwarded to.

use brokers::{kafka, nats, pubsub};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Broker, Subscription};

/// A topic or subject that playbooks forward events to. Exactly one broker is named.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// A topic of a Kafka cluster.
    kafka: Option<kafka::DestinationConfig>,
    /// A subject of a JetStream stream.
    nats: Option<nats::DestinationConfig>,
    /// A topic of Google Cloud Pub/Sub.
    pubsub: Option<pubsub::DestinationConfig>,
}

/// The broker of a destination.
#[derive(Clone, Debug)]
pub enum Place {
    /// Apache Kafka, or what speaks its protocol.
    Kafka(kafka::DestinationConfig),
    /// NATS.
    Nats(nats::DestinationConfig),
    /// Google Cloud Pub/Sub.
    PubSub(pubsub::DestinationConfig),
}

impl Destination {
    /// Its broker.
    ///
    /// # Errors
    /// None is named, or more than one.
    pub fn place(&self) -> Result<Place, &'static str> {
        let named = [
            self.kafka.clone().map(Place::Kafka),
            self.nats.clone().map(Place::Nats),
            self.pubsub.clone().map(Place::PubSub),
        ];
        let mut named = named.into_iter().flatten();
        match (named.next(), named.next()) {
            (Some(place), None) => Ok(place),
            (None, _) => Err("no broker is named"),
            (Some(_), Some(_)) => Err("more than one broker is named"),
        }
    }
}

impl Place {
    /// The key that names it in the configuration.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Kafka(_) => "kafka",
            Self::Nats(_) => "nats",
            Self::PubSub(_) => "pubsub",
        }
    }

    /// Whether its settings can work at all.
    ///
    /// # Errors
    /// They can't; the text says what to change.
    pub fn check(&self) -> Result<(), brokers::Error> {
        match self {
            Self::Kafka(config) => config.client().check(),
            Self::Nats(config) => config.check(),
            Self::PubSub(config) => config.client().check(),
        }
    }

    /// Whether what is forwarded there would be read by this subscription again; `None` where its configuration doesn't
    /// tell.
    pub fn feeds(&self, subscription: &Subscription) -> Option<bool> {
        let shares = |one: &[String], other: &[String]| one.iter().any(|name| other.contains(name));
        match (self, subscription.broker()) {
            (Self::Kafka(to), Ok(Broker::Kafka(from))) => {
                let reads = from.topics().is_ok_and(|topics| topics.contain(&to.topic));
                Some(reads && shares(&to.brokers, &from.brokers))
            }
            (Self::Nats(to), Ok(Broker::Nats(from))) => {
                let reads = from.stream.as_ref() == Some(&to.stream);
                Some(reads && shares(&to.servers, &from.servers))
            }
            (Self::PubSub(to), Ok(Broker::PubSub(from))) => to.feeds(from),
            _ => Some(false),
        }
    }
}
