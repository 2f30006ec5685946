//! The control port: what a running worker lets people and tools see and change. A page of what it does, and the dead
//! letters of its journals, whose files it alone can have open.
//!
//! What lives here: who may ask ([`guard`]), the answers, the page, and the client that the commands ask with. What may
//! not: an opinion about a response or a dead letter. It listens on loopback unless a token or the clients' authority is
//! configured; only its own page may use it from a browser, and that changes nothing but what `control.allow` names.

mod caller;
mod client;
mod dead_letters;
mod guard;
mod headers;
mod history;
mod journals;
mod letters;
mod live;
mod page;
mod responses;
mod status;
mod tls;
mod wire;

use std::{io::ErrorKind, net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use brokers::Error;
use jiff::Timestamp;
use playbooks::{act::Shelf, decide::Mode};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Change, Config},
    error::with_sources,
    port,
    worker::{Worker, readiness::Readiness},
};

pub use self::{client::Client, journals::Journals};

use self::guard::{Door, Guard};

/// Of what the page sends, in bytes: a button says no more.
const MOST: usize = 4096;

/// What the port tells of.
pub struct Told {
    /// The worker.
    pub worker: Arc<Worker>,
    /// How far its playbooks may go.
    pub mode_cap: Mode,
    /// Its configuration.
    pub config: Config,
    /// Which subscriptions are up.
    pub readiness: Arc<Readiness>,
    /// The journals that are open.
    pub journals: Arc<Journals>,
}

/// What the page's questions are answered from.
struct Desk {
    told: Told,
    /// Where the cluster's Responses are, if there is a cluster.
    shelf: Option<Shelf>,
    listed: responses::Listed,
    since: Timestamp,
    stop: CancellationToken,
}

impl Desk {
    /// Whether the page may change this.
    fn may(&self, change: Change) -> Result<(), Refusal> {
        match self.told.config.control.allow.contains(&change) {
            true => Ok(()),
            false => {
                let change = change.as_str();
                let why = format!("this port may not {change}: add `{change}` to `control.allow`");
                Err(Refusal(StatusCode::FORBIDDEN, why))
            }
        }
    }
}

/// Takes the port. `None`, with a warning, where another has it and nobody has asked for it: a worker that answers events
/// is worth more than its page.
///
/// # Errors
/// The address can't be had, and it was configured, or a journal's commands depend on it.
pub async fn bind(config: &Config) -> Result<Option<TcpListener>, Error> {
    let listen = config.control.listen;
    let error = match TcpListener::bind(listen).await {
        Ok(listener) => return Ok(Some(listener)),
        Err(error) => error,
    };
    let why = format!(
        "the control port {listen} can't be had ({error}): change `control.listen`, or stop what listens there"
    );
    let is_optional = config.control.is_unset() && !config.has_journal();
    match error.kind() {
        ErrorKind::AddrInUse if is_optional => {
            tracing::warn!("{why}; this worker runs without its page");
            Ok(None)
        }
        _ => Err(Error::Configuration(why)),
    }
}

/// Serves the control port until stopped. Returns the bound address at once.
///
/// # Errors
/// The token or a certificate can't be read.
pub fn serve(
    listener: TcpListener,
    told: Told,
    stop: CancellationToken,
) -> Result<(SocketAddr, JoinHandle<()>), Error> {
    let control = &told.config.control;
    let guard = Arc::new(Guard::new(control)?);
    let tls = control.tls.as_ref().map(|tls| tls.acceptor("the control port's")).transpose()?;
    let address = listener.local_addr().map_err(|e| Error::client("the control port", e))?;
    let router = router(told, guard, stop.clone());
    let served = match tls {
        None => tokio::spawn(port::serve(listener, router, stop)),
        Some(tls) => tokio::spawn(port::serve(tls::Listener::new(listener, tls), router, stop)),
    };
    Ok((address, served))
}

fn router(told: Told, guard: Arc<Guard>, stop: CancellationToken) -> Router {
    // Outermost, so that nothing is answered to whom it does not admit.
    let through = |door| middleware::from_fn_with_state((guard.clone(), door), guard::admit);
    let journal = Router::new()
        .route("/dead-letters", get(letters::list))
        .route("/dead-letters/{place}", get(letters::show).delete(letters::remove))
        .route("/dead-letters/{place}/redrive", post(letters::redrive))
        .route("/events", get(history::list));
    let tools = Router::new()
        .route("/v1/journals", get(list))
        .nest("/v1/journals/{name}", journal)
        .with_state(told.journals.clone())
        .layer(through(Door::Tools));
    let api = told.worker.engine.api().cloned();
    let shelf = api.map(|api| Shelf::new(api, &told.config.namespace));
    let listed = responses::Listed::default();
    let desk = Desk { told, shelf, listed, since: Timestamp::now(), stop };
    let page = Router::new()
        .route("/v1/worker", get(status::worker))
        .route("/v1/playbooks", get(status::playbooks))
        .route("/v1/lag", get(status::lag))
        .route("/v1/feed", get(live::feed))
        .route("/v1/responses", get(responses::list))
        .route("/v1/responses/{name}", get(responses::show))
        .route("/v1/responses/{name}/approve", post(responses::approve))
        .route("/v1/responses/{name}/deny", post(responses::deny))
        .route("/v1/responses/{name}/revert", post(responses::revert))
        .route("/v1/dead-letters/{subscription}", get(dead_letters::list))
        .route("/v1/dead-letters/{subscription}/show", get(dead_letters::show))
        .route("/v1/dead-letters/{subscription}/redrive", post(dead_letters::redrive))
        .route("/v1/dead-letters/{subscription}/drop", post(dead_letters::remove))
        .with_state(Arc::new(desk))
        .layer(DefaultBodyLimit::max(MOST))
        .layer(through(Door::Page));
    // The page itself is the same for everybody, and has to be there before somebody can show a token.
    tools.merge(page).merge(page::router()).layer(middleware::map_response(headers::add))
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

    fn away(why: impl Into<String>) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, why.into())
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::away(with_sources(&error))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(wire::Refused { error: self.1 })).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KAFKA: &str =
        "subscriptions: {f: {kafka: {brokers: ['a:1'], topic: t, group: g, deadLetters: d}}}";

    fn config(text: &str) -> Config {
        crate::config::parse("test", text, []).unwrap()
    }

    #[tokio::test]
    async fn a_port_that_is_taken_stops_a_worker_only_if_somebody_has_asked_for_it() {
        // Another may have it already, which is as good.
        let _default = TcpListener::bind(config(KAFKA).control.listen).await;
        assert!(bind(&config(KAFKA)).await.unwrap().is_none());
        let error = bind(&config("{}")).await.unwrap_err().to_string();
        assert!(error.contains("change `control.listen`"), "{error}");
        let allowing = format!("{KAFKA}\ncontrol: {{allow: [approve]}}");
        assert!(bind(&config(&allowing)).await.is_err());

        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listen = taken.local_addr().unwrap();
        let asked = format!("{KAFKA}\ncontrol: {{listen: '{listen}'}}");
        assert!(bind(&config(&asked)).await.is_err());
    }
}
