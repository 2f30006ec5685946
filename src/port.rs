//! What every port that answers HTTP has in common: nobody holds it for good by being slow, or by staying.

use std::{sync::Arc, time::Duration};

use axum::{Router, serve::Listener};
use hyper::server::conn::http1::Builder;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// How long the head of a request may take to come, the first as any later one of a connection.
const HEAD: Duration = Duration::from_secs(30);

/// How long a connection may stay, whatever it does: longer than any answer takes that somebody reads.
const LONGEST: Duration = Duration::from_secs(10 * 60);

/// How many connections there are at once; the next one waits for its turn.
const AT_ONCE: usize = 256;

/// How long the answers under way may still take once the port is stopped.
const LEAVING: Duration = Duration::from_secs(10);

/// Answers until stopped, and for a short while what was asked before.
pub(crate) async fn serve<L: Listener>(mut listener: L, router: Router, stop: CancellationToken) {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let graceful = GracefulShutdown::new();
    loop {
        let next = async {
            let turn = Arc::clone(&turns).acquire_owned().await;
            (turn, listener.accept().await.0)
        };
        let (turn, stream) = tokio::select! {
            next = next => next,
            () = stop.cancelled() => break,
        };
        let (service, watcher) = (TowerToHyperService::new(router.clone()), graceful.watcher());
        tokio::spawn(async move {
            let mut connections = Builder::new();
            // HTTP/1 alone: where both are spoken nothing bounds the wait for the first byte, which tells them apart.
            connections.timer(TokioTimer::new()).header_read_timeout(HEAD);
            let served = connections.serve_connection(TokioIo::new(stream), service);
            // Who goes away, is too slow or speaks no HTTP has ended only his own.
            drop(tokio::time::timeout(LONGEST, watcher.watch(served)).await);
            drop(turn);
        });
    }
    drop(tokio::time::timeout(LEAVING, graceful.shutdown()).await);
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
        time::Instant,
    };

    use super::*;

    async fn port() -> (std::net::SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let router = Router::new()
            .route("/", get(|| async { "here" }))
            .route("/never", get(std::future::pending::<&str>));
        (address, stop.clone(), tokio::spawn(serve(listener, router, stop)))
    }

    async fn ask(stream: &mut TcpStream) -> String {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// The clock stands still while a socket is waited for, and runs ahead when nothing else is to be done.
    #[tokio::test(start_paused = true)]
    async fn who_never_ends_his_question_or_never_begins_gives_his_place_up() {
        for said in ["GET / HTTP/1.1\r\nx: ", ""] {
            let (address, ..) = port().await;
            let mut slow = Vec::new();
            for _ in 0..AT_ONCE {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(said.as_bytes()).await.unwrap();
                slow.push(stream);
            }
            let (mut late, began) = (TcpStream::connect(address).await.unwrap(), Instant::now());
            assert!(ask(&mut late).await.ends_with("here"), "{said:?}");
            assert!(began.elapsed() < LONGEST, "he was waited for as if he had asked");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_stays_does_not_hold_the_end_up() {
        let (address, stop, served) = port().await;
        let mut streams = Vec::new();
        for said in ["GET / HTTP/1.1\r\nx: ", "GET /never HTTP/1.1\r\nhost: x\r\n\r\n"] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(said.as_bytes()).await.unwrap();
            streams.push(stream);
        }
        // What was asked has come in by the time that another one's question is answered.
        ask(&mut TcpStream::connect(address).await.unwrap()).await;
        stop.cancel();
        let began = Instant::now();
        served.await.unwrap();
        assert!(began.elapsed() < HEAD, "it was waited for him");
    }
}
