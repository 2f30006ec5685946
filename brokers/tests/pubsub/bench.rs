//! A topic, its subscription, and a place for dead letters, of one test alone.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use brokers::{
    conformance::Record,
    pubsub::{Config, Limits, Publisher},
};
use bytes::Bytes;
use serde_json::{Value, json};
use settings::Span;
use testbed::pubsub::PubSub;

use crate::rest::{PROJECT, Rest};

pub(crate) struct Bench {
    pub(crate) rest: Rest,
    pub(crate) config: Config,
    pub(crate) limits: Limits,
    publisher: Publisher,
}

/// Short enough to be waited for, long enough for what else a test does.
pub(crate) const LIMITS: Limits = Limits {
    lease: Duration::from_secs(12),
    notice: Duration::from_secs(6),
    messages: 1000,
    bytes: 64 << 20,
};

impl Bench {
    /// On the server that all tests share; `more` of what the subscription is to be like.
    pub(crate) async fn on_shared(more: Value) -> Self {
        let address = shared().await;
        Self::on(address, more).await
    }

    pub(crate) async fn on(address: &str, more: Value) -> Self {
        let bench = Self::unmade_on(address).await;
        bench.make_topic().await;
        bench.make_subscription(more).await;
        bench.make_dead_letters().await;
        bench
    }

    /// Nothing of it is there yet.
    pub(crate) async fn unmade_on(address: &str) -> Self {
        let name = format!("t{:016x}", fastrand::u64(..));
        let config = Config {
            project: PROJECT.to_owned(),
            subscription: format!("{name}-stoop"),
            topic: Some(name.clone()),
            dead_letters: Some(format!("{name}-dead")),
            dead_letters_subscription: None,
            credentials: None,
            endpoint: Some(format!("http://{address}")),
            ack_deadline: Span::from_secs(10),
        };
        let publisher = Publisher::new(&config).await.unwrap();
        Self { rest: Rest::of(address), config, limits: LIMITS, publisher }
    }

    pub(crate) fn topic(&self) -> &str {
        self.config.topic.as_deref().unwrap()
    }

    pub(crate) fn dead(&self) -> &str {
        self.config.dead_letters.as_deref().unwrap()
    }

    /// It keeps what is published, so that a snapshot of its subscription can be looked into.
    pub(crate) async fn make_topic(&self) {
        let like = json!({"messageRetentionDuration": "86400s"});
        self.rest.put(&format!("topics/{}", self.topic()), like).await;
    }

    /// With a retry policy that tests can wait for, and `more`.
    pub(crate) async fn make_subscription(&self, more: Value) {
        let mut like = json!({
            "topic": format!("projects/{PROJECT}/topics/{}", self.topic()),
            "ackDeadlineSeconds": 10,
            "retryPolicy": {"minimumBackoff": "0.1s", "maximumBackoff": "0.2s"},
        });
        for (key, value) in more.as_object().unwrap() {
            like[key] = value.clone();
        }
        self.rest.put(&format!("subscriptions/{}", self.config.subscription), like).await;
    }

    pub(crate) async fn make_dead_letters(&self) {
        self.rest.put(&format!("topics/{}", self.dead()), json!({})).await;
        self.keep_dead_letters().await;
    }

    /// A subscription to their topic.
    pub(crate) async fn keep_dead_letters(&self) {
        let dead = self.dead();
        let topic = format!("projects/{PROJECT}/topics/{dead}");
        let like = json!({"topic": topic, "ackDeadlineSeconds": 600});
        self.rest.put(&format!("subscriptions/{dead}"), like).await;
    }

    pub(crate) async fn unmake_dead_letters(&self) {
        self.rest.delete(&format!("subscriptions/{}", self.dead())).await;
        self.rest.delete(&format!("topics/{}", self.dead())).await;
    }

    /// Publishes what Pub/Sub can carry of it: attributes are texts, and no name comes twice.
    pub(crate) async fn publish(&self, records: Vec<Record>) {
        for Record { payload, headers, .. } in records {
            let is_text = |(_, value): &(String, Bytes)| std::str::from_utf8(value).is_ok();
            let headers: Vec<_> = headers.into_iter().filter(is_text).collect();
            self.publisher.publish(None, &payload, &headers).await.unwrap();
        }
    }

    /// What the subscription has not seen acknowledged, whoever holds it: a snapshot has that, and another subscription
    /// set to it is delivered that.
    pub(crate) async fn unsettled(&self) -> u64 {
        let name = format!("s{:016x}", fastrand::u64(..));
        let (snapshot, copy) = (format!("snapshots/{name}"), format!("subscriptions/{name}"));
        let of = format!("projects/{PROJECT}/subscriptions/{}", self.config.subscription);
        let put =
            self.rest.ask(reqwest::Method::PUT, &snapshot, &json!({"subscription": of})).await;
        put.expect("snapshots, which only Google's emulator has: gcloud components install pubsub-emulator");
        let topic = format!("projects/{PROJECT}/topics/{}", self.topic());
        self.rest.put(&copy, json!({"topic": topic, "ackDeadlineSeconds": 600})).await;
        let to = json!({"snapshot": format!("projects/{PROJECT}/{snapshot}")});
        self.rest.post(&format!("{copy}:seek"), to).await;
        let count = self.pull(&name).await.len();
        self.rest.delete(&copy).await;
        self.rest.delete(&snapshot).await;
        count as u64
    }

    pub(crate) async fn read_dead_letters(&self) -> Vec<Record> {
        self.pull(self.dead()).await
    }

    /// All that a subscription delivers, unacknowledged.
    async fn pull(&self, subscription: &str) -> Vec<Record> {
        let mut records = Vec::new();
        loop {
            let path = format!("subscriptions/{subscription}:pull");
            let ask = json!({"maxMessages": 1000, "returnImmediately": true});
            let pulled = self.rest.post(&path, ask).await;
            match pulled["receivedMessages"].as_array() {
                Some(some) => {
                    records.extend(some.iter().map(|message| record(&message["message"])))
                }
                None => return records,
            }
        }
    }
}

/// Where the server is that all tests share.
pub(crate) async fn shared() -> &'static str {
    let start = || tokio::runtime::Handle::current().block_on(PubSub::shared());
    let server = tokio::task::spawn_blocking(start).await.unwrap();
    server.unwrap_or_else(|error| panic!("no Pub/Sub: {error:?}")).address()
}

fn record(message: &Value) -> Record {
    let data = message["data"].as_str().unwrap_or_default();
    let attributes = message["attributes"].as_object().cloned().unwrap_or_default();
    let text = |value: Value| value.as_str().unwrap_or_default().to_owned();
    Record {
        payload: BASE64_STANDARD.decode(data).unwrap().into(),
        key: None,
        headers: attributes.into_iter().map(|(name, value)| (name, text(value).into())).collect(),
    }
}
