//! HTTPS for the control port. Handshakes go on beside each other, so that nobody's slow one keeps the others out.

use std::{io, net::SocketAddr, time::Duration};

use axum::serve::Listener as Contract;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// How long a handshake may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many may go on at once.
const AT_ONCE: usize = 64;

/// Takes connections that have shown what TLS asks of them.
pub(super) struct Listener {
    tcp: TcpListener,
    tls: TlsAcceptor,
    handshakes: JoinSet<Option<(TlsStream<TcpStream>, SocketAddr)>>,
}

impl Listener {
    pub(super) fn new(tcp: TcpListener, tls: TlsAcceptor) -> Self {
        Self { tcp, tls, handshakes: JoinSet::new() }
    }
}

impl Contract for Listener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            tokio::select! {
                Some(ended) = self.handshakes.join_next() => {
                    // Who fails it is told so by TLS itself.
                    if let Ok(Some(connection)) = ended {
                        return connection;
                    }
                }
                (stream, from) = Contract::accept(&mut self.tcp), if self.handshakes.len() < AT_ONCE => {
                    let tls = self.tls.clone();
                    self.handshakes.spawn(async move {
                        let stream = timeout(PATIENCE, tls.accept(stream)).await.ok()?.ok()?;
                        Some((stream, from))
                    });
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}
