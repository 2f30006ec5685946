//! A subscription of one's own on a Pub/Sub emulator, over its REST API.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use testbed::{proxy::Proxy, pubsub};
use tokio::sync::Mutex as AsyncMutex;

use super::{Broker, Kind, Message, Wanted};
use crate::{
    id::Id,
    logs::{Letters, Observation, Partition, Settled},
    worker::Worker,
};

/// How long Pub/Sub waits to hear of a worker before what it holds goes to others: as short as it can be.
const LEASE: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(10);
const PROJECT: &str = "faults";
/// A pull that brings nothing may have come too early.
const EMPTY_PULLS: usize = 3;

/// A server, shared by all rounds: one that is killed forgets everything.
pub type Shared = Rc<pubsub::PubSub>;

/// Starts one.
pub async fn start() -> Shared {
    Rc::new(pubsub::PubSub::start().await.unwrap())
}

pub struct PubSub {
    server: Shared,
    proxy: Proxy,
    client: Client,
    name: String,
    most_workers: usize,
    published: RefCell<BTreeSet<Id>>,
    /// How many snapshots were taken; one at a time.
    snapshots: AsyncMutex<usize>,
}

impl PubSub {
    /// A topic and a subscription named after the round.
    pub async fn new(server: Shared, round: &str, wanted: Wanted) -> Self {
        let address: SocketAddr = server.address().parse().unwrap();
        let broker = Self {
            server,
            proxy: Proxy::to(address).await.unwrap(),
            client: Client::builder().timeout(ANSWER).build().unwrap(),
            name: round.to_owned(),
            most_workers: usize::try_from(wanted.partitions).unwrap(),
            published: RefCell::default(),
            snapshots: AsyncMutex::default(),
        };
        let subscription = json!({
            "topic": path("topics", round), "ackDeadlineSeconds": 10,
            "retryPolicy": {"minimumBackoff": "0.1s", "maximumBackoff": "0.5s"},
        });
        let kept = json!({"messageRetentionDuration": "86400s"});
        broker.must(Method::PUT, &path("topics", round), kept).await;
        broker.must(Method::PUT, &path("subscriptions", round), subscription).await;
        if wanted.dead_letters {
            broker.mend_dead_letters().await;
        }
        broker
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> Result<Value, String> {
        let url = format!("http://{}/v1/{path}", self.server.address());
        let answer = self.client.request(method, url).json(&body).send().await;
        let answer = answer.map_err(|error| error.to_string())?;
        let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
        match status.is_success() {
            true => Ok(serde_json::from_str(&text).unwrap_or_default()),
            false => Err(format!("{path}: {status}: {text}")),
        }
    }

    async fn must(&self, method: Method, path: &str, body: Value) -> Value {
        self.ask(method, path, body).await.unwrap()
    }

    fn dead(&self) -> String {
        format!("{}-dead", self.name)
    }

    /// All that a subscription delivers, with their message ids, unacknowledged.
    async fn pull(&self, subscription: &str) -> Result<Vec<(String, Id)>, String> {
        let path = format!("{}:pull", path("subscriptions", subscription));
        let (mut pulled, mut empty) = (Vec::new(), 0);
        while empty < EMPTY_PULLS {
            let asked = json!({"maxMessages": 1000, "returnImmediately": true});
            let answer = self.ask(Method::POST, &path, asked).await?;
            match answer["receivedMessages"].as_array() {
                Some(some) => {
                    pulled.extend(some.iter().map(|received| message(&received["message"])));
                }
                None => empty += 1,
            }
        }
        Ok(pulled)
    }

    /// What isn't acknowledged, whoever holds it: a snapshot has that, and another subscription that is set to it is
    /// delivered that. By message id, since it may be delivered more than once. Gives when it was taken, too.
    async fn unsettled(&self, name: &str) -> Result<(Instant, BTreeMap<String, Id>), String> {
        let mut taken = self.snapshots.lock().await;
        *taken += 1;
        let copied = format!("{name}-{taken}");
        let (snapshot, copy) = (path("snapshots", &copied), path("subscriptions", &copied));
        let like = json!({"topic": path("topics", name), "ackDeadlineSeconds": 600});
        self.ask(Method::PUT, &copy, like).await?;
        let of = json!({"subscription": path("subscriptions", name)});
        self.ask(Method::PUT, &snapshot, of).await?;
        let at = Instant::now();
        self.ask(Method::POST, &format!("{copy}:seek"), json!({"snapshot": snapshot})).await?;
        let pulled = self.pull(&copied).await?;
        self.ask(Method::DELETE, &copy, Value::Null).await?;
        self.ask(Method::DELETE, &snapshot, Value::Null).await?;
        Ok((at, pulled.into_iter().collect()))
    }

    /// Nobody acknowledges a dead letter, so all of them are there, whoever has looked at them before.
    async fn read_letters(&self) -> Result<Vec<Id>, String> {
        match self.unsettled(&self.dead()).await {
            // There are none where there is no place for them.
            Err(why) if why.contains("404") => Ok(Vec::new()),
            looked => Ok(looked?.1.into_values().collect()),
        }
    }

    async fn look(&self) -> Result<Observation, String> {
        let published = self.published.borrow().clone();
        let (at, unsettled) = self.unsettled(&self.name).await?;
        let unsettled: BTreeSet<Id> = unsettled.into_values().collect();
        let letters = Letters::Ids(self.read_letters().await?);
        let (end, left) = (published.union(&unsettled).count() as u64, unsettled.len() as u64);
        Ok(Observation {
            at,
            settled: Settled::Ids(published.difference(&unsettled).copied().collect()),
            letters,
            partitions: vec![Partition { settled: end - left, end }],
        })
    }
}

fn path(kind: &str, name: &str) -> String {
    format!("projects/{PROJECT}/{kind}/{name}")
}

fn message(message: &Value) -> (String, Id) {
    let text = |key: &str| message[key].as_str().unwrap_or_default();
    let body = BASE64.decode(text("data")).unwrap();
    (text("messageId").to_owned(), Id::of(&body).expect("a message of this round"))
}

#[async_trait(?Send)]
impl Broker for PubSub {
    fn kind(&self) -> Kind {
        Kind::PubSub
    }

    fn subscriptions(&self, detour: bool, slots: usize) -> String {
        let proxy = self.proxy.address().to_string();
        let address = if detour { &proxy } else { self.server.address() };
        let (name, dead, lease) = (&self.name, self.dead(), LEASE.as_secs());
        format!(
            "subscriptions: {{falco: {{concurrency: {slots}, pubsub: {{project: {PROJECT}, subscription: {name}, deadLetters: {dead}, ackDeadline: {lease}s, endpoint: \"http://{address}\"}}}}}}\n"
        )
    }

    fn most_workers(&self) -> usize {
        self.most_workers
    }

    fn lease(&self) -> Option<Duration> {
        Some(LEASE)
    }

    fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    async fn publish(&self, messages: Vec<Message>) -> Vec<Id> {
        // Pub/Sub takes no message that is empty.
        let messages: Vec<_> = messages.into_iter().filter(|m| !m.body.is_empty()).collect();
        let mut confirmed = Vec::new();
        for some in messages.chunks(100) {
            let data = |message: &Message| json!({"data": BASE64.encode(&message.body)});
            let body = json!({"messages": some.iter().map(data).collect::<Vec<_>>()});
            let path = format!("{}:publish", path("topics", &self.name));
            if self.ask(Method::POST, &path, body).await.is_ok() {
                confirmed.extend(some.iter().map(|message| message.id));
            }
        }
        self.published.borrow_mut().extend(&confirmed);
        confirmed
    }

    async fn observe(&self, _: &[Worker]) -> Option<Observation> {
        self.look().await.ok()
    }

    async fn letters(&self) -> Result<Vec<Id>, String> {
        self.read_letters().await
    }

    async fn mend_dead_letters(&self) {
        let (dead, since) = (self.dead(), jiff::Timestamp::now());
        let subscription = path("subscriptions", &dead);
        let kept = json!({"topic": path("topics", &dead), "ackDeadlineSeconds": 600});
        let retained = json!({"messageRetentionDuration": "86400s"});
        self.must(Method::PUT, &path("topics", &dead), retained).await;
        self.must(Method::PUT, &subscription, kept).await;
        // Workers that waited for the topic may have been faster than the subscription.
        let begin = json!({"time": since.to_string()});
        self.must(Method::POST, &format!("{subscription}:seek"), begin).await;
    }
}
