//! A real nats-server with JetStream on loopback.
//!
//! [`Nats::shared`] is the server that the tests of one binary share; [`Nats::start`] is one of your own, to kill and to
//! pause, and [`Nats::guarded`] one that asks who is there.

mod guard;
mod jwt;
mod provision;
mod server;

use std::{env, ops::Deref, path::Path, time::Duration};

use tokio::sync::OnceCell;

pub use guard::{Guard, Keys};
pub use provision::provision;

use crate::{error::Error, scratch::Scratch, wait::until};
use server::Server;

const ADDRESS: &str = "STOOP_TEST_NATS";

/// Where a server is found.
#[derive(Clone, Debug)]
pub struct Endpoint {
    url: String,
}

impl Endpoint {
    /// Its URL: `nats://host:port`, or `tls://localhost:port` for a guarded one.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// A server of one's own. It ends when this is dropped or this process ends, by SIGKILL too.
#[derive(Debug)]
pub struct Nats {
    endpoint: Endpoint,
    server: Server,
}

impl Nats {
    /// The server that everything in this process shares: the one that `STOOP_TEST_NATS` names, or else one started now.
    /// Name your streams and subjects so that tests don't meet.
    ///
    /// # Errors
    /// If it can't be had; the same error for everyone who asks.
    pub async fn shared() -> Result<&'static Endpoint, Error> {
        static SHARED: OnceCell<Result<(Endpoint, Option<Nats>), Error>> = OnceCell::const_new();
        let shared = SHARED.get_or_init(async || {
            if let Ok(url) = env::var(ADDRESS) {
                return Ok((named(url).await?, None));
            }
            let nats = Self::start().await?;
            Ok((nats.endpoint.clone(), Some(nats)))
        });
        shared.await.as_ref().map(|(endpoint, _)| endpoint).map_err(Error::Shared)
    }

    /// Starts a server on a free port, its data in a temporary folder. It always is a new one, since what
    /// `STOOP_TEST_NATS` names is not ours to kill.
    ///
    /// # Errors
    /// If nats-server can't be built or does not start.
    pub async fn start() -> Result<Self, Error> {
        Self::start_on(Scratch::temporary()?, None).await
    }

    /// Starts a server on a free port, its data in `dir`, where it stays.
    ///
    /// # Errors
    /// If nats-server can't be built or does not start.
    pub async fn start_in(dir: &Path) -> Result<Self, Error> {
        Self::start_on(Scratch::kept(dir)?, None).await
    }

    /// Starts a server on a free port that lets in only who has the [`Keys`], which come with it.
    ///
    /// # Errors
    /// If nats-server can't be built or does not start.
    pub async fn guarded(guard: Guard) -> Result<(Self, Keys), Error> {
        let nats = Self::start_on(Scratch::temporary()?, Some(guard)).await?;
        match nats.server.keys.clone() {
            Some(keys) => Ok((nats, keys)),
            None => unreachable!("a guarded server has keys"),
        }
    }

    async fn start_on(scratch: Scratch, guard: Option<Guard>) -> Result<Self, Error> {
        let mut server = Server::prepare(scratch, guard).await?;
        server.start().await?;
        let url = match guard {
            None => format!("nats://{}", server.port.address()),
            Some(_) => format!("tls://localhost:{}", server.port.number()),
        };
        Ok(Self { endpoint: Endpoint { url }, server })
    }

    /// Kills the server (SIGKILL); its data and port stay reserved for [`Self::restart`].
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Starts it again on the same port and data, killing it first if it runs.
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

impl Deref for Nats {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        &self.endpoint
    }
}

async fn named(url: String) -> Result<Endpoint, Error> {
    let address = url.rsplit("//").next().unwrap_or(&url).to_owned();
    let what = format!("NATS serves on {address} as {ADDRESS} says");
    until(what, Duration::from_secs(10), async || server::serves(address.clone()).await).await?;
    Ok(Endpoint { url })
}
