//! A journal in a folder of its own, served, and a publisher for it.

use std::{path::Path, sync::Arc, time::Duration};

use brokers::{
    Borrowed, DeadLetter, Ledger as _, Message, Receiver as _, Settled,
    journal::{Config, Journal, Key, Ledger, Monitor, Receiver},
};
use jiff::Timestamp;
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

/// A journal whose intake is being served.
pub(crate) struct Served {
    pub(crate) url: String,
    pub(crate) receiver: Receiver,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) monitor: Monitor,
    pub(crate) stop: CancellationToken,
    pub(crate) serving: JoinHandle<()>,
}

pub(crate) fn config(folder: &Path) -> Config {
    Config {
        path: folder.join("journal"),
        listen: "127.0.0.1:0".parse().unwrap(),
        ..Config::default()
    }
}

/// What is an event to these tests: a JSON object.
pub(crate) fn object(body: &[u8]) -> Result<(), String> {
    match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(value) if value.is_object() => Ok(()),
        Ok(_) => Err("an event is an object".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

pub(crate) async fn open(config: &Config) -> Served {
    serve(Journal::open(config, object).await.unwrap())
}

pub(crate) fn serve(journal: Journal) -> Served {
    let Journal { receiver, ledger, intake, monitor } = journal;
    let url = format!("http://{}/", intake.local_addr());
    let stop = CancellationToken::new();
    let serving = tokio::spawn(intake.serve(stop.clone()));
    Served { url, receiver, ledger, monitor, stop, serving }
}

impl Served {
    pub(crate) async fn next(&mut self) -> (Message, Key) {
        let next = tokio::time::timeout(Duration::from_secs(20), self.receiver.next());
        let (lent, key, lease) = next.await.expect("an event within 20 s").unwrap();
        assert!(!lease.is_lost());
        (lent.detach(), key)
    }

    /// Receives and settles one event.
    pub(crate) async fn done(&mut self) -> Message {
        let (message, key) = self.next().await;
        assert_eq!(self.ledger.ack(&key).await, Settled::Durable);
        message
    }

    pub(crate) async fn post(&self, body: impl Into<reqwest::Body>) -> reqwest::Response {
        client().post(&self.url).body(body).send().await.unwrap()
    }

    pub(crate) async fn publish(&self, body: impl Into<reqwest::Body>) {
        let answer = self.post(body).await;
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    }

    pub(crate) async fn close(self) {
        self.stop.cancel();
        self.ledger.close(Instant::now() + Duration::from_secs(20)).await.unwrap();
        self.serving.await.unwrap();
    }
}

pub(crate) fn client() -> reqwest::Client {
    provider();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// Several TLS providers can be linked; one has to be named.
pub(crate) fn provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

pub(crate) fn letter(reason: &str) -> DeadLetter {
    DeadLetter {
        reason: reason.to_owned(),
        error: "it would not".to_owned(),
        attempts: 3,
        first_failed: Timestamp::UNIX_EPOCH,
        last_failed: Timestamp::UNIX_EPOCH,
        failed: vec!["a".to_owned()],
        worker: "w".to_owned(),
    }
}
