//! The dead letters and the history of a subscription, whatever its broker.

use brokers::{Error, History, dead_letter::Queue, journal, kafka, nats, pubsub};
use jiff::Timestamp;

use crate::{
    config::{Broker, Control, Subscription},
    control::Client,
};

/// Opens the dead letters of a subscription.
///
/// # Errors
/// They can't be had; the text says what to do.
pub async fn queue(
    name: &str,
    subscription: &Subscription,
    control: &Control,
) -> Result<Box<dyn Queue>, Error> {
    match broker(subscription)? {
        Broker::Kafka(config) => Ok(Box::new(kafka::dead_letters(config).await?)),
        Broker::Nats(config) => Ok(Box::new(nats::dead_letters(config).await?)),
        Broker::PubSub(config) => Ok(Box::new(pubsub::dead_letters(config).await?)),
        Broker::Journal(config) => match Client::find(control, name, config).await? {
            Some(client) => Ok(Box::new(client.letters())),
            None => {
                Ok(Box::new(journal::dead_letters(config).await.map_err(|e| advised(e, control))?))
            }
        },
    }
}

/// Opens what a subscription's broker still holds from `since` on.
///
/// # Errors
/// It can't be had; the text says what to do.
pub async fn history(
    name: &str,
    subscription: &Subscription,
    control: &Control,
    since: Timestamp,
) -> Result<Box<dyn History>, Error> {
    match broker(subscription)? {
        Broker::Kafka(config) => Ok(Box::new(kafka::history(config, since).await?)),
        Broker::Nats(config) => Ok(Box::new(nats::history(config, since).await?)),
        Broker::PubSub(config) => Ok(Box::new(pubsub::history(config, since).await?)),
        Broker::Journal(config) => match Client::find(control, name, config).await? {
            Some(client) => Ok(Box::new(client.history(since).await?)),
            None => Ok(Box::new(
                journal::history(config, since).await.map_err(|e| advised(e, control))?,
            )),
        },
    }
}

fn broker(subscription: &Subscription) -> Result<Broker<'_>, Error> {
    subscription.broker().map_err(|why| Error::Configuration(why.to_owned()))
}

/// A journal that can be had neither from a worker nor from its file.
fn advised(error: Error, control: &Control) -> Error {
    match error {
        Error::Configuration(why) => Error::Configuration(format!(
            "{why}\n  a worker that runs on it would be asked at {}, and none there has it: is `control.listen` the worker's?",
            control.listen
        )),
        other => other,
    }
}
