//! A work queue of one's own on a real nats-server.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use async_nats::jetstream::{
    self, ErrorCode,
    consumer::{AckPolicy, pull},
    context::{Context, GetStreamErrorKind},
    message::PublishMessage,
    stream::{self, RetentionPolicy},
};
use async_trait::async_trait;
use futures::{StreamExt as _, stream as streams};
use testbed::{nats, proxy::Proxy};
use tokio::sync::Mutex as AsyncMutex;

use super::{Broker, Kind, Message, Server, Wanted};
use crate::{
    id::Id,
    logs::{Letters, Observation, Partition, Settled},
    worker::Worker,
};

/// How long the server waits for word of a message that it has delivered.
const ACK_WAIT: Duration = Duration::from_secs(10);
/// What it may take to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// What it may take to say how it stands: then it is asked again.
const LOOK: Duration = Duration::from_secs(4);
/// What a publisher waits for a confirmation: a server may be restarted meanwhile.
const CONFIRMATION: Duration = Duration::from_secs(100);
const PUBLISHERS: usize = 64;
const CONSUMER: &str = "stoop";

/// A server, shared by rounds that don't harm it.
pub type Shared = Rc<AsyncMutex<nats::Nats>>;

/// Starts one.
pub async fn start() -> Shared {
    Rc::new(AsyncMutex::new(nats::Nats::start().await.unwrap()))
}

/// What is asked of a busy server may be asked again.
async fn patiently<T, E: std::fmt::Display>(what: &str, ask: impl AsyncFn() -> Result<T, E>) -> T {
    let asked = async || ask().await.map_err(|error| error.to_string());
    testbed::until(what, CONFIRMATION, asked).await.unwrap()
}

pub struct Nats {
    server: Shared,
    proxy: Proxy,
    url: String,
    stream: String,
    most_workers: usize,
    context: Context,
    published: RefCell<BTreeMap<u64, Id>>,
    letters: AsyncMutex<Vec<Id>>,
}

impl Nats {
    /// A stream named after the round.
    pub async fn new(server: Shared, round: &str, wanted: Wanted) -> Self {
        let url = server.lock().await.url().to_owned();
        let address: SocketAddr = url.trim_start_matches("nats://").parse().unwrap();
        let client = patiently("the server takes a client", async || {
            let options = async_nats::ConnectOptions::new().request_timeout(Some(ANSWER));
            options.connect(url.as_str()).await
        });
        let broker = Self {
            server,
            proxy: Proxy::to(address).await.unwrap(),
            stream: round.to_owned(),
            most_workers: usize::try_from(wanted.partitions).unwrap(),
            context: jetstream::new(client.await),
            url,
            published: RefCell::default(),
            letters: AsyncMutex::default(),
        };
        broker.create_stream().await;
        if wanted.dead_letters {
            broker.mend_dead_letters().await;
        }
        broker
    }

    /// The stream, with its consumer.
    pub async fn create_stream(&self) {
        let config = stream::Config {
            name: self.stream.clone(),
            subjects: vec![self.subject()],
            retention: RetentionPolicy::WorkQueue,
            ..stream::Config::default()
        };
        self.create(config).await;
        self.create_consumer().await;
    }

    async fn create(&self, config: stream::Config) {
        let create = async || self.context.create_stream(config.clone()).await;
        patiently("the server makes a stream", create).await;
    }

    /// The stream with all that is in it.
    pub async fn delete_stream(&self) {
        self.context.delete_stream(&self.stream).await.unwrap();
        self.published.borrow_mut().clear();
    }

    pub async fn create_consumer(&self) {
        let config = pull::Config {
            durable_name: Some(CONSUMER.to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_deliver: -1,
            max_ack_pending: 10_000,
            ..pull::Config::default()
        };
        let create =
            async || self.context.create_consumer_on_stream(config.clone(), &self.stream).await;
        patiently("the server makes a consumer", create).await;
    }

    pub async fn delete_consumer(&self) {
        self.context.delete_consumer_from_stream(CONSUMER, &self.stream).await.unwrap();
    }

    fn subject(&self) -> String {
        format!("{}.event", self.stream)
    }

    fn dead_stream(&self) -> String {
        format!("{}-dead", self.stream)
    }

    /// Until it is confirmed. Its id keeps a message that was stored and not confirmed from being stored twice.
    async fn confirm(&self, message: Message) -> Option<Id> {
        let until = Instant::now() + CONFIRMATION;
        while Instant::now() < until {
            let body = message.body.clone().into();
            let publish = PublishMessage::build().payload(body).message_id(message.id.to_string());
            let sent = self.context.send_publish(self.subject(), publish).await;
            let confirmed = async { sent.ok()?.await.ok() };
            if let Some(stored) = confirmed.await {
                self.published.borrow_mut().insert(stored.sequence, message.id);
                return Some(message.id);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        None
    }

    async fn look(&self) -> Option<Observation> {
        let stream = self.context.get_stream_no_info(&self.stream).await.ok()?;
        let state = stream.info_builder().with_deleted(true).fetch().await.ok()?.info.state;
        let at = Instant::now();
        let letters = self.read_letters().await?;
        let gone: BTreeSet<u64> = state.deleted.unwrap_or_default().into_iter().collect();
        let published = self.published.borrow();
        // A work queue keeps what isn't acknowledged, and nothing else.
        let settled = published
            .iter()
            .filter(|(sequence, _)| **sequence < state.first_sequence || gone.contains(sequence))
            .filter(|(sequence, _)| **sequence <= state.last_sequence)
            .map(|(_, id)| *id);
        let partition =
            Partition { settled: state.last_sequence - state.messages, end: state.last_sequence };
        Some(Observation {
            at,
            settled: Settled::Ids(settled.collect()),
            letters: Letters::Ids(letters),
            partitions: vec![partition],
        })
    }

    /// All that are there by now. A stream that isn't there has none.
    async fn read_letters(&self) -> Option<Vec<Id>> {
        // One reader at a time, or both would read the same.
        let mut read = self.letters.lock().await;
        match self.context.get_stream(self.dead_stream()).await.map_err(|error| error.kind()) {
            Ok(stream) => {
                for next in read.len() as u64 + 1..=stream.cached_info().state.last_sequence {
                    let letter = stream.get_raw_message(next).await.ok()?;
                    read.push(Id::of(&letter.payload).expect("a dead letter of this round"));
                }
            }
            Err(GetStreamErrorKind::JetStream(error))
                if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {}
            Err(_) => return None,
        }
        Some(read.clone())
    }
}

#[async_trait(?Send)]
impl Broker for Nats {
    fn kind(&self) -> Kind {
        Kind::Nats
    }

    fn subscriptions(&self, detour: bool, slots: usize) -> String {
        let proxy = format!("nats://{}", self.proxy.address());
        let url = if detour { &proxy } else { &self.url };
        let stream = &self.stream;
        format!(
            "subscriptions: {{falco: {{concurrency: {slots}, nats: {{servers: [\"{url}\"], stream: {stream}, consumer: {CONSUMER}, subject: {}, deadLetters: {stream}.dead}}}}}}\n",
            self.subject()
        )
    }

    fn most_workers(&self) -> usize {
        self.most_workers
    }

    fn lease(&self) -> Option<Duration> {
        Some(ACK_WAIT)
    }

    /// The server's `max_payload` is a mebibyte, headers included.
    fn greatest(&self) -> usize {
        1_000_000
    }

    fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    async fn publish(&self, messages: Vec<Message>) -> Vec<Id> {
        let sent = streams::iter(messages).map(|message| self.confirm(message));
        sent.buffer_unordered(PUBLISHERS).filter_map(async |id| id).collect().await
    }

    async fn observe(&self, _: &[Worker]) -> Option<Observation> {
        tokio::time::timeout(LOOK, self.look()).await.ok()?
    }

    async fn letters(&self) -> Result<Vec<Id>, String> {
        self.read_letters().await.ok_or_else(|| "no answer".to_owned())
    }

    async fn mend_dead_letters(&self) {
        let config = stream::Config {
            name: self.dead_stream(),
            subjects: vec![format!("{}.dead", self.stream)],
            ..stream::Config::default()
        };
        self.create(config).await;
    }

    fn server(&self) -> Option<&dyn Server> {
        Some(self)
    }

    fn nats(&self) -> Option<&Nats> {
        Some(self)
    }
}

#[async_trait(?Send)]
impl Server for Nats {
    async fn kill(&self) {
        self.server.lock().await.kill();
    }

    async fn restart(&self) {
        self.server.lock().await.restart().await.unwrap();
    }

    async fn freeze(&self) {
        self.server.lock().await.pause().unwrap();
    }

    async fn thaw(&self) {
        self.server.lock().await.resume().unwrap();
    }
}
