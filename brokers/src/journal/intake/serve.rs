//! Connections: accepted, served one request after the other, and sent home when the intake stops.

use std::{convert::Infallible, future::Future, io, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// How long a connection may take for a TLS handshake, and for a request's headers.
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
    let service = service_fn(|request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), service);
    // Whoever hangs up has either got the answer or publishes again.
    let _ = watcher.watch(connection).await;
}
