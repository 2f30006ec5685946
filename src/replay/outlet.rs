//! Publishing what a history holds into a subscription, for real.

use brokers::{Error, Message, kafka};

use crate::{
    config::{Broker, Subscription},
    worker::publish::publish,
};

/// A way into a subscription.
pub enum Outlet<'a> {
    /// One client for all, and the key and headers go with the body.
    Kafka(kafka::Publisher),
    /// Any other, by what `stoop event` uses.
    Other(&'a Subscription),
}

impl<'a> Outlet<'a> {
    /// Opens the way.
    ///
    /// # Errors
    /// The configuration can't work.
    pub fn to(subscription: &'a Subscription) -> Result<Self, Error> {
        match subscription.broker().map_err(|why| Error::Configuration(why.to_owned()))? {
            Broker::Kafka(config) => Ok(Self::Kafka(kafka::Publisher::new(config)?)),
            _ => Ok(Self::Other(subscription)),
        }
    }

    /// Publishes a message, and returns once it is durable.
    ///
    /// # Errors
    /// It may not be durable.
    pub async fn publish(&self, message: &Message) -> Result<(), Error> {
        match self {
            Self::Kafka(publisher) => {
                // Headers of ours say what became of that copy, not of this one.
                let own = |(name, _): &&(String, bytes::Bytes)| !name.starts_with("stoop-");
                let headers: Vec<_> = message.headers.iter().filter(own).cloned().collect();
                publisher.publish(message.key.as_deref(), &message.payload, &headers).await
            }
            Self::Other(subscription) => publish(subscription, &message.payload).await,
        }
    }
}
