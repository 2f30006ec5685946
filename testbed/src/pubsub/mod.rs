//! A real Pub/Sub API on loopback: Google's emulator where the Google Cloud SDK is installed, else `pstest`, the fake
//! that Google's Go client is tested against.
//!
//! [`PubSub::shared`] is the server that the tests of one binary share; [`PubSub::start`] is one of your own, to kill and
//! to pause. Neither keeps anything: after a restart all topics and subscriptions are gone. Topics are never created by
//! themselves.

pub mod fake;
mod front;
mod google;
mod probe;
mod provision;
mod server;
mod tokens;

use std::{
    env,
    net::{Ipv4Addr, SocketAddr},
    ops::Deref,
    path::Path,
    time::Duration,
};

use tokio::sync::OnceCell;

pub use provision::provision;
pub use tokens::Tokens;

use crate::{error::Error, scratch::Scratch, wait::until};
use front::Front;
use server::Server;

/// As every client library of Google's reads it.
const ADDRESS: &str = "PUBSUB_EMULATOR_HOST";

/// Where a server is found.
#[derive(Clone, Debug)]
pub struct Endpoint {
    address: String,
}

impl Endpoint {
    /// The value of `PUBSUB_EMULATOR_HOST`: `host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}

/// A server of one's own. It ends when this is dropped or this process ends, by SIGKILL too.
#[derive(Debug)]
pub struct PubSub {
    endpoint: Endpoint,
    server: Server,
}

impl PubSub {
    /// The server that everything in this process shares: the one that `PUBSUB_EMULATOR_HOST` names, or else one started
    /// now. Name your topics and subscriptions so that tests don't meet.
    ///
    /// # Errors
    /// If it can't be had; the same error for everyone who asks.
    pub async fn shared() -> Result<&'static Endpoint, Error> {
        static SHARED: OnceCell<Result<Shared, Error>> = OnceCell::const_new();
        let shared = SHARED.get_or_init(async || match env::var(ADDRESS) {
            Ok(address) => named(address).await,
            Err(_) => Self::start().await.map(Shared::Own),
        });
        shared.await.as_ref().map(Shared::endpoint).map_err(Error::Shared)
    }

    /// Starts a server on a free port. It always is a new one, since what `PUBSUB_EMULATOR_HOST` names is not ours to
    /// kill.
    ///
    /// # Errors
    /// If it can't be had or does not start.
    pub async fn start() -> Result<Self, Error> {
        Self::start_on(Scratch::temporary()?).await
    }

    /// Starts a server on a free port, its log in `dir`.
    ///
    /// # Errors
    /// If it can't be had or does not start.
    pub async fn start_in(dir: &Path) -> Result<Self, Error> {
        Self::start_on(Scratch::kept(dir)?).await
    }

    async fn start_on(scratch: Scratch) -> Result<Self, Error> {
        let mut server = Server::prepare(scratch).await?;
        server.start().await?;
        Ok(Self { endpoint: Endpoint { address: server.address() }, server })
    }

    /// Kills the server (SIGKILL), and with it all that it knew; its port stays reserved for [`Self::restart`].
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Starts it again on the same port, empty, killing it first if it runs.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.server.kill();
        self.server.start().await
    }

    /// Stops the server in its tracks (SIGSTOP): connections stay, nothing is answered.
    ///
    /// # Errors
    /// If it was killed.
    pub fn pause(&self) -> Result<(), Error> {
        self.server.running()?.pause()
    }

    /// Lets a paused server go on.
    ///
    /// # Errors
    /// If it was killed.
    pub fn resume(&self) -> Result<(), Error> {
        self.server.running()?.resume()
    }
}

impl Deref for PubSub {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        &self.endpoint
    }
}

/// What everything in this process shares.
#[derive(Debug)]
enum Shared {
    Own(PubSub),
    /// Somebody else's, and what we put in front of it.
    Named(Endpoint, #[expect(dead_code, reason = "it serves until it is dropped")] Front),
}

impl Shared {
    fn endpoint(&self) -> &Endpoint {
        match self {
            Self::Own(server) => server,
            Self::Named(endpoint, _) => endpoint,
        }
    }
}

async fn named(address: String) -> Result<Shared, Error> {
    let what = format!("Pub/Sub serves on {address} as {ADDRESS} says");
    until(what, Duration::from_secs(10), async || probe::serves(&address).await).await?;
    let front = Front::open(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), address)?;
    Ok(Shared::Named(Endpoint { address: front.address().to_string() }, front))
}
