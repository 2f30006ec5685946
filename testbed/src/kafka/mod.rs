//! A real Apache Kafka (KRaft, one node) on loopback.
//!
//! [`Kafka::shared`] is the broker that the tests of one binary share; [`Kafka::start`] is one of
//! your own, to kill and to pause. Topics are never created by themselves.

mod broker;
mod detour;
mod probe;
mod properties;
mod provision;

use std::{env, ops::Deref, path::Path, path::PathBuf, time::Duration};

use tokio::sync::OnceCell;

pub use provision::provision;

use crate::{error::Error, proxy::Proxy, scratch::Scratch, wait::until};
use broker::{Broker, Extras};

const ADDRESS: &str = "STOOP_TEST_KAFKA";

/// Where a broker is found.
#[derive(Clone, Debug)]
pub struct Endpoint {
    bootstrap: String,
}

impl Endpoint {
    /// The value of `bootstrap.servers`, plaintext.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }
}

/// The listener with TLS alone.
#[derive(Clone, Debug)]
pub struct Encrypted {
    /// The value of `bootstrap.servers`.
    pub bootstrap: String,
    /// The PEM file of the authority that signed the broker's certificate.
    pub ca: PathBuf,
}

/// The listener with TLS and SASL: SCRAM-SHA-256, SCRAM-SHA-512, PLAIN, and OAUTHBEARER, which believes every token
/// (`"alg":"none"`) that has a subject and has not expired.
#[derive(Clone, Debug)]
pub struct Secure {
    /// The value of `bootstrap.servers`.
    pub bootstrap: String,
    /// The PEM file of the authority that signed the broker's certificate.
    pub ca: PathBuf,
    /// The one user there is.
    pub username: &'static str,
    /// Its password.
    pub password: &'static str,
}

/// The listener with TLS that wants a client's certificate.
#[derive(Clone, Debug)]
pub struct Mutual {
    /// The value of `bootstrap.servers`.
    pub bootstrap: String,
    /// The PEM file of the authority that signed both sides' certificates.
    pub ca: PathBuf,
    /// The PEM file of a certificate that it accepts.
    pub certificate: PathBuf,
    /// The PEM file of its key.
    pub key: PathBuf,
}

/// A broker of one's own. It ends when this is dropped or this process ends, by SIGKILL too.
#[derive(Debug)]
pub struct Kafka {
    endpoint: Endpoint,
    broker: Broker,
}

impl Kafka {
    /// The broker that everything in this process shares: the one that `STOOP_TEST_KAFKA` names,
    /// or else one started now. Name your topics and groups so that tests don't meet.
    ///
    /// # Errors
    /// If it can't be had; the same error for everyone who asks.
    pub async fn shared() -> Result<&'static Endpoint, Error> {
        static SHARED: OnceCell<Result<(Endpoint, Option<Kafka>), Error>> = OnceCell::const_new();
        let shared = SHARED.get_or_init(async || {
            if let Ok(bootstrap) = env::var(ADDRESS) {
                return Ok((named(bootstrap).await?, None));
            }
            let kafka = Self::start().await?;
            Ok((kafka.endpoint.clone(), Some(kafka)))
        });
        shared.await.as_ref().map(|(endpoint, _)| endpoint).map_err(Error::Shared)
    }

    /// Starts a broker on free ports, its data in a temporary folder. It always is a new one, since
    /// what `STOOP_TEST_KAFKA` names is not ours to kill.
    ///
    /// # Errors
    /// If Kafka can't be fetched or does not start.
    pub async fn start() -> Result<Self, Error> {
        Self::start_on(Scratch::temporary()?, Extras::default()).await
    }

    /// Starts a broker with so many [detours](Self::proxy).
    ///
    /// # Errors
    /// If Kafka can't be fetched or does not start.
    pub async fn start_with_detours(detours: usize) -> Result<Self, Error> {
        let extras = Extras { detours, ..Extras::default() };
        Self::start_on(Scratch::temporary()?, extras).await
    }

    /// Starts a broker as [`Self::start`] does, with these lines in its `server.properties` too.
    ///
    /// # Errors
    /// If Kafka can't be fetched or does not start.
    pub async fn start_with(properties: &[&str]) -> Result<Self, Error> {
        let extras = Extras { properties: properties.join("\n"), ..Extras::default() };
        Self::start_on(Scratch::temporary()?, extras).await
    }

    /// Starts a broker on free ports, its data in `dir`, where it stays.
    ///
    /// # Errors
    /// If Kafka can't be fetched or does not start.
    pub async fn start_in(dir: &Path) -> Result<Self, Error> {
        Self::start_on(Scratch::kept(dir)?, Extras::default()).await
    }

    async fn start_on(scratch: Scratch, extras: Extras) -> Result<Self, Error> {
        let mut broker = Broker::prepare(scratch, extras).await?;
        broker.start().await?;
        let bootstrap = broker.ports.plain.address().to_string();
        Ok(Self { endpoint: Endpoint { bootstrap }, broker })
    }

    /// The listener with TLS alone.
    #[must_use]
    pub fn encrypted(&self) -> Encrypted {
        Encrypted {
            bootstrap: format!("localhost:{}", self.broker.ports.encrypted.number()),
            ca: self.broker.file("ca.pem"),
        }
    }

    /// The listener with TLS and SASL.
    #[must_use]
    pub fn secure(&self) -> Secure {
        Secure {
            bootstrap: format!("localhost:{}", self.broker.ports.secure.number()),
            ca: self.broker.file("ca.pem"),
            username: properties::USER,
            password: properties::PASSWORD,
        }
    }

    /// The listener with TLS that wants a client's certificate.
    #[must_use]
    pub fn mutual(&self) -> Mutual {
        Mutual {
            bootstrap: format!("localhost:{}", self.broker.ports.mutual.number()),
            ca: self.broker.file("ca.pem"),
            certificate: self.broker.file("client.pem"),
            key: self.broker.file("client.key"),
        }
    }

    /// A faulty network on the way to the broker: its address is a `bootstrap.servers` whose clients are
    /// told of no other way. One at a time for each detour that the broker was started with.
    ///
    /// # Errors
    /// There is no such detour, or there is a proxy on it.
    pub async fn proxy(&self, detour: usize) -> Result<Proxy, Error> {
        let detour = self.broker.detours.get(detour).ok_or_else(|| {
            Error::io("can't take a detour")(std::io::Error::other("start more of them"))
        })?;
        Proxy::between(detour.advertised(), detour.listens()).await
    }

    /// Kills the broker (SIGKILL); its data and ports stay reserved for [`Self::restart`].
    pub fn kill(&mut self) {
        self.broker.kill();
    }

    /// Starts it again on the same ports and data, killing it first if it runs.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.broker.kill();
        self.broker.start().await
    }

    /// Stops the broker in its tracks (SIGSTOP): connections stay, nothing is answered.
    ///
    /// # Errors
    /// If it was killed.
    pub fn pause(&self) -> Result<(), Error> {
        self.broker.running()?.pause()
    }

    /// Lets a paused broker go on.
    ///
    /// # Errors
    /// If it was killed.
    pub fn resume(&self) -> Result<(), Error> {
        self.broker.running()?.resume()
    }

    /// The broker's process id.
    ///
    /// # Errors
    /// If it was killed.
    pub fn process_id(&self) -> Result<u32, Error> {
        self.broker.running().map(crate::process::Process::id)
    }
}

impl Deref for Kafka {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        &self.endpoint
    }
}

async fn named(bootstrap: String) -> Result<Endpoint, Error> {
    let what = format!("Kafka serves on {bootstrap} as {ADDRESS} says");
    until(what, Duration::from_secs(10), async || probe::serves(&bootstrap).await).await?;
    Ok(Endpoint { bootstrap })
}
