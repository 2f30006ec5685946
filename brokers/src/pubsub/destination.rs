//! A topic that is only published to.

use async_trait::async_trait;
use bytes::Bytes;
use google_cloud_pubsub::{client::Publisher, model};
use schemars::JsonSchema;
use serde::Deserialize;
use settings::{Secret, Span};

use crate::{
    contract::Error,
    destination::{Outgoing, Unpublished},
};

use super::{
    attributes, burial::publish, client::Access, config::Config, keepers::Keepers, names::Topic,
    outage::Outage,
};

/// A topic to publish to.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DestinationConfig {
    /// The Google Cloud project.
    pub project: String,
    /// The topic's id, or its full name where it is another project's. It has to be there, with a subscription.
    pub topic: String,
    /// The JSON of a credential, as for a subscription.
    #[serde(default)]
    pub credentials: Option<Secret>,
    /// Another address of the API, as for a subscription.
    #[serde(default)]
    pub endpoint: Option<String>,
}

impl DestinationConfig {
    /// What a client of it is told, which has no subscription.
    pub fn client(&self) -> Config {
        Config {
            project: self.project.clone(),
            subscription: "none".to_owned(),
            topic: Some(self.topic.clone()),
            dead_letters: None,
            dead_letters_subscription: None,
            credentials: self.credentials.clone(),
            endpoint: self.endpoint.clone(),
            ack_deadline: Span::from_secs(60),
        }
    }

    /// Whether a subscription reads this topic; `None` where it doesn't name its own.
    pub fn feeds(&self, subscription: &Config) -> Option<bool> {
        let read = subscription.topic.as_ref()?;
        // A name that is none is refused elsewhere.
        let read = Topic::new(&subscription.project, "topic", read).ok();
        Some(read.is_some() && read == Topic::new(&self.project, "topic", &self.topic).ok())
    }
}

/// The topic.
pub struct Destination {
    topic: Topic,
    publisher: Publisher,
    keepers: Keepers,
}

impl Destination {
    /// A way to the topic. Needs a tokio runtime; nothing is connected yet.
    ///
    /// # Errors
    /// The configuration can't work.
    pub async fn new(config: &DestinationConfig) -> Result<Self, Error> {
        let access = Access::of(&config.client())?;
        let topic = Topic::new(&config.project, "topic", &config.topic)?;
        let keepers = Keepers::of(topic.clone(), access.topics().await?);
        Ok(Self { publisher: access.publisher(&topic).await?, topic, keepers })
    }
}

#[async_trait]
impl crate::Destination for Destination {
    /// Pub/Sub drops no copies by itself: readers go by the attributes.
    async fn publish(&self, outgoing: Outgoing<'_>) -> Result<(), Unpublished> {
        let attributes = attributes::attributes(outgoing.headers)
            .map_err(|misfit| Unpublished::Refused(Box::new(misfit)))?;
        let data = Bytes::copy_from_slice(outgoing.payload);
        let message = model::Message::new().set_data(data).set_attributes(attributes);
        let kept = self.keepers.check().await;
        kept.map_err(|unkept| Unpublished::Unavailable(Box::new(unkept)))?;
        publish(&self.publisher, &self.topic, message).await.map_err(|(outage, failed)| {
            // A topic that is made anew has none of its subscriptions.
            self.keepers.forget();
            match outage {
                Outage::Unfit => Unpublished::Refused(Box::new(failed)),
                _ => Unpublished::Unavailable(Box::new(failed)),
            }
        })
    }
}
