//! Publishing one event to a subscription, as Falcosidekick would.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use brokers::{Error, journal, kafka};
use secrecy::ExposeSecret;

use crate::config::{Broker, Subscription};

/// How long an intake may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Publishes, and returns once the event is durable.
///
/// # Errors
/// It may not be durable.
pub async fn publish(subscription: &Subscription, payload: &[u8]) -> Result<(), Error> {
    match subscription.broker().map_err(|why| Error::Configuration(why.to_owned()))? {
        Broker::Kafka(config) => kafka::Publisher::new(config)?.publish(None, payload, &[]).await,
        Broker::Journal(config) => post(config, payload).await,
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
