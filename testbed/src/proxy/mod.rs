//! A faulty network: a TCP proxy on loopback between a client and a server.
//!
//! Each way can be cut or slowed by itself, and what is connected can be reset. A cut way loses no bytes and closes
//! nothing: they wait, as they would in the sender's retransmissions, and go on when the way is open again. Whoever
//! waits for them sees silence.

mod wire;

use std::{io::ErrorKind, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use crate::{error::Error, port::Port, wait::until};

/// How long a dropped proxy may take to close its port.
const CLOSES: Duration = Duration::from_secs(5);

/// From whom to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// How bytes go one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// As they come.
    #[default]
    Open,
    /// Each piece, of a few kilobytes at most, is late by this much.
    Slow(Duration),
    /// Not at all.
    Cut,
}

/// What the proxy does to every connection, those to come included.
#[derive(Clone, Copy, Debug, Default)]
struct Weather {
    to_server: Flow,
    to_client: Flow,
    /// Connections older than the last reset are gone.
    resets: u64,
}

impl Weather {
    fn flow(&self, way: Way) -> Flow {
        match way {
            Way::ToServer => self.to_server,
            Way::ToClient => self.to_client,
        }
    }
}

/// The proxy. Dropping it closes its port and every connection through it.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    accepting: JoinHandle<()>,
    _port: Option<Port>,
}

impl Proxy {
    /// A proxy to `server` on a port of its own.
    ///
    /// # Errors
    /// There is no port for it.
    pub async fn to(server: SocketAddr) -> Result<Self, Error> {
        let port = Port::reserve()?;
        let mut proxy = Self::between(port.address().into(), server).await?;
        proxy._port = Some(port);
        Ok(proxy)
    }

    /// A proxy that listens on `address`, for a server that tells its clients where to find it. One that was dropped there
    /// may not have closed it yet: that is waited for.
    ///
    /// # Errors
    /// The address can't be bound.
    pub async fn between(address: SocketAddr, server: SocketAddr) -> Result<Self, Error> {
        let failed = || Error::io(format!("can't listen on {address}"));
        let listener =
            until(format!("{address} is free"), CLOSES, async || {
                match TcpListener::bind(address).await {
                    Err(error) if error.kind() == ErrorKind::AddrInUse => Err(error.to_string()),
                    bound => Ok(bound.map_err(failed())),
                }
            });
        let listener = listener.await??;
        let address = listener.local_addr().map_err(failed())?;
        let weather = watch::Sender::new(Weather::default());
        let accepting = tokio::spawn(accept(listener, server, weather.subscribe()));
        Ok(Self { address, weather, accepting, _port: None })
    }

    /// Where clients connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on bytes go this way like that.
    pub fn set(&self, way: Way, flow: Flow) {
        self.weather.send_modify(|weather| match way {
            Way::ToServer => weather.to_server = flow,
            Way::ToClient => weather.to_client = flow,
        });
    }

    /// Resets (RST) what is connected, on both sides. What connects from now on is served.
    pub fn reset(&self) {
        self.weather.send_modify(|weather| weather.resets += 1);
    }

    /// Opens both ways.
    pub fn heal(&self) {
        self.weather.send_modify(|weather| {
            (weather.to_server, weather.to_client) = (Flow::Open, Flow::Open);
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, weather: watch::Receiver<Weather>) {
    loop {
        // A client that gave up meanwhile is no reason to turn the next away.
        if let Ok((client, _)) = listener.accept().await {
            tokio::spawn(serve(client, server, weather.clone()));
        }
    }
}

async fn serve(client: TcpStream, server: SocketAddr, weather: watch::Receiver<Weather>) {
    match TcpStream::connect(server).await {
        Ok(server) => wire::join(client, server, weather).await,
        // Nobody listens there, and so nobody shall seem to listen here.
        Err(_) => wire::reset(&client),
    }
}
