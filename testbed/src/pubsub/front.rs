//! What stands in front of Google's emulator: a client that gives up a stream, or goes away with all it has, is told to it
//! as one that has ended its half.
//!
//! The emulator (0.8.20) has a gRPC transport that doesn't fit the rest of it: a client's RST_STREAM ends in a
//! `NoSuchMethodError` in its log, and the subscriber behind the stream goes on for as long as the emulator does. It is
//! delivered to, and who lives waits for those leases to end, one after the other. The end of a client's half it understands.

use std::{
    collections::HashSet,
    io,
    net::{self, SocketAddr},
    thread,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader, BufWriter},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    runtime,
    sync::oneshot,
    time::timeout,
};

use crate::error::Error;

/// How HTTP/2 begins: <https://www.rfc-editor.org/rfc/rfc9113#section-3.4>. No request of HTTP/1 begins like that.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// As much of it as tells.
const TELLS: usize = 3;

/// How long a server may take to see that its client has gone.
const LINGER: Duration = Duration::from_secs(5);

/// Serves in a thread of its own until it is dropped, for tests whose runtimes come and go. What is connected ends with it.
#[derive(Debug)]
pub(crate) struct Front {
    address: SocketAddr,
    end: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Front {
    /// Listens on `address` in front of the server that is at `behind`, as `host:port`.
    ///
    /// # Errors
    /// If the address can't be had.
    pub(crate) fn open(address: SocketAddr, behind: String) -> Result<Self, Error> {
        let failed = || Error::io(format!("can't listen on {address}"));
        let listener = net::TcpListener::bind(address).map_err(failed())?;
        listener.set_nonblocking(true).map_err(failed())?;
        let address = listener.local_addr().map_err(failed())?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(failed())?;
        let (end, ended) = oneshot::channel();
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = accept(listener, &behind) => {}
                    _ = ended => {}
                }
            });
        });
        Ok(Self { address, end: Some(end), thread: Some(thread) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        drop(self.end.take());
        // Its port is free after that.
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

async fn accept(listener: net::TcpListener, behind: &str) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let behind = behind.to_owned();
        tokio::spawn(async move {
            // Nobody listens there, and so nobody seems to listen here.
            if let Ok(server) = TcpStream::connect(behind).await {
                join(client, server).await;
            }
        });
    }
}

/// Carries bytes both ways until either side has closed.
async fn join(client: TcpStream, server: TcpStream) {
    // Small answers shall not wait for each other.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((mut from_server, to_server), (from_client, mut to_client)) =
        (server.into_split(), client.into_split());
    let ask = ask(from_client, to_server);
    tokio::pin!(ask);
    let client_gone = tokio::select! {
        _ = &mut ask => true,
        answered = tokio::io::copy(&mut from_server, &mut to_client) => match answered {
            Ok(_) => false,
            // A client that is gone may be found out by what is written to it; its halves are still to be ended.
            Err(_) => timeout(LINGER, &mut ask).await.is_ok(),
        },
    };
    if client_gone {
        // To close on what the server still says would be a reset, which overtakes what it was told.
        let _ = timeout(LINGER, tokio::io::copy(&mut from_server, &mut tokio::io::sink())).await;
    }
}

async fn ask(client: OwnedReadHalf, server: OwnedWriteHalf) -> io::Result<()> {
    let (mut client, mut server) = (BufReader::new(client), BufWriter::new(server));
    let mut first = [0; TELLS];
    client.read_exact(&mut first).await?;
    server.write_all(&first).await?;
    if !PREFACE.starts_with(&first) {
        server.flush().await?;
        return tokio::io::copy_buf(&mut client, &mut server.into_inner()).await.map(drop);
    }
    let mut preface = [0; PREFACE.len() - TELLS];
    client.read_exact(&mut preface).await?;
    server.write_all(&preface).await?;
    let mut halves = Halves::default();
    carry(&mut client, &mut server, &mut halves).await?;
    for end in halves.0.into_iter().map(end_of) {
        server.write_all(&end).await?;
    }
    server.shutdown().await
}

/// Carries frames until there are no more.
///
/// # Errors
/// Either side failed, or a frame is not whole, and nothing can follow it.
async fn carry(
    client: &mut BufReader<OwnedReadHalf>,
    server: &mut BufWriter<OwnedWriteHalf>,
    halves: &mut Halves,
) -> io::Result<()> {
    loop {
        let mut head = [0; Head::LENGTH];
        if client.read_exact(&mut head).await.is_err() {
            return Ok(());
        }
        let frame = Head::read(head);
        if let Some(end) = halves.see(frame) {
            server.write_all(&end).await?;
        }
        server.write_all(&head).await?;
        let whole = tokio::io::copy(&mut (&mut *client).take(frame.length), server).await?;
        if whole < frame.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if client.buffer().is_empty() {
            server.flush().await?;
        }
    }
}

/// The head of a frame: <https://www.rfc-editor.org/rfc/rfc9113#section-4.1>
#[derive(Clone, Copy, Debug)]
struct Head {
    length: u64,
    kind: u8,
    flags: u8,
    stream: [u8; 4],
}

impl Head {
    const LENGTH: usize = 9;
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    /// Of data and of headers.
    const END_STREAM: u8 = 1;

    fn read([a, b, c, kind, flags, stream @ ..]: [u8; Self::LENGTH]) -> Self {
        Self { length: u32::from_be_bytes([0, a, b, c]).into(), kind, flags, stream }
    }
}

/// The client's halves of streams that it has not ended.
#[derive(Debug, Default)]
struct Halves(HashSet<[u8; 4]>);

impl Halves {
    /// What has to go before this frame.
    fn see(&mut self, frame: Head) -> Option<[u8; Head::LENGTH]> {
        let Head { kind, flags, stream, .. } = frame;
        match kind {
            Head::DATA | Head::HEADERS if flags & Head::END_STREAM != 0 => {
                self.0.remove(&stream);
            }
            Head::HEADERS => {
                self.0.insert(stream);
            }
            Head::RST_STREAM if self.0.remove(&stream) => return Some(end_of(stream)),
            _ => {}
        }
        None
    }
}

/// An empty frame that ends a half.
fn end_of([a, b, c, d]: [u8; 4]) -> [u8; Head::LENGTH] {
    [0, 0, 0, Head::DATA, Head::END_STREAM, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u8) -> Head {
        Head::read([0, 1, 2, kind, flags, 0, 0, 0, stream])
    }

    #[test]
    fn a_head_is_read() {
        let head = frame(Head::DATA, 0, 7);
        assert_eq!((head.length, head.stream), (0x0102, [0, 0, 0, 7]));
    }

    #[test]
    fn a_stream_is_ended_before_it_is_reset_and_only_if_it_was_not() {
        let mut halves = Halves::default();
        let end = |stream| Some([0, 0, 0, 0, 1, 0, 0, 0, stream]);
        for stream in [1, 3, 5] {
            assert_eq!(halves.see(frame(Head::HEADERS, 4, stream)), None);
        }
        assert_eq!(halves.see(frame(Head::DATA, Head::END_STREAM, 3)), None);
        assert_eq!(halves.see(frame(Head::DATA, 0, 5)), None);
        assert_eq!(halves.see(frame(Head::RST_STREAM, 0, 1)), end(1));
        assert_eq!(halves.see(frame(Head::RST_STREAM, 0, 3)), None);
        assert_eq!(halves.see(frame(Head::RST_STREAM, 0, 5)), end(5));
        assert_eq!(halves.see(frame(Head::RST_STREAM, 0, 5)), None);
    }
}
