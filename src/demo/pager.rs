//! Whoever is told: a webhook on loopback that can keep its callers waiting.

use std::sync::Arc;

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// The pager while it runs; dropping it stops it.
pub(super) struct Pager {
    url: String,
    desk: Arc<Desk>,
    task: JoinHandle<()>,
}

struct Desk {
    calls: watch::Sender<Vec<Call>>,
    held: watch::Sender<bool>,
}

/// A notification that came in.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) message: Value,
    state: Line,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Waiting,
    Answered,
    HungUp,
}

impl Call {
    /// The caller has its 200: the message has arrived.
    pub(super) fn answered(&self) -> bool {
        self.state == Line::Answered
    }

    /// The caller has gone without an answer: as far as it knows, the message is lost.
    pub(super) fn hung_up(&self) -> bool {
        self.state == Line::HungUp
    }
}

impl Pager {
    pub(super) async fn start() -> std::io::Result<Pager> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let desk =
            Arc::new(Desk { calls: watch::Sender::default(), held: watch::Sender::new(false) });
        let app = Router::new().route("/", post(take)).with_state(desk.clone());
        let task = tokio::spawn(async move {
            // Accepting on a bound loopback socket has no error that ends it.
            drop(axum::serve(listener, app).await);
        });
        Ok(Pager { url, desk, task })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Lets callers wait for their answer from now on.
    pub(super) fn hold(&self) {
        self.desk.held.send_replace(true);
    }

    /// Answers all who wait, and those who come.
    pub(super) fn release(&self) {
        self.desk.held.send_replace(false);
    }

    /// How many have called so far.
    pub(super) fn calls(&self) -> usize {
        self.desk.calls.borrow().len()
    }

    /// Waits for a call like this after the first `earlier` ones. Cancel safe.
    pub(super) async fn called(&self, earlier: usize, wanted: impl Fn(&Call) -> bool) -> Call {
        let mut calls = self.desk.calls.subscribe();
        loop {
            let found = calls.borrow_and_update().iter().skip(earlier).find(|c| wanted(c)).cloned();
            if let Some(call) = found {
                return call;
            }
            // Can't fail: the sender lives as long as `self`.
            drop(calls.changed().await);
        }
    }
}

impl Drop for Pager {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(State(desk): State<Arc<Desk>>, Json(message): Json<Value>) -> StatusCode {
    let mut index = 0;
    desk.calls.send_modify(|calls| {
        index = calls.len();
        calls.push(Call { message, state: Line::Waiting });
    });
    let mut call = Open { desk: &desk, index, state: Line::HungUp };
    // Can't fail: the sender lives as long as the desk.
    drop(desk.held.subscribe().wait_for(|held| !held).await);
    call.state = Line::Answered;
    StatusCode::OK
}

/// A call while it lasts. Dropped without an answer, its caller has gone: hyper drops the handler of a closed connection.
struct Open<'a> {
    desk: &'a Desk,
    index: usize,
    state: Line,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.desk.calls.send_modify(|calls| {
            if let Some(call) = calls.get_mut(self.index) {
                call.state = self.state;
            }
        });
    }
}
