//! The control port: what a running worker lets tools see and change. For now the dead letters of its journals, whose files
//! it alone can have open.
//!
//! What lives here: who may ask ([`guard`]), the answers, and the client that the commands ask with. What may not: an
//! opinion about a dead letter. It listens on loopback unless a token or the clients' authority is configured, and no web
//! page can use it.

mod caller;
mod client;
mod guard;
mod history;
mod journals;
mod letters;
mod tls;
mod wire;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use brokers::Error;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{config, error::with_sources, port};

pub use self::{client::Client, journals::Journals};

use self::guard::Guard;

/// Serves the control port until stopped. Returns the bound address at once.
///
/// # Errors
/// The token or a certificate can't be read, or the address can't be bound.
pub async fn serve(
    control: &config::Control,
    journals: Arc<Journals>,
    stop: CancellationToken,
) -> Result<(SocketAddr, JoinHandle<()>), Error> {
    let guard = Arc::new(Guard::new(control)?);
    let tls = control.tls.as_ref().map(|tls| tls.acceptor("the control port's")).transpose()?;
    let listener = TcpListener::bind(control.listen).await.map_err(|error| {
        Error::Configuration(format!(
            "the control port {} can't be had ({error}): change `control.listen`, or stop what listens there",
            control.listen
        ))
    })?;
    let address = listener.local_addr().map_err(|e| Error::client("the control port", e))?;
    let journal = Router::new()
        .route("/dead-letters", get(letters::list))
        .route("/dead-letters/{place}", get(letters::show).delete(letters::remove))
        .route("/dead-letters/{place}/redrive", post(letters::redrive))
        .route("/events", get(history::list));
    let router = Router::new()
        .route("/v1/journals", get(list))
        .nest("/v1/journals/{name}", journal)
        .with_state(journals)
        // Outermost, so that nothing is answered to whom it does not admit.
        .layer(middleware::from_fn_with_state(guard, guard::admit));
    let served = match tls {
        None => tokio::spawn(port::serve(listener, router, stop)),
        Some(tls) => tokio::spawn(port::serve(tls::Listener::new(listener, tls), router, stop)),
    };
    Ok((address, served))
}

async fn list(State(journals): State<Arc<Journals>>) -> Response {
    Json(journals.list()).into_response()
}

/// Why a request is not answered as it wants to be.
#[derive(Debug)]
struct Refusal(StatusCode, String);

impl Refusal {
    fn not_found(what: impl Into<String>) -> Self {
        Self(StatusCode::NOT_FOUND, what.into())
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, with_sources(&error))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(wire::Refused { error: self.1 })).into_response()
    }
}
