//! A webhook receiver that can keep its callers waiting, or turn them away.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Answer,
    Hold,
    Unavailable,
}

#[derive(Clone)]
struct Shared {
    manner: Arc<watch::Sender<Manner>>,
    asked: Arc<Mutex<usize>>,
    received: Arc<Mutex<Vec<serde_json::Value>>>,
}

/// The receiver.
pub struct Sink {
    shared: Shared,
    url: String,
}

impl Sink {
    pub async fn start() -> Self {
        let shared = Shared {
            manner: Arc::new(watch::Sender::new(Manner::Answer)),
            asked: Arc::default(),
            received: Arc::default(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let router = Router::new().route("/hook", post(receive)).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { shared, url }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on callers wait.
    pub fn hold(&self) {
        self.shared.manner.send_replace(Manner::Hold);
    }

    /// From now on callers are turned away with 503.
    pub fn turn_away(&self) {
        self.shared.manner.send_replace(Manner::Unavailable);
    }

    /// Callers are answered, those that wait too.
    pub fn release(&self) {
        self.shared.manner.send_replace(Manner::Answer);
    }

    /// Whether at least `count` requests have come, answered or not.
    pub fn asked(&self, count: usize) -> Result<(), String> {
        let asked = *self.shared.asked.lock().unwrap();
        if asked >= count { Ok(()) } else { Err(format!("{asked} requests")) }
    }

    /// What was received and answered with 200.
    pub fn received(&self) -> Vec<serde_json::Value> {
        self.shared.received.lock().unwrap().clone()
    }
}

async fn receive(State(shared): State<Shared>, body: Bytes) -> StatusCode {
    *shared.asked.lock().unwrap() += 1;
    let mut manner = shared.manner.subscribe();
    let manner = *manner.wait_for(|manner| *manner != Manner::Hold).await.unwrap();
    if manner == Manner::Unavailable {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    shared.received.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
    StatusCode::OK
}
