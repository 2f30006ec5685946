//! The port that capture jobs upload to, where evidence is a folder of the worker's.
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
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;

use crate::port;

/// How many are taken at a time: of each a part of a few MiB is held.
const AT_ONCE: usize = 4;

/// How long one may take, since it holds up others.
const LONGEST: Duration = Duration::from_secs(120);

#[derive(Clone)]
struct Port {
    evidence: Arc<Evidence>,
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
    let router = Router::new()
        .route("/v1/evidence/{*key}", put(take))
        // The ticket's own bound is the one that counts.
        .layer(DefaultBodyLimit::disable())
        .with_state(Port { evidence: Arc::new(evidence), turn });
    tokio::spawn(port::serve(listener, router, stop));
    Ok(address)
}

async fn take(
    State(port): State<Port>,
    Path(key): Path<String>,
    Query(ticket): Query<Ticket>,
    body: Body,
) -> (StatusCode, String) {
    let Ok(_turn) = port.turn.try_acquire() else {
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

    #[tokio::test]
    async fn without_a_ticket_nothing_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let evidence = Evidence::open(&EvidenceConfig {
            url: format!("file://{}", folder.path().display()),
            uploads: Some(UploadsConfig {
                listen: ([127, 0, 0, 1], 0).into(),
                url: "http://stoop:2809".into(),
                secret: Secret::literal("0123456789abcdef"),
            }),
        });
        let stop = CancellationToken::new();
        let listen = ([127, 0, 0, 1], 0).into();
        let address = serve(listen, evidence.unwrap(), stop.clone()).await.unwrap();
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
