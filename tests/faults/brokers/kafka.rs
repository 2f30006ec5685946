//! A topic of one's own on a real Kafka.

mod detours;
mod letters;
mod others;
mod tokens;

use std::{
    collections::BTreeMap,
    ops::Range,
    rc::Rc,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures::future::join_all;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaResult,
    producer::{FutureProducer, FutureRecord},
    topic_partition_list::TopicPartitionListElem,
};
use testbed::{kafka, proxy::Proxy};
use tokio::{sync::Mutex as AsyncMutex, task::spawn_blocking};

use super::{Broker, Kind, Message, Server, Wanted, note};
use crate::{
    id::Id,
    logs::{Letters, Observation, Partition, Settled},
    worker::Worker,
};
pub use detours::{Detour, Detours};
use letters::LetterBox;
pub use others::Commit;
use tokens::Keeper;

/// What the broker may take to answer a question of the campaign.
const ANSWER: Duration = Duration::from_secs(5);
/// How long the group waits for a member that it doesn't hear of.
const SESSION: Duration = Duration::from_secs(30);
/// What a publisher waits for a confirmation: a broker may be restarted meanwhile.
const CONFIRMATION: Duration = Duration::from_secs(120);

/// A broker, shared by rounds that don't harm it.
pub type Shared = Rc<AsyncMutex<kafka::Kafka>>;

/// Starts one with so many detours.
pub async fn start(detours: usize) -> (Shared, Detours) {
    let kafka = kafka::Kafka::start_with_detours(detours).await.unwrap();
    (Rc::new(AsyncMutex::new(kafka)), Detours::of(detours))
}

/// Starts one that ends the connections of whoever has no good token any more. No detours lead to it.
pub async fn start_with_tokens() -> Shared {
    let lifetime = "listener.name.secure.oauthbearer.connections.max.reauth.ms=3600000\n";
    Rc::new(AsyncMutex::new(kafka::Kafka::start_with(lifetime).await.unwrap()))
}

pub struct Kafka {
    server: Shared,
    /// Before its detour is free for another.
    proxy: Proxy,
    _detour: Option<Detour>,
    bootstrap: String,
    /// What its workers connect to instead, if they show tokens.
    secure: Option<(kafka::Secure, Keeper)>,
    topic: String,
    wanted: Wanted,
    producer: FutureProducer,
    asking: Arc<Asking>,
}

/// What asks the broker how it stands; its clients stay connected.
struct Asking {
    topic: String,
    partitions: i32,
    group: BaseConsumer,
    letters: Mutex<LetterBox>,
    published: Mutex<BTreeMap<(i32, i64), Published>>,
    /// What the campaign itself wrote beside the group's offsets, by partition: it says nothing.
    forged: Mutex<BTreeMap<i32, String>>,
}

#[derive(Clone, Copy)]
struct Published {
    id: Id,
    /// As the broker has it, in milliseconds.
    time: i64,
}

impl Kafka {
    /// A topic named after the round.
    pub async fn new(server: Shared, detour: Option<Detour>, round: &str, wanted: Wanted) -> Self {
        let (bootstrap, proxy, secure) = {
            let server = server.lock().await;
            let bootstrap = server.bootstrap().to_owned();
            let proxy = match &detour {
                Some(detour) => server.proxy(detour.number).await,
                None => Proxy::to(bootstrap.parse().unwrap()).await,
            };
            let secure = wanted.tokens.then(|| (server.secure(), Keeper::start()));
            (bootstrap, proxy.unwrap(), secure)
        };
        let client = |more: &[(&str, &str)]| {
            let mut client = ClientConfig::new();
            client.set("bootstrap.servers", &bootstrap).set("group.id", round);
            // A broker that is away is part of the game.
            client.set("log_level", "0").set("reconnect.backoff.max.ms", "500");
            client.set("message.max.bytes", "20000000");
            for (key, value) in more {
                client.set(*key, *value);
            }
            client
        };
        let timeout = CONFIRMATION.as_millis().to_string();
        let producer = client(&[
            ("acks", "all"),
            ("enable.idempotence", "true"),
            ("linger.ms", "5"),
            ("message.timeout.ms", &timeout),
        ]);
        let asking = Asking {
            topic: round.to_owned(),
            partitions: wanted.partitions,
            group: client(&[]).create().unwrap(),
            letters: Mutex::new(LetterBox::of(client(&[]).create().unwrap())),
            published: Mutex::default(),
            forged: Mutex::default(),
        };
        let broker = Self {
            server,
            proxy,
            _detour: detour,
            topic: round.to_owned(),
            wanted,
            producer: producer.create().unwrap(),
            asking: Arc::new(asking),
            bootstrap,
            secure,
        };
        broker.create(round.to_owned(), wanted.partitions).await;
        if wanted.dead_letters {
            broker.mend_dead_letters().await;
        }
        broker
    }

    /// Who renews the tokens that workers show.
    pub fn keeper(&self) -> Option<&Keeper> {
        self.secure.as_ref().map(|(_, keeper)| keeper)
    }

    async fn create(&self, topic: String, partitions: i32) {
        self.try_create(topic, partitions).await.unwrap();
    }

    async fn try_create(&self, topic: String, partitions: i32) -> Result<(), String> {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.bootstrap);
        let make = move || {
            let admin: AdminClient<DefaultClientContext> = client.create().unwrap();
            let topic = NewTopic::new(&topic, partitions, TopicReplication::Fixed(1));
            let (topics, options) =
                ([topic.set("max.message.bytes", "2097152")], AdminOptions::new());
            let made = admin.create_topics(&topics, &options);
            tokio::runtime::Handle::current().block_on(made).unwrap()
        };
        let made = spawn_blocking(make).await.unwrap();
        if made.iter().all(Result::is_ok) { Ok(()) } else { Err(format!("{made:?}")) }
    }
}

#[async_trait(?Send)]
impl Broker for Kafka {
    fn kind(&self) -> Kind {
        Kind::Kafka
    }

    fn subscriptions(&self, detour: bool, slots: usize) -> String {
        let (topic, proxy) = (&self.topic, self.proxy.address().to_string());
        let bootstrap = if detour { &proxy } else { &self.bootstrap };
        let (bootstrap, shown) = match &self.secure {
            None => (bootstrap, String::new()),
            Some((secure, keeper)) => {
                let (ca, token) = (secure.ca.display(), keeper.file());
                let token = token.display();
                let sasl = format!("{{mechanism: OAUTHBEARER, token: {{file: \"{token}\"}}}}");
                (&secure.bootstrap, format!(", tls: {{ca: \"{ca}\"}}, sasl: {sasl}"))
            }
        };
        format!(
            "subscriptions: {{falco: {{concurrency: {slots}, kafka: {{brokers: [\"{bootstrap}\"], topic: {topic}, group: {topic}, deadLetters: {topic}.dead{shown}}}}}}}\n"
        )
    }

    fn most_workers(&self) -> usize {
        usize::try_from(self.wanted.partitions).unwrap()
    }

    fn lease(&self) -> Option<Duration> {
        Some(SESSION)
    }

    fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    async fn publish(&self, messages: Vec<Message>) -> Vec<Id> {
        let sent = join_all(messages.iter().map(async |message| {
            let partition = i32::try_from(message.id.number()).unwrap() % self.wanted.partitions;
            let record = FutureRecord::<(), [u8]>::to(&self.topic).partition(partition);
            let report = self.producer.send(record.payload(&message.body), CONFIRMATION).await;
            let at = report.ok()?;
            let time = at.timestamp.to_millis().unwrap_or_default();
            Some(((at.partition, at.offset), Published { id: message.id, time }))
        }));
        let confirmed: Vec<_> = sent.await.into_iter().flatten().collect();
        self.asking.published.lock().unwrap().extend(confirmed.iter().copied());
        confirmed.into_iter().map(|(_, published)| published.id).collect()
    }

    async fn observe(&self, _: &[Worker]) -> Option<Observation> {
        let asking = self.asking.clone();
        spawn_blocking(move || asking.observe()).await.unwrap().ok()
    }

    async fn letters(&self) -> Result<Vec<Id>, String> {
        let asking = self.asking.clone();
        let read = spawn_blocking(move || asking.letters.lock().unwrap().read(&asking.topic));
        read.await.unwrap().map_err(|error| error.to_string())
    }

    async fn mend_dead_letters(&self) {
        self.create(format!("{}.dead", self.topic), 1).await;
    }

    fn server(&self) -> Option<&dyn Server> {
        Some(self)
    }

    fn kafka(&self) -> Option<&Kafka> {
        Some(self)
    }
}

#[async_trait(?Send)]
impl Server for Kafka {
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

impl Asking {
    /// First what is committed, then the dead letters: what was settled by one of them is found there. A commit says nothing
    /// of what is published after it was read: it may lie in a log that was made anew, at the offsets of the one before.
    fn observe(&self) -> KafkaResult<Observation> {
        let published = self.published.lock().unwrap().clone();
        let mut list = TopicPartitionList::new();
        list.add_partition_range(&self.topic, 0, self.partitions - 1);
        let committed = self.group.committed_offsets(list, ANSWER)?;
        let at = Instant::now();
        let letters = self.letters.lock().unwrap().read(&self.topic)?;
        let committed: BTreeMap<i32, Committed> = committed
            .elements()
            .iter()
            .map(|element| (element.partition(), self.committed(element, &published)))
            .collect();
        let mut partitions = Vec::new();
        for (&partition, &Committed { offset: settled, .. }) in &committed {
            let (_, end) = self.group.fetch_watermarks(&self.topic, partition, ANSWER)?;
            let number = |offset: i64| u64::try_from(offset).unwrap_or_default();
            partitions.push(Partition { settled: number(settled), end: number(end) });
        }
        let settled = published
            .iter()
            .filter(|((partition, offset), _)| committed[partition].has(*offset))
            .map(|(_, published)| published.id);
        let settled = Settled::Ids(settled.collect());
        Ok(Observation { at, settled, letters: Letters::Ids(letters), partitions })
    }

    fn committed(
        &self,
        element: &TopicPartitionListElem<'_>,
        published: &BTreeMap<(i32, i64), Published>,
    ) -> Committed {
        let partition = element.partition();
        let offset = if let Offset::Offset(offset) = element.offset() { offset } else { 0 };
        let note = element.metadata();
        let above = match self.forged.lock().unwrap().get(&partition) {
            Some(forged) if forged == note => Vec::new(),
            _ => note::done(note, offset, |at| published.get(&(partition, at)).map(|of| of.time)),
        };
        Committed { offset, above }
    }
}

/// What the group has committed of a partition.
struct Committed {
    offset: i64,
    above: Vec<Range<i64>>,
}

impl Committed {
    fn has(&self, offset: i64) -> bool {
        offset < self.offset || self.above.iter().any(|done| done.contains(&offset))
    }
}
