//! The port that capture jobs upload to, where evidence is in a store that signs no links.
//!
//! Whoever reaches it can do nothing without a ticket: a signed link for one object, which the store takes once. What is a
//! ticket, and what becomes of the bytes, is `playbooks`' to decide.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, Path, Query, State},
    http::StatusCode,
    routing::put,
};
use jiff::Timestamp;
use playbooks::act::{Evidence, NotTaken, Ticket};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, SemaphorePermit},
};
use tokio_util::sync::CancellationToken;

use crate::port;

/// How many are taken at a time: of each a part of a few MiB is held.
const AT_ONCE: usize = 4;

/// How many more wait for their turn: of each a connection is held, and what of its body the kernel takes.
const WAITING: usize = 60;

/// How long they wait; then they are told to come again.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long one may take, since it holds up others.
const LONGEST: Duration = Duration::from_secs(120);

#[derive(Clone)]
struct Port {
    evidence: Arc<Evidence>,
    /// Who is here at all.
    room: Arc<Semaphore>,
    turn: Arc<Semaphore>,
}

/// Serves until stopped. Returns the bound address at once.
///
/// # Errors
/// The address can't be bound.
pub async fn serve(
    listen: SocketAddr,
    evidence: Evidence,
    stop: CancellationToken,
) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let turn = Arc::new(Semaphore::new(AT_ONCE));
    let room = Arc::new(Semaphore::new(AT_ONCE + WAITING));
    let router = Router::new()
        .route("/v1/evidence/{*key}", put(take))
        // The ticket's own bound is the one that counts.
        .layer(DefaultBodyLimit::disable())
        .with_state(Port { evidence: Arc::new(evidence), room, turn });
    tokio::spawn(port::serve(listener, router, stop));
    Ok(address)
}

impl Port {
    /// A place among those that are taken, where one comes free in time.
    async fn turn(&self) -> Option<(SemaphorePermit<'_>, SemaphorePermit<'_>)> {
        let room = self.room.try_acquire().ok()?;
        let turn = tokio::time::timeout(PATIENCE, self.turn.acquire()).await.ok()?.ok()?;
        Some((room, turn))
    }
}

async fn take(
    State(port): State<Port>,
    Path(key): Path<String>,
    Query(ticket): Query<Ticket>,
    body: Body,
) -> (StatusCode, String) {
    // Who has no ticket holds up nobody.
    if let Err(why) = port.evidence.admit(&key, &ticket, Timestamp::now()) {
        return (status(&why), format!("{why}\n"));
    }
    let Some((_room, _turn)) = port.turn().await else {
        return (StatusCode::SERVICE_UNAVAILABLE, "other uploads are under way\n".to_owned());
    };
    let body = body.into_data_stream();
    let taken = port.evidence.receive(&key, &ticket, Timestamp::now(), body);
    let Ok(taken) = tokio::time::timeout(LONGEST, taken).await else {
        return (StatusCode::REQUEST_TIMEOUT, "it takes too long\n".to_owned());
    };
    match taken {
        Ok(_) => (StatusCode::CREATED, String::new()),
        Err(why) => (status(&why), format!("{why}\n")),
    }
}

/// As buckets answer, so that capture jobs need to know one language.
fn status(why: &NotTaken) -> StatusCode {
    match why {
        NotTaken::Unknown | NotTaken::Late => StatusCode::FORBIDDEN,
        NotTaken::Used => StatusCode::PRECONDITION_FAILED,
        NotTaken::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        NotTaken::Broken(_) => StatusCode::BAD_REQUEST,
        NotTaken::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

#[cfg(test)]
mod tests {
    use playbooks::act::{EvidenceConfig, UploadsConfig};
    use settings::Secret;

    use super::*;

    fn port(evidence: Evidence) -> Port {
        let (room, turn) = (Arc::new(Semaphore::new(3)), Arc::new(Semaphore::new(1)));
        Port { evidence: Arc::new(evidence), room, turn }
    }

    fn evidence(folder: &std::path::Path) -> Evidence {
        let opened = Evidence::open(&EvidenceConfig {
            url: format!("file://{}", folder.display()),
            uploads: Some(UploadsConfig {
                listen: ([127, 0, 0, 1], 0).into(),
                url: "http://stoop:2809".into(),
                secret: Secret::literal("0123456789abcdef"),
            }),
        });
        opened.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_while_others_upload_waits_for_a_turn_and_is_turned_away_only_at_last() {
        let folder = tempfile::tempdir().unwrap();
        let port = port(evidence(folder.path()));
        let first = port.turn().await.unwrap();
        // The clock goes on by itself while all wait.
        assert!(port.turn().await.is_none(), "after its patience");
        let (second, ()) = tokio::join!(port.turn(), async {
            tokio::time::sleep(PATIENCE / 2).await;
            drop(first);
        });
        assert!(second.is_some(), "a turn that came free was not taken");
        let held: Vec<_> = (0..2).map(|_| port.room.try_acquire().unwrap()).collect();
        let before = tokio::time::Instant::now();
        assert!(port.turn().await.is_none());
        assert_eq!(before.elapsed(), Duration::ZERO, "there is no room to wait in");
        drop(held);
    }

    #[tokio::test]
    async fn without_a_ticket_nothing_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let stop = CancellationToken::new();
        let listen = ([127, 0, 0, 1], 0).into();
        let address = serve(listen, evidence(folder.path()), stop.clone()).await.unwrap();
        let url = format!("http://{address}/v1/evidence/2026-11-21/cap-1/a/b");
        let client = reqwest::Client::new();
        for (query, status) in [("", 400), ("?until=1&most=1&token=00", 403)] {
            let answer = client.put(format!("{url}{query}")).body("x").send().await.unwrap();
            assert_eq!(answer.status().as_u16(), status, "{query}");
        }
        let read = client.get(format!("{url}?until=1&most=1&token=00")).send().await.unwrap();
        assert_eq!(read.status().as_u16(), 405, "it takes and never gives");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        stop.cancel();
    }
}
