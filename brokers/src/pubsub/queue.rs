//! The dead letters of a subscription as a tool sees them: held while they are looked at, and handed back at the end.

use std::{collections::HashMap, fmt};

use async_trait::async_trait;
use bytes::Bytes;
use google_cloud_pubsub::{client::Publisher, model, subscriber::handler::Handler};

use crate::{
    contract::Error,
    dead_letter::{Buried, Queue},
    message::Attempt,
};

use super::{
    attributes,
    burial::publish,
    client::Access,
    config::Config,
    names::{Subscription, Topic},
    reading::Reading,
    receiver::owned,
};

/// Reads the dead letters. What is listed is held until the queue is dropped, so that nobody else sees it meanwhile; after
/// a kill it is there again within seconds. An empty queue takes as long to be known as empty.
///
/// # Errors
/// The configuration can't work, or names no dead letters.
pub async fn dead_letters(config: &Config) -> Result<impl Queue + use<>, Error> {
    let none = "the subscription has no deadLetters topic: name one";
    let kept = config.dead_letters_subscription()?;
    let subscription = kept.ok_or_else(|| Error::Configuration(none.to_owned()))?;
    let access = Access::of(config)?;
    let reading = Reading::of(&access.subscriber().await?, subscription.clone());
    let origin = Origin { access, config: config.clone(), known: None };
    Ok(DeadLetters { reading, subscription, held: HashMap::new(), origin })
}

struct DeadLetters {
    reading: Reading,
    subscription: Subscription,
    /// By message id.
    held: HashMap<String, Handler>,
    origin: Origin,
}

/// Where messages go back to, found when it is first needed.
struct Origin {
    access: Access,
    config: Config,
    known: Option<(Topic, Publisher)>,
}

impl Origin {
    async fn find(&mut self) -> Result<&(Topic, Publisher), Error> {
        match &mut self.known {
            Some(known) => Ok(known),
            unknown => {
                let topic = topic(&self.access, &self.config).await?;
                let publisher = self.access.publisher(&topic).await?;
                Ok(unknown.insert((topic, publisher)))
            }
        }
    }
}

/// The topic of the configured subscription, which may name it or not.
pub(super) async fn topic(access: &Access, config: &Config) -> Result<Topic, Error> {
    if let Some(topic) = config.topic()? {
        return Ok(topic);
    }
    let (admin, name) = (access.subscriptions().await?, config.subscription()?);
    let asked = admin.get_subscription().set_subscription(name.as_str()).send().await;
    let why = format!(
        "the topic of {name} can't be asked for: set topic, or let us see the subscription (roles/pubsub.viewer)"
    );
    let found = asked.map_err(|error| Error::client(why, error))?;
    Topic::new(&config.project, "topic", &found.topic)
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.subscription.as_str();
        f.debug_struct("DeadLetters").field("subscription", &name).finish_non_exhaustive()
    }
}

#[async_trait]
impl Queue for DeadLetters {
    async fn next(&mut self) -> Result<Option<Buried>, Error> {
        let Some((message, handler)) = self.reading.next().await? else { return Ok(None) };
        let place = message.message_id.clone();
        self.held.insert(place.clone(), handler);
        let record = owned(message, self.subscription.id().into(), Attempt::Unknown);
        Ok(Some(Buried::read(place, record)))
    }

    async fn redrive(&mut self, buried: &Buried, more: &[(String, Bytes)]) -> Result<(), Error> {
        self.confirming(&buried.place)?;
        let attributes = attributes::attributes(&buried.redriven(more))
            .map_err(|misfit| Error::client("the dead letter can't be published again", misfit))?;
        let data = buried.message.payload.clone();
        let message = model::Message::new().set_data(data).set_attributes(attributes);
        let (topic, publisher) = self.origin.find().await?;
        let published = publish(publisher, topic, message).await;
        published.map_err(|(_, failed)| Error::client(failed.what, failed.source))?;
        self.remove(buried).await
    }

    async fn remove(&mut self, buried: &Buried) -> Result<(), Error> {
        self.confirming(&buried.place)?;
        let Some(Handler::ExactlyOnce(handler)) = self.held.remove(&buried.place) else {
            return Ok(());
        };
        let removed = handler.confirmed_ack().await;
        removed.map_err(|error| Error::client("the dead letter may still be there", error))
    }
}

impl DeadLetters {
    /// What is taken out has to be out: that is only known of a subscription that confirms.
    fn confirming(&self, place: &str) -> Result<(), Error> {
        match self.held.get(place) {
            Some(Handler::ExactlyOnce(_)) => Ok(()),
            Some(_) => Err(Error::Configuration(format!(
                "{0} doesn't confirm what is taken out: gcloud pubsub subscriptions update {0} --enable-exactly-once-delivery",
                self.subscription
            ))),
            None => Err(Error::Configuration(format!("there is no dead letter {place} any more"))),
        }
    }
}
