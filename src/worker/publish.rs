//! Publishing events to a subscription, as Falcosidekick would.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use brokers::{Error, journal, kafka, nats, pubsub};
use bytes::Bytes;
use secrecy::ExposeSecret;

use crate::config::{Broker, Subscription};

/// How long an intake may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A way into a subscription: one client for all that is published.
pub enum Outlet<'a> {
    /// To a topic.
    Kafka(kafka::Publisher),
    /// To a subject.
    Nats(nats::Publisher),
    /// To a topic of Pub/Sub.
    PubSub(pubsub::Publisher),
    /// To the intake of the worker that runs on it.
    Journal(&'a journal::Config),
}

impl<'a> Outlet<'a> {
    /// Opens the way.
    ///
    /// # Errors
    /// The configuration can't work.
    pub async fn to(subscription: &'a Subscription) -> Result<Self, Error> {
        Ok(match subscription.broker().map_err(|why| Error::Configuration(why.to_owned()))? {
            Broker::Kafka(config) => Self::Kafka(kafka::Publisher::new(config)?),
            Broker::Nats(config) => Self::Nats(nats::Publisher::new(config)?),
            Broker::PubSub(config) => Self::PubSub(pubsub::Publisher::new(config).await?),
            Broker::Journal(config) => Self::Journal(config),
        })
    }

    /// Publishes, and returns once the event is durable. What a broker knows nothing of, key or headers, is left out.
    ///
    /// # Errors
    /// It may not be durable.
    pub async fn publish(
        &self,
        key: Option<&[u8]>,
        payload: &[u8],
        headers: &[(String, Bytes)],
    ) -> Result<(), Error> {
        match self {
            Self::Kafka(publisher) => publisher.publish(key, payload, headers).await,
            Self::Nats(publisher) => publisher.publish(key, payload, headers).await,
            Self::PubSub(publisher) => publisher.publish(key, payload, headers).await,
            Self::Journal(config) => post(config, payload).await,
        }
    }
}

/// A journal belongs to the worker that runs on it: the event goes to its intake.
async fn post(config: &journal::Config, payload: &[u8]) -> Result<(), Error> {
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}/", reachable(config.listen));
    let failed = |error: reqwest::Error| {
        Error::client(
            format!("the intake at {url} did not take the event; is `stoop run` up?"),
            error,
        )
    };
    let client = reqwest::Client::builder().timeout(PATIENCE).build().map_err(failed)?;
    let mut request = client.post(&url).body(payload.to_vec());
    if let Some(token) = &config.token {
        let token = token.read().map_err(|error| Error::Configuration(error.to_string()))?;
        request = request.bearer_auth(token.expose_secret());
    }
    let answer = request.send().await.map_err(failed)?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let why = answer.text().await.unwrap_or_default();
    Err(Error::client(format!("the intake at {url} refused the event with {status}"), why.trim()))
}

/// Where an intake that listens on every address is reached from here.
pub(crate) fn reachable(listen: SocketAddr) -> SocketAddr {
    let loopback = match listen {
        SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::LOCALHOST),
        SocketAddr::V6(_) => IpAddr::from(Ipv6Addr::LOCALHOST),
    };
    let address = if listen.ip().is_unspecified() { loopback } else { listen.ip() };
    SocketAddr::new(address, listen.port())
}
