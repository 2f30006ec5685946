//! A topic of one's own on a real Kafka.

mod others;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    ops::Range,
    rc::Rc,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures::future::join_all;
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, KafkaResult},
    message::{BorrowedMessage, Headers as _},
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
pub use others::Commit;

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
    let free = Detours(Rc::new(RefCell::new((0..detours).collect())));
    (Rc::new(AsyncMutex::new(kafka)), free)
}

/// The detours of a broker that nobody uses.
#[derive(Clone)]
pub struct Detours(Rc<RefCell<Vec<usize>>>);

/// A detour of one's own; it is free again when this is dropped.
pub struct Detour {
    number: usize,
    free: Detours,
}

impl Detours {
    /// # Panics
    /// All are taken.
    pub fn take(&self) -> Detour {
        let number = self.0.borrow_mut().pop().expect("there is a detour for each round");
        Detour { number, free: self.clone() }
    }
}

impl Drop for Detour {
    fn drop(&mut self) {
        self.free.0.borrow_mut().push(self.number);
    }
}

pub struct Kafka {
    server: Shared,
    /// Before its detour is free for another.
    proxy: Proxy,
    _detour: Detour,
    bootstrap: String,
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

struct LetterBox {
    reader: BaseConsumer,
    opened: bool,
    read: Vec<Id>,
    next: i64,
}

impl Kafka {
    /// A topic named after the round.
    pub async fn new(server: Shared, detour: Detour, round: &str, wanted: Wanted) -> Self {
        let (bootstrap, proxy) = {
            let server = server.lock().await;
            (server.bootstrap().to_owned(), server.proxy(detour.number).await.unwrap())
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
            letters: Mutex::new(LetterBox {
                reader: client(&[]).create().unwrap(),
                opened: false,
                read: Vec::new(),
                next: 0,
            }),
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
        };
        broker.create(round.to_owned(), wanted.partitions).await;
        if wanted.dead_letters {
            broker.mend_dead_letters().await;
        }
        broker
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
        format!(
            "subscriptions: {{falco: {{concurrency: {slots}, kafka: {{brokers: [\"{bootstrap}\"], topic: {topic}, group: {topic}, deadLetters: {topic}.dead}}}}}}\n"
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
    /// First what is committed, then the dead letters: what was settled by one of them is found there.
    fn observe(&self) -> KafkaResult<Observation> {
        let mut list = TopicPartitionList::new();
        list.add_partition_range(&self.topic, 0, self.partitions - 1);
        let committed = self.group.committed_offsets(list, ANSWER)?;
        let at = Instant::now();
        let letters = self.letters.lock().unwrap().read(&self.topic)?;
        let committed: BTreeMap<i32, Committed> = committed
            .elements()
            .iter()
            .map(|element| (element.partition(), self.committed(element)))
            .collect();
        let mut partitions = Vec::new();
        for (&partition, &Committed { offset: settled, .. }) in &committed {
            let (_, end) = self.group.fetch_watermarks(&self.topic, partition, ANSWER)?;
            let number = |offset: i64| u64::try_from(offset).unwrap_or_default();
            partitions.push(Partition { settled: number(settled), end: number(end) });
        }
        let published = self.published.lock().unwrap();
        let settled = published
            .iter()
            .filter(|((partition, offset), _)| committed[partition].has(*offset))
            .map(|(_, published)| published.id);
        let settled = Settled::Ids(settled.collect());
        Ok(Observation { at, settled, letters: Letters::Ids(letters), partitions })
    }

    fn committed(&self, element: &TopicPartitionListElem<'_>) -> Committed {
        let partition = element.partition();
        let offset = if let Offset::Offset(offset) = element.offset() { offset } else { 0 };
        let (note, published) = (element.metadata(), self.published.lock().unwrap());
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

impl LetterBox {
    /// All that are there by now. A topic that isn't there has none.
    fn read(&mut self, of: &str) -> KafkaResult<Vec<Id>> {
        let topic = format!("{of}.dead");
        if !self.opened {
            let metadata = self.reader.fetch_metadata(Some(&topic), ANSWER)?;
            if metadata.topics().iter().all(|found| found.partitions().is_empty()) {
                return Ok(Vec::new());
            }
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(&topic, 0, Offset::Beginning)?;
            self.reader.assign(&list)?;
            self.opened = true;
        }
        let (_, end) = self.reader.fetch_watermarks(&topic, 0, ANSWER)?;
        while self.next < end {
            let message = self.reader.poll(ANSWER).ok_or(KafkaError::NoMessageReceived)??;
            self.next = message.offset() + 1;
            if !is_later_chunk(&message) {
                let body = message.payload().unwrap_or_default();
                self.read.push(Id::of(body).expect("a dead letter of this round"));
            }
        }
        Ok(self.read.clone())
    }
}

/// Whether it only goes on with a dead letter that was too large for one record.
fn is_later_chunk(message: &BorrowedMessage<'_>) -> bool {
    let mut headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    headers.any(|header| header.key == "stoop-chunk-index" && header.value != Some(b"0"))
}
