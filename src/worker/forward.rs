//! Fills the places that playbooks forward to with what the brokers have.

use async_trait::async_trait;
use brokers::{Error, Unpublished, kafka, nats, pubsub};
use bytes::Bytes;
use playbooks::act::{self, Dependency, Destinations, Failure};
use tokio::sync::OnceCell;

use crate::{
    config::{Config, Place},
    error::with_sources,
};

/// The configured destinations. Nothing is connected before something is forwarded.
pub fn destinations(config: &Config) -> Destinations {
    let places = config.destinations.iter().filter_map(|(name, destination)| {
        // What names no broker was refused when the configuration was read.
        Some((name, destination.place().ok()?))
    });
    places.fold(Destinations::new(), |all, (name, place)| {
        all.with(name, std::sync::Arc::new(Way { place, open: OnceCell::new() }))
    })
}

/// The way to a destination.
struct Way {
    place: Place,
    open: OnceCell<Box<dyn brokers::Destination>>,
}

impl Way {
    async fn open(&self) -> Result<Box<dyn brokers::Destination>, Error> {
        Ok(match &self.place {
            Place::Kafka(config) => Box::new(kafka::Destination::new(config)?),
            Place::Nats(config) => Box::new(nats::Destination::new(config)?),
            Place::PubSub(config) => Box::new(pubsub::Destination::new(config).await?),
        })
    }
}

#[async_trait]
impl act::Destination for Way {
    async fn publish(&self, outgoing: &act::Outgoing<'_>) -> Result<(), Failure> {
        // `Forward` knows the name and fills it in.
        let away = |why| Failure::unavailable(Dependency::Destination(String::new()), why);
        // Credentials that can't be read now may be there later.
        let open = self.open.get_or_try_init(|| self.open()).await;
        let open = open.map_err(|error| away(with_sources(&error)))?;
        let headers: Vec<_> = outgoing
            .headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Bytes::from(value.clone())))
            .collect();
        let outgoing =
            brokers::Outgoing { id: outgoing.id, payload: outgoing.payload, headers: &headers };
        open.publish(outgoing).await.map_err(|error| match error {
            Unpublished::Unavailable(error) => away(with_sources(&*error)),
            Unpublished::Refused(error) => Failure::permanent(with_sources(&*error)),
        })
    }
}
