//! A journal in a folder of its own on a disk that can fail: opened, served, left, and opened again.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::{net::TcpStream, sync::Mutex, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    super::{Config, Journal, Ledger, Monitor, Receiver, intake::Door, store::Store},
    disk::{Disk, Doctor},
};
use crate::contract::Error;

/// The folder, and what serves the journal while it is open.
pub(super) struct Bench {
    folder: TempDir,
    pub(super) disk: Doctor,
    pub(super) open: Mutex<Option<Open>>,
}

/// An open journal, without the parts that a worker takes.
pub(super) struct Open {
    pub(super) monitor: Monitor,
    address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Bench {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, disk: Doctor::default(), open: Mutex::default() }
    }

    /// Leaves the journal if it is open, and opens it anew, as a process does that comes after another's crash.
    pub(super) async fn reopen(&self) -> (Receiver, Arc<Ledger>) {
        let mut open = self.open.lock().await;
        if let Some(Open { stop, serving, .. }) = open.take() {
            stop.cancel();
            serving.await.unwrap();
        }
        let (store, recovered) = loop {
            match Store::open_on(Disk::open(self.folder.path(), &self.disk)) {
                Ok(opened) => break opened,
                // The writer of the one before is about to let go of the file.
                Err(Error::Configuration(_)) => tokio::task::yield_now().await,
                Err(error) => panic!("{error:?}"),
            }
        };
        let config = Config { listen: "127.0.0.1:0".parse().unwrap(), ..Config::default() };
        let door = Door::open(&config).await.unwrap();
        let Journal { receiver, ledger, intake, monitor } =
            Journal::assemble(&config, door, store, recovered, |_: &[u8]| Ok(())).unwrap();
        let stop = CancellationToken::new();
        let address = intake.local_addr();
        let serving = tokio::spawn(intake.serve(stop.clone()));
        *open = Some(Open { monitor, address, stop, serving });
        (receiver, ledger)
    }

    /// The open journal's monitor; it is opened for this if nobody has.
    pub(super) async fn monitor(&self) -> Monitor {
        if self.open.lock().await.is_none() {
            self.reopen().await;
        }
        self.open.lock().await.as_ref().unwrap().monitor.clone()
    }

    /// Publishes over HTTP, and says the answer's status.
    pub(super) async fn post(&self, body: Bytes) -> u16 {
        let address = self.open.lock().await.as_ref().unwrap().address;
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = hyper::Request::post("/")
            .header("host", "journal")
            .body(http_body_util::Full::new(body))
            .unwrap();
        sender.send_request(request).await.unwrap().status().as_u16()
    }
}
