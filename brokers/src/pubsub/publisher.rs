//! Publishes to the topic of a subscription.

use bytes::Bytes;
use google_cloud_pubsub::{client, model};

use crate::contract::Error;

use super::{attributes, burial::publish, client::Access, config::Config, names::Topic};

/// Publishes to the configured `topic`.
#[derive(Debug)]
pub struct Publisher {
    topic: Topic,
    client: client::Publisher,
}

impl Publisher {
    /// A publisher to the configured topic. Needs a tokio runtime; nothing is connected yet.
    ///
    /// # Errors
    /// The configuration can't work, or names no topic.
    pub async fn new(config: &Config) -> Result<Self, Error> {
        let topic = config.topic()?.ok_or_else(|| {
            Error::Configuration(
                "publishing needs the topic of the subscription: set topic".to_owned(),
            )
        })?;
        let client = Access::of(config)?.publisher(&topic).await?;
        Ok(Self { topic, client })
    }

    /// Publishes a message, and waits until it is durable. Pub/Sub knows no keys: one is left out, for it is there to keep
    /// an order that a fleet of workers has no use for.
    ///
    /// # Errors
    /// It may not be durable; it is not known whether it is. Or the headers can't be attributes.
    pub async fn publish(
        &self,
        _key: Option<&[u8]>,
        payload: &[u8],
        headers: &[(String, Bytes)],
    ) -> Result<(), Error> {
        let attributes = attributes::attributes(headers)
            .map_err(|misfit| Error::Configuration(misfit.to_string()))?;
        let data = Bytes::copy_from_slice(payload);
        let message = model::Message::new().set_data(data).set_attributes(attributes);
        let sent = publish(&self.client, &self.topic, message).await;
        sent.map_err(|(_, failed)| Error::client(failed.what, failed.source))
    }
}
