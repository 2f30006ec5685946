//! The suite that every broker passes.

use std::{any::Any, fs::File, sync::Arc};

use async_trait::async_trait;
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::{net::TcpStream, sync::Mutex, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        Buried, Config, Journal, Ledger, Monitor, Receiver, Sequence, intake::Door, store::Store,
    },
    disk::{Disk, Full},
};
use crate::{
    conformance::{Harness, Record},
    contract::Error,
};

crate::conformance!(Bench);

/// A folder with a journal, and the journal while it is open.
struct Bench {
    folder: TempDir,
    full: Full,
    open: Mutex<Option<Open>>,
}

struct Open {
    monitor: Monitor,
    address: std::net::SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<Result<(), Error>>,
}

impl Bench {
    /// Opens the journal anew, as the process that comes after a crash does.
    async fn reopen(&self) -> (Receiver, Arc<Ledger>, Open) {
        let listen = "127.0.0.1:0".parse().unwrap();
        let config = Config { listen, ..Config::default() };
        let (store, recovered) = loop {
            let file = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(self.folder.path().join("journal"))
                .unwrap();
            match Store::open_on(Disk::new(file, self.full.clone())) {
                Ok(opened) => break opened,
                // The writer of the one before is about to let go of the file.
                Err(Error::Configuration(_)) => tokio::task::yield_now().await,
                Err(error) => panic!("{error:?}"),
            }
        };
        let door = Door::open(&config).unwrap();
        let Journal { receiver, ledger, intake, monitor } =
            Journal::assemble(&config, door, store, recovered, |_: &[u8]| Ok(())).unwrap();
        let stop = CancellationToken::new();
        let address = intake.local_addr();
        let serving = tokio::spawn(intake.serve(stop.clone()));
        (receiver, ledger, Open { monitor, address, stop, serving })
    }

    /// Lets go of the journal, if it is open.
    async fn leave(open: &mut Option<Open>) {
        if let Some(Open { stop, serving, .. }) = open.take() {
            stop.cancel();
            serving.await.unwrap().unwrap();
        }
    }
}

#[async_trait]
impl Harness for Bench {
    type Receiver = Receiver;
    type Ledger = Ledger;
    const LEASES_END: bool = false;
    const KEEPS_KEY_AND_HEADERS: bool = false;

    async fn fresh() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, full: Full::default(), open: Mutex::default() }
    }

    async fn connect(&self) -> (Receiver, Arc<Ledger>) {
        let mut open = self.open.lock().await;
        Self::leave(&mut open).await;
        let (receiver, ledger, opened) = self.reopen().await;
        *open = Some(opened);
        (receiver, ledger)
    }

    async fn publish(&self, records: Vec<Record>) {
        let mut open = self.open.lock().await;
        if open.as_ref().is_none_or(|open| open.monitor.keeper.shared.inbox.ended().is_some()) {
            Self::leave(&mut open).await;
            *open = Some(self.reopen().await.2);
        }
        let address = open.as_ref().unwrap().address;
        for record in records {
            assert_eq!(post(address, record.payload).await, 200);
        }
    }

    async fn unsettled(&self) -> u64 {
        let mut open = self.open.lock().await;
        if open.is_none() {
            *open = Some(self.reopen().await.2);
        }
        open.as_ref().unwrap().monitor.depth().unsettled.messages
    }

    async fn dead_letters(&self) -> Vec<Record> {
        let mut open = self.open.lock().await;
        Self::leave(&mut open).await;
        let (_receiver, _ledger, opened) = self.reopen().await;
        let buried = opened.monitor.dead_letters(Sequence::default(), 100).await.unwrap();
        *open = Some(opened);
        let record = |dead: Buried| Record {
            headers: dead.letter.headers(&dead.message),
            payload: dead.message.payload,
            key: None,
        };
        buried.into_iter().map(record).collect()
    }

    /// They are kept in the same file as the events: it fails.
    async fn set_dead_letters_down(&self, down: bool) {
        self.full.set(down);
    }

    async fn revoke(&self) -> Box<dyn Any + Send> {
        unreachable!("a journal's lease is its process")
    }

    async fn lose(&self) -> Box<dyn Any + Send> {
        unreachable!("a journal's lease is its process")
    }
}

async fn post(address: std::net::SocketAddr, body: bytes::Bytes) -> u16 {
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
