//! The approvals port: the page behind a signed link, and the button on it.
//!
//! It knows no user and no session. A link's signature says what may be answered; opening it changes nothing, and an
//! answer is written down once. Whatever else is asked there is not found.

mod page;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Path, Request, State},
    http::{
        HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS},
    },
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use jiff::Timestamp;
use playbooks::act::{Decision, Links, Question, Shelf, Undecidable};
use serde::Deserialize;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::port;

/// How long a question or an answer may take, with the API server's part of it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Of an answer, in bytes: a button says no more.
const MOST: usize = 256;

/// What the page is served from.
struct Desk {
    links: Links,
    shelf: Shelf,
}

/// What stands in a link.
#[derive(Deserialize)]
struct Asked {
    name: String,
    event: String,
    until: i64,
    signature: String,
}

/// Serves the approvals port until stopped. Returns the bound address at once.
///
/// # Errors
/// The address can't be bound.
pub async fn serve(
    listen: SocketAddr,
    links: Links,
    shelf: Shelf,
    stop: CancellationToken,
) -> std::io::Result<(SocketAddr, JoinHandle<()>)> {
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let router = Router::new()
        .route("/approvals/{name}/{event}/{until}/{signature}", get(show).post(answer))
        .layer(DefaultBodyLimit::max(MOST))
        .layer(middleware::from_fn(in_time))
        .with_state(Arc::new(Desk { links, shelf }));
    Ok((address, tokio::spawn(port::serve(listener, router, stop))))
}

async fn in_time(request: Request, next: Next) -> Response {
    let late =
        || answered(StatusCode::REQUEST_TIMEOUT, page::word("That took too long. Look again."));
    tokio::time::timeout(PATIENCE, next.run(request)).await.unwrap_or_else(|_| late())
}

async fn show(State(desk): State<Arc<Desk>>, Path(asked): Path<Asked>) -> Response {
    let Some(question) = desk.known(&asked) else { return unknown() };
    match desk.shelf.get(&question.name).await {
        Ok(Some(stored)) if stored.spec.event.id == question.event => {
            let open = question.is_asked_by(&stored) && stored.spec.decision.is_none();
            answered(StatusCode::OK, page::of(&stored, open))
        }
        Ok(_) => unknown(),
        Err(error) => answered(StatusCode::SERVICE_UNAVAILABLE, page::word(&error.to_string())),
    }
}

async fn answer(State(desk): State<Arc<Desk>>, Path(asked): Path<Asked>, form: String) -> Response {
    let Some(question) = desk.known(&asked) else { return unknown() };
    // What the page's two buttons send.
    let (decision, word) = match form.as_str() {
        "decision=approve" => (Decision::Approved, "Approved. A worker takes it up."),
        "decision=deny" => (Decision::Denied, "Denied. Nothing will be done."),
        _ => return answered(StatusCode::BAD_REQUEST, page::word("That is no answer.")),
    };
    match desk.shelf.decide(&question.name, Some(&question), decision).await {
        Ok(_) => {
            tracing::info!(response = question.name, ?decision, "decided by a signed link");
            answered(StatusCode::OK, page::word(word))
        }
        Err(Undecidable::Failed(failure)) => {
            answered(StatusCode::SERVICE_UNAVAILABLE, page::word(&failure.why))
        }
        Err(why) => answered(StatusCode::CONFLICT, page::word(&why.to_string())),
    }
}

impl Desk {
    fn known(&self, asked: &Asked) -> Option<Question> {
        let Asked { name, event, until, signature } = asked;
        let question = Question { name: name.clone(), event: event.clone(), until: *until };
        self.links.know(&question, signature, Timestamp::now()).then_some(question)
    }
}

/// The same for a forged link, an old one, and one whose response is gone.
fn unknown() -> Response {
    answered(StatusCode::NOT_FOUND, page::word("This link is not valid, or not any more."))
}

/// Nothing is loaded, kept, framed or told to others.
fn answered(status: StatusCode, page: String) -> Response {
    let policy = "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    let headers = [
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (status, headers, Html(page)).into_response()
}
