//! A stream and a consumer of its own, and what the tests do to them from outside, with a client of their own.

use std::time::Duration;

use async_nats::{
    HeaderMap,
    jetstream::{
        self,
        consumer::{self, AckPolicy, pull},
        context::Context,
        message::PublishMessage,
        stream::{self, RetentionPolicy},
    },
};
use brokers::{conformance::Record, nats::Config};
use bytes::Bytes;
use testbed::nats::Nats;

/// How many messages a worker under test holds.
pub(crate) const SLOTS: usize = 100;

pub(crate) struct Bench {
    pub(crate) config: Config,
    pub(crate) stream: String,
    pub(crate) consumer: String,
    pub(crate) dead_letters: String,
    pub(crate) retention: RetentionPolicy,
    pub(crate) context: Context,
}

impl Bench {
    pub(crate) const ACK_WAIT: Duration = Duration::from_secs(3);

    /// A work queue on the server that the tests share.
    pub(crate) async fn on_shared() -> Self {
        Self::on(shared().await).await
    }

    pub(crate) async fn on(url: &str) -> Self {
        let bench = Self::unmade(url).await;
        bench.create().await;
        bench
    }

    pub(crate) async fn with_retention(retention: RetentionPolicy) -> Self {
        let bench = Self { retention, ..Self::unmade_on_shared().await };
        bench.create().await;
        bench
    }

    pub(crate) async fn unmade_on_shared() -> Self {
        Self::unmade(shared().await).await
    }

    /// Names alone.
    pub(crate) async fn unmade(url: &str) -> Self {
        let stream = format!("TEST-{:016x}", fastrand::u64(..));
        let dead_letters = format!("{stream}.dead");
        let config = serde_json::json!({
            "servers": [url], "stream": stream, "consumer": "stoop",
            "subject": format!("{stream}.*.*"), "deadLetters": dead_letters,
        });
        let context = jetstream::new(async_nats::connect(url.to_owned()).await.unwrap());
        Self {
            config: serde_json::from_value(config).unwrap(),
            stream,
            consumer: "stoop".to_owned(),
            dead_letters,
            retention: RetentionPolicy::WorkQueue,
            context,
        }
    }

    pub(crate) async fn create(&self) {
        self.create_stream().await;
        self.create_consumer().await;
        self.create_dead_letters().await;
    }

    pub(crate) fn stream_config(&self) -> stream::Config {
        stream::Config {
            name: self.stream.clone(),
            subjects: vec![format!("{}.*.*", self.stream)],
            retention: self.retention,
            ..stream::Config::default()
        }
    }

    pub(crate) async fn create_stream(&self) {
        self.create_stream_as(self.stream_config()).await;
    }

    pub(crate) async fn create_stream_as(&self, config: stream::Config) {
        self.context.create_stream(config).await.unwrap();
    }

    pub(crate) async fn delete_stream(&self, name: String) {
        self.context.delete_stream(name).await.unwrap();
    }

    pub(crate) fn consumer_config(&self) -> pull::Config {
        pull::Config {
            durable_name: Some(self.consumer.clone()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: Self::ACK_WAIT,
            max_deliver: -1,
            max_ack_pending: 10_000,
            ..pull::Config::default()
        }
    }

    pub(crate) async fn create_consumer(&self) {
        self.create_consumer_as(self.consumer_config()).await;
    }

    pub(crate) async fn create_consumer_as(&self, config: pull::Config) {
        self.context.create_consumer_on_stream(config, self.stream.clone()).await.unwrap();
    }

    pub(crate) async fn delete_consumer(&self) {
        let (consumer, stream) = (self.consumer.clone(), self.stream.clone());
        self.context.delete_consumer_from_stream(consumer, stream).await.unwrap();
    }

    pub(crate) fn dead_stream(&self) -> String {
        format!("{}-DEAD", self.stream)
    }

    pub(crate) async fn create_dead_letters(&self) {
        self.create_dead_letters_as(stream::Config::default()).await;
    }

    pub(crate) async fn create_dead_letters_as(&self, config: stream::Config) {
        let (name, subjects) = (self.dead_stream(), vec![self.dead_letters.clone()]);
        self.create_stream_as(stream::Config { name, subjects, ..config }).await;
    }

    /// Publishes durably, in order.
    pub(crate) async fn publish_all(&self, records: Vec<Record>) {
        let mut sent = Vec::new();
        for record in records {
            sent.push(self.send(record).await);
        }
        for sent in sent {
            sent.await.unwrap();
        }
    }

    pub(crate) async fn publish_bodies(&self, bodies: impl IntoIterator<Item = impl ToString>) {
        let records = bodies.into_iter().map(|body| Record::new(body.to_string())).collect();
        self.publish_all(records).await;
    }

    async fn send(&self, record: Record) -> jetstream::context::PublishAckFuture {
        let mut headers = HeaderMap::new();
        for (name, value) in &record.headers {
            headers.append(name.as_str(), String::from_utf8_lossy(value).as_ref());
        }
        let message = PublishMessage::build().payload(record.payload).headers(headers);
        let subject = format!("{}.notice.shell", self.stream);
        self.context.send_publish(subject, message).await.unwrap()
    }

    /// What the next worker would be delivered.
    pub(crate) async fn left(&self) -> u64 {
        let stream = self.context.get_stream_no_info(self.stream.clone()).await.unwrap();
        match stream.consumer_info(self.consumer.clone()).await {
            Ok(info) => info.num_pending + u64::try_from(info.num_ack_pending).unwrap(),
            Err(_) => self.kept(self.stream.clone()).await,
        }
    }

    async fn info(&self) -> consumer::Info {
        let stream = self.context.get_stream_no_info(self.stream.clone()).await.unwrap();
        stream.consumer_info(self.consumer.clone()).await.unwrap()
    }

    /// How many unsettled messages were delivered more than once.
    pub(crate) async fn redelivered(&self) -> usize {
        self.info().await.num_redelivered
    }

    /// How many requests for messages stand.
    pub(crate) async fn waiting(&self) -> usize {
        self.info().await.num_waiting
    }

    /// Has the server deliver a message of a new stream again, as if its holder had given it back.
    pub(crate) async fn ask_for_redelivery(&self, sequence: u64) {
        let (stream, consumer) = (&self.stream, &self.consumer);
        let reply = format!("$JS.ACK.{stream}.{consumer}.1.{sequence}.{sequence}.0.0");
        self.context.client().publish(reply, "-NAK".into()).await.unwrap();
    }

    /// Whether the tests' own client is.
    pub(crate) fn is_connected(&self) -> bool {
        self.context.client().connection_state() == async_nats::connection::State::Connected
    }

    /// How many messages a stream holds.
    pub(crate) async fn kept(&self, stream: String) -> u64 {
        self.context.get_stream(stream).await.unwrap().cached_info().state.messages
    }

    /// All dead letters.
    pub(crate) async fn read_dead_letters(&self) -> Vec<Record> {
        let stream = self.context.get_stream(self.dead_stream()).await.unwrap();
        let state = &stream.cached_info().state;
        let mut records = Vec::new();
        for sequence in state.first_sequence..=state.last_sequence {
            let message = stream.get_raw_message(sequence).await.unwrap();
            let headers = message.headers.iter().flat_map(|(name, values)| {
                values.iter().map(|v| (name.to_string(), Bytes::from(v.as_str().to_owned())))
            });
            let headers = headers.collect();
            records.push(Record { payload: message.payload, key: None, headers });
        }
        records
    }
}

/// The shared server's address. Starting it can't move between threads.
pub(crate) async fn shared() -> &'static str {
    let start = || tokio::runtime::Handle::current().block_on(Nats::shared());
    let nats = tokio::task::spawn_blocking(start).await.unwrap();
    nats.unwrap_or_else(|error| panic!("no NATS: {error}")).url()
}
