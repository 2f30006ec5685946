//! Connections: accepted, served one request after the other, and sent home when the intake stops.

use std::{
    convert::Infallible,
    future::Future,
    io,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::TokioIo,
    server::graceful::{GracefulShutdown, Watcher},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{interval, sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// How long a connection may take for a TLS handshake, and, within as long again, for its next request to begin.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long requests that are under way may take to end when the intake stops.
const FAREWELL: Duration = Duration::from_secs(5);

/// How long nothing is accepted after the system had no room for a connection.
const REST: Duration = Duration::from_secs(1);

/// Serves `answer` until `stop`: then nothing new is accepted, and what is under way gets a few seconds to end. Dropping the
/// future closes every connection.
pub(super) async fn serve<A, F>(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    answer: A,
    stop: CancellationToken,
) where
    A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send,
{
    let farewell = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            stream = accept(&listener) => stream,
        };
        let (tls, answer, watcher) = (tls.clone(), answer.clone(), farewell.watcher());
        connections.spawn(async move {
            match tls {
                None => talk(stream, answer, watcher).await,
                // Who fails the handshake is told so by TLS itself.
                Some(tls) => {
                    if let Ok(Ok(stream)) = timeout(PATIENCE, tls.accept(stream)).await {
                        talk(stream, answer, watcher).await;
                    }
                }
            }
        });
    }
    drop(listener);
    let _ = timeout(FAREWELL, farewell.shutdown()).await;
}

/// The next connection. What is only that connection's trouble is passed over.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // An answer is written in one piece, and waited for.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            Err(e) if is_the_peers(&e) => {}
            Err(error) => {
                tracing::warn!(%error, "the journal's intake can't take a connection now");
                sleep(REST).await;
            }
        }
    }
}

fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn talk<S, A, F>(stream: S, answer: A, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    A: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<Full<Bytes>>>,
{
    let requests = Requests::default();
    let service = service_fn(|request| {
        requests.begin();
        let (answer, requests) = (answer(request), &requests);
        async move {
            let answer = answer.await;
            requests.end();
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // Whoever hangs up has either got the answer or publishes again.
    tokio::select! {
        biased;
        _ = watcher.watch(connection) => {}
        () = requests.cease() => {}
    }
}

/// How many requests of a connection have begun, and how many have ended, in one number: it is odd while one is under way.
/// A clock for each of them would cost more than reading them does.
#[derive(Debug, Default)]
struct Requests(AtomicU64);

impl Requests {
    fn begin(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn end(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until none was under way for as long as the next may take to begin.
    async fn cease(&self) {
        let mut looks = interval(PATIENCE);
        let mut before = None;
        loop {
            looks.tick().await;
            let now = self.0.load(Ordering::Relaxed);
            if before.replace(now) == Some(now) && now.is_multiple_of(2) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::Instant,
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_asks_nothing_is_hung_up_on_and_who_waits_for_an_answer_is_not() {
        let (mut client, server) = tokio::io::duplex(1024);
        let farewell = GracefulShutdown::new();
        let answer = async |_| {
            sleep(PATIENCE * 3).await;
            Response::new(Full::from("done"))
        };
        let talking = talk(server, answer, farewell.watcher());
        let asking = async {
            client.write_all(b"GET / HTTP/1.1\r\nhost: journal\r\n\r\n").await.unwrap();
            let mut answer = [0; 17];
            client.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200 OK\r\n");
            let answered = Instant::now();
            client.write_all(b"GET / HTTP/1.1\r\nhost: jour").await.unwrap();
            client.read_to_end(&mut Vec::new()).await.unwrap();
            answered.elapsed()
        };
        let ((), idle) = tokio::join!(talking, asking);
        assert!((PATIENCE..=PATIENCE * 2).contains(&idle), "{idle:?}");
    }
}
