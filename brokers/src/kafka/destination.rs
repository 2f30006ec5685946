//! A topic that is only published to.

use async_trait::async_trait;
use rdkafka::error::KafkaError;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    contract::Error,
    destination::{Outgoing, Unpublished},
};

use super::{
    config::{Config, Sasl, Tls},
    dead_letters::is_refused,
    health::Outage,
    producer::Producer,
};

/// A topic to publish to.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DestinationConfig {
    /// `host:port` of some brokers; the client finds the others.
    pub brokers: Vec<String>,
    /// The topic, which has to be there.
    pub topic: String,
    /// TLS, if the brokers want it. `{}` trusts the system's authorities.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// SASL, if the brokers want it.
    #[serde(default)]
    pub sasl: Option<Sasl>,
}

impl DestinationConfig {
    /// What a client of it is told, which joins no group.
    pub fn client(&self) -> Config {
        Config {
            brokers: self.brokers.clone(),
            topic: Some(self.topic.clone()),
            group: "none".to_owned(),
            tls: self.tls.clone(),
            sasl: self.sasl.clone(),
            ..Config::default()
        }
    }
}

/// The topic.
pub struct Destination {
    topic: String,
    producer: Producer,
}

/// Why a record could not be made durable, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
struct Failed {
    what: String,
    source: KafkaError,
}

impl Destination {
    /// A way to the topic. Connects when it is first used.
    ///
    /// # Errors
    /// The configuration can't work.
    pub fn new(config: &DestinationConfig) -> Result<Self, Error> {
        Ok(Self { topic: config.topic.clone(), producer: Producer::new(&config.client())? })
    }

    fn failed(&self, source: KafkaError) -> Unpublished {
        let topic = &self.topic;
        if is_refused(&source) {
            let what = format!("{topic} takes no record like this: see its max.message.bytes");
            return Unpublished::Refused(Box::new(Failed { what, source }));
        }
        let outage = Outage::about(&source, topic, self.producer.refused());
        let what = outage.map_or_else(
            || format!("publishing to {topic} failed"),
            |outage| outage.what().to_owned(),
        );
        Unpublished::Unavailable(Box::new(Failed { what, source }))
    }
}

#[async_trait]
impl crate::Destination for Destination {
    /// Kafka drops no copies by itself: readers go by the headers.
    async fn publish(
        &self,
        Outgoing { payload, headers, .. }: Outgoing<'_>,
    ) -> Result<(), Unpublished> {
        let sent = self.producer.send(&self.topic, None, payload, headers).await;
        sent.map_err(|error| self.failed(error))
    }
}
