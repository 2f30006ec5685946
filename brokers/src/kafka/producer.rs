//! Records that are durable when the future ends.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use rdkafka::{
    ClientConfig,
    error::KafkaResult,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord, Producer as _},
    util::Timeout,
};

use crate::contract::Error;

use super::{config::Config, health::Outage, settings, token::Quiet};

/// Publishes to a topic. `Ok` means that all in-sync replicas have the record.
pub struct Publisher {
    topic: String,
    producer: Producer,
}

impl Publisher {
    /// A publisher to the subscription's topic, the first where it names several. Connects when it is first used.
    ///
    /// # Errors
    /// The configuration can't work, or names no topic.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let producer = Producer::new(config)?;
        let topics = config.topics()?;
        let topic = topics.first().ok_or_else(|| {
            let text = "topicPattern names no topic to publish to: set topic instead";
            Error::Configuration(text.to_owned())
        })?;
        Ok(Self { topic: topic.to_owned(), producer })
    }

    /// Publishes a record, and waits until it is durable.
    ///
    /// # Errors
    /// It may not be durable; it is not known whether it is.
    pub async fn publish(
        &self,
        key: Option<&[u8]>,
        payload: &[u8],
        headers: &[(String, Bytes)],
    ) -> Result<(), Error> {
        let sent = self.producer.send(&self.topic, key, payload, headers).await;
        sent.map_err(|error| match Outage::about(&error, &self.topic, self.producer.refused()) {
            Some(outage) => Error::client(outage.what().to_owned(), error),
            None => Error::client(format!("publishing to {} failed", self.topic), error),
        })
    }
}

/// An idempotent producer, made when it is first needed, and made anew when the client gives up on it.
pub(super) struct Producer {
    config: ClientConfig,
    quiet: Quiet,
    client: Mutex<Option<FutureProducer<Quiet>>>,
}

impl Producer {
    /// A producer for the brokers of a subscription.
    ///
    /// # Errors
    /// The configuration can't work.
    pub(super) fn new(config: &Config) -> Result<Self, Error> {
        let (client, quiet) = (settings::producer(config)?, Quiet::of(config));
        Ok(Self { config: client, quiet, client: Mutex::default() })
    }

    /// What to say when the brokers don't take our credentials.
    pub(super) fn refused(&self) -> &str {
        self.quiet.refused()
    }

    /// Sends a record and waits for the brokers' report.
    pub(super) async fn send(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        payload: &[u8],
        headers: &[(String, Bytes)],
    ) -> KafkaResult<()> {
        let mut record = FutureRecord::to(topic).payload(payload).headers(owned(headers));
        record.key = key;
        self.deliver(record).await
    }

    /// Sends a record without a body to a partition, and waits for the brokers' report.
    pub(super) async fn mark(
        &self,
        topic: &str,
        partition: i32,
        key: &[u8],
        headers: &[(String, Bytes)],
    ) -> KafkaResult<()> {
        let record: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(topic);
        self.deliver(record.partition(partition).key(key).headers(owned(headers))).await
    }

    async fn deliver(&self, record: FutureRecord<'_, [u8], [u8]>) -> KafkaResult<()> {
        let client = self.client()?;
        let report = client.send(record, Timeout::After(Duration::from_secs(1))).await;
        if client.client().fatal_error().is_some() {
            *self.client.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        report.map(drop).map_err(|(error, _)| error)
    }

    fn client(&self) -> KafkaResult<FutureProducer<Quiet>> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        let new: FutureProducer<Quiet> = self.config.create_with_context(self.quiet.clone())?;
        Ok(client.insert(new).clone())
    }
}

fn owned(headers: &[(String, Bytes)]) -> OwnedHeaders {
    let none = OwnedHeaders::new_with_capacity(headers.len());
    headers.iter().fold(none, |all, (key, value)| {
        all.insert(Header { key: key.as_str(), value: Some(value.as_ref()) })
    })
}
