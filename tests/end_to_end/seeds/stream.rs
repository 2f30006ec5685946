//! The three brokers as the seeds' subscription `falco`: what a user fills in, how Falcosidekick publishes, and what is
//! not acknowledged yet.

use async_nats::jetstream;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use testbed::{kafka::Kafka, nats::Nats, pubsub::PubSub};

use crate::topic::Topic;

const WHOLE: &str = "STOOP_SUBSCRIPTIONS__FALCO";

/// Where events come from.
pub trait Stream {
    /// What the examples' `subscriptions` have to be told.
    fn settings(&self) -> Vec<(&'static str, String)>;

    /// Publishes as Falcosidekick does.
    async fn publish(&self, event: &Value);

    /// How many messages the broker would deliver again. On Pub/Sub: once the worker has left.
    async fn unsettled(&self) -> u64;
}

/// The topic of the examples on a shared Kafka, by another name.
pub struct OnKafka(pub Topic);

impl OnKafka {
    pub async fn new(test: &str) -> Self {
        Self(Topic::new(Kafka::shared().await.unwrap().bootstrap(), test))
    }
}

impl Stream for OnKafka {
    fn settings(&self) -> Vec<(&'static str, String)> {
        let (broker, name) = (self.0.bootstrap(), self.0.name());
        vec![
            ("STOOP_SUBSCRIPTIONS__FALCO__KAFKA__BROKERS", format!("[\"{broker}\"]")),
            ("STOOP_SUBSCRIPTIONS__FALCO__KAFKA__TOPIC", name.to_owned()),
            ("STOOP_SUBSCRIPTIONS__FALCO__KAFKA__GROUP", name.to_owned()),
            ("STOOP_SUBSCRIPTIONS__FALCO__KAFKA__DEAD_LETTERS", format!("{name}.dead")),
        ]
    }

    async fn publish(&self, event: &Value) {
        self.0.publish(event.to_string().as_bytes()).await;
    }

    async fn unsettled(&self) -> u64 {
        let (published, committed) = self.0.progress().await;
        (published - committed).try_into().unwrap()
    }
}

/// A NATS of one's own, with Falcosidekick's subjects.
pub struct OnNats(Nats);

impl OnNats {
    pub async fn new() -> Self {
        Self(Nats::start().await.unwrap())
    }
}

impl Stream for OnNats {
    fn settings(&self) -> Vec<(&'static str, String)> {
        let nats = json!({
            "servers": [self.0.url()], "stream": "FALCO", "consumer": "stoop", "deadLetters": "stoop.dead",
        });
        vec![(WHOLE, json!({"nats": nats}).to_string())]
    }

    async fn publish(&self, event: &Value) {
        let text = |key: &str| event[key].as_str().unwrap().to_lowercase();
        let words = text("rule");
        let words = words.split(|letter: char| !letter.is_ascii_alphanumeric());
        let slug = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_");
        let client = async_nats::connect(self.0.url()).await.unwrap();
        let subject = format!("falco.{}.{slug}", text("priority"));
        client.publish(subject, event.to_string().into()).await.unwrap();
        client.flush().await.unwrap();
    }

    async fn unsettled(&self) -> u64 {
        let client = async_nats::connect(self.0.url()).await.unwrap();
        let stream = jetstream::new(client).get_stream("FALCO").await.unwrap();
        // A work queue holds what is not acknowledged, and nothing else.
        stream.cached_info().state.messages
    }
}

/// A topic on a shared Pub/Sub, with one subscription.
pub struct OnPubSub {
    address: String,
    name: String,
}

const PROJECT: &str = "testbed";

impl OnPubSub {
    pub async fn new(test: &str) -> Self {
        let address = PubSub::shared().await.unwrap().address().to_owned();
        Self { address, name: format!("{test}-{}", std::process::id()) }
    }

    async fn post(&self, what: &str, body: Value) -> Value {
        let url = format!("http://{}/v1/projects/{PROJECT}/{what}", self.address);
        let answer = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
        answer.error_for_status().unwrap().json().await.unwrap()
    }
}

impl Stream for OnPubSub {
    fn settings(&self) -> Vec<(&'static str, String)> {
        let name = &self.name;
        let pubsub = json!({
            "project": PROJECT, "subscription": name, "topic": name, "deadLetters": format!("{name}-dead"),
            "endpoint": format!("http://{}", self.address),
        });
        vec![(WHOLE, json!({"pubsub": pubsub}).to_string())]
    }

    async fn publish(&self, event: &Value) {
        let data = BASE64_STANDARD.encode(event.to_string());
        let messages = json!({"messages": [{"data": data}]});
        self.post(&format!("topics/{}:publish", self.name), messages).await;
    }

    async fn unsettled(&self) -> u64 {
        let ask = json!({"maxMessages": 100, "returnImmediately": true});
        let pulled = self.post(&format!("subscriptions/{}:pull", self.name), ask).await;
        pulled["receivedMessages"].as_array().map_or(0, Vec::len) as u64
    }
}
