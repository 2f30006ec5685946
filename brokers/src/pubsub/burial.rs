//! The topic of dead letters: durable, whole, and only then settled.

use bytes::Bytes;
use google_cloud_gax::error::Error as Source;
use google_cloud_pubsub::{client::Publisher, error::PublishError, model};

use crate::{
    dead_letter::{DeadLetter, DeadLetterError},
    message::Message,
};

use super::{
    attributes::{self, Misfit},
    keepers::Keepers,
    names::{Subscription, Topic},
    outage::Outage,
};

/// The attribute that says how many of the message's own found no room.
const LOST: &str = "stoop-attributes-lost";

/// Where dead letters go.
pub(super) struct Cemetery {
    pub(super) topic: Topic,
    pub(super) publisher: Publisher,
    pub(super) keepers: Keepers,
    /// The subscription that gave up; others may have done better.
    pub(super) subscription: Subscription,
}

/// Why a message could not be made durable, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(super) struct Failed {
    pub(super) what: String,
    pub(super) source: PublishError,
}

impl Cemetery {
    /// Writes a dead letter, and waits until it is durable where somebody keeps it.
    pub(super) async fn bury(
        &self,
        message: &Message,
        letter: &DeadLetter,
    ) -> Result<(), DeadLetterError> {
        let attributes = self.attributes(message, letter)?;
        let copy =
            model::Message::new().set_data(message.payload.clone()).set_attributes(attributes);
        let kept = self.keepers.check().await;
        kept.map_err(|unkept| DeadLetterError::Unavailable(Box::new(unkept)))?;
        publish(&self.publisher, &self.topic, copy).await.map_err(|(outage, failed)| {
            // A topic that is made anew has none of its subscriptions.
            self.keepers.forget();
            match outage {
                Outage::Unfit => DeadLetterError::Refused(Box::new(failed)),
                _ => DeadLetterError::Unavailable(Box::new(failed)),
            }
        })
    }

    /// The letter's headers as attributes. The letter's own come first: of a message that has a hundred already, the last
    /// find no room.
    fn attributes(
        &self,
        message: &Message,
        letter: &DeadLetter,
    ) -> Result<std::collections::HashMap<String, String>, DeadLetterError> {
        let refused = |misfit: Misfit| DeadLetterError::Refused(Box::new(misfit));
        let mut headers = letter.headers(message);
        headers.push(("stoop-subscription".to_owned(), self.subscription.to_string().into()));
        // Google's own can't be published.
        headers.retain(|(name, _)| !name.starts_with("goog"));
        let whole = headers.len();
        let is_ours = |(name, _): &(String, Bytes)| name.starts_with("stoop-");
        loop {
            match attributes::attributes(&headers) {
                Err(Misfit::TooMany(_)) => {
                    headers.retain(|(name, _)| name != LOST);
                    let Some(last) = headers.iter().rposition(|header| !is_ours(header)) else {
                        return attributes::attributes(&headers).map_err(refused);
                    };
                    headers.remove(last);
                    let lost = whole - headers.len();
                    headers.push((LOST.to_owned(), lost.to_string().into()));
                }
                fit => return fit.map_err(refused),
            }
        }
    }
}

/// Publishes a message, and waits until it is durable.
pub(super) async fn publish(
    publisher: &Publisher,
    topic: &Topic,
    message: model::Message,
) -> Result<(), (Outage, Failed)> {
    let error = match publisher.publish(message).await {
        Ok(_id) => return Ok(()),
        Err(error) => error,
    };
    let outage = match &error {
        PublishError::Rpc(source) => Outage::of(at_last(source)),
        _ => Outage::Other,
    };
    Err((outage, Failed { what: outage.of_topic(topic.as_str()), source: error }))
}

/// What has made a client give up, where it says no more than that it has.
fn at_last(error: &Source) -> &Source {
    use std::error::Error as _;
    if error.status().is_some() || !error.is_exhausted() {
        return error;
    }
    error.source().and_then(|source| source.downcast_ref()).unwrap_or(error)
}
