//! A topic of its own on the shared Kafka, and what the tests do to it from outside, with a client of their own.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use brokers::{
    conformance::Record,
    kafka::{self, Config, Timing},
};
use bytes::Bytes;
use futures::executor::block_on;
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    admin::{
        AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication,
    },
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    message::{BorrowedMessage, Header, Headers as _, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use testbed::kafka::Kafka;

type Admin = AdminClient<DefaultClientContext>;

pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct Bench {
    pub(crate) config: Config,
    pub(crate) topic: String,
    pub(crate) timing: Timing,
    pub(crate) partitions: i32,
    producer: FutureProducer,
}

impl Bench {
    pub(crate) const TIMING: Timing =
        Timing { drain: Duration::from_secs(2), session: Duration::from_secs(6) };

    pub(crate) async fn with_partitions(partitions: i32) -> Self {
        Self::on(shared().await, partitions).await
    }

    /// Names on the shared Kafka, without topics.
    pub(crate) async fn unmade_on_shared(partitions: i32) -> Self {
        Self::unmade(shared().await, partitions)
    }

    pub(crate) async fn on(bootstrap: &str, partitions: i32) -> Self {
        let bench = Self::unmade(bootstrap, partitions);
        let dead_letters = bench.config.dead_letters.clone().unwrap();
        bench.create(bench.topic.clone(), partitions).await;
        bench.create(dead_letters, 1).await;
        bench
    }

    fn unmade(bootstrap: &str, partitions: i32) -> Self {
        let name = format!("test-{:016x}", fastrand::u64(..));
        let config = Config {
            brokers: vec![bootstrap.to_owned()],
            topic: Some(name.clone()),
            group: format!("{name}.group"),
            dead_letters: Some(format!("{name}.dead")),
            ..Config::default()
        };
        let producer = client(bootstrap).set("acks", "all").create().unwrap();
        Self { config, topic: name, timing: Self::TIMING, partitions, producer }
    }

    pub(crate) fn client(&self) -> ClientConfig {
        client(&self.config.brokers[0])
    }

    pub(crate) async fn create(&self, name: String, partitions: i32) {
        assert!(self.try_create(name.clone(), partitions).await, "{name} can't be created");
    }

    /// Whether the topic could be made: its namesake may still be on its way out.
    pub(crate) async fn try_create(&self, name: String, partitions: i32) -> bool {
        let made = self.administer(move |admin| {
            let topic = [NewTopic::new(&name, partitions, TopicReplication::Fixed(1))];
            block_on(admin.create_topics(&topic, &AdminOptions::new())).unwrap()
        });
        made.await.iter().all(Result::is_ok)
    }

    pub(crate) async fn delete(&self, name: String) {
        self.administer(move |admin| {
            let gone = block_on(admin.delete_topics(&[&name], &AdminOptions::new())).unwrap();
            assert_eq!(gone, [Ok(name.clone())]);
        })
        .await;
    }

    /// The admin client's futures borrow too much to be sent between threads.
    async fn administer<T: Send + 'static>(
        &self,
        task: impl FnOnce(Admin) -> T + Send + 'static,
    ) -> T {
        let admin = self.client().create().unwrap();
        tokio::task::spawn_blocking(move || task(admin)).await.unwrap()
    }

    /// Publishes to the partitions in turn.
    pub(crate) async fn publish_in_turn(&self, records: Vec<Record>) {
        let mut sent = Vec::new();
        for (partition, record) in (0..self.partitions).cycle().zip(&records) {
            let mut headers = OwnedHeaders::new();
            for (key, value) in &record.headers {
                headers = headers.insert(Header { key, value: Some(value.as_ref()) });
            }
            let new = FutureRecord::to(&self.topic).partition(partition);
            let mut new = new.payload(record.payload.as_ref()).headers(headers);
            new.key = record.key.as_deref();
            sent.push(self.producer.send(new, LIMIT));
        }
        for sent in futures::future::join_all(sent).await {
            sent.map_err(|(error, _)| error).unwrap();
        }
    }

    /// What the group's next member would be delivered.
    pub(crate) async fn uncommitted(&self) -> u64 {
        let (ends, committed) = (self.ends().await, self.committed().await);
        ends.iter().zip(committed).map(|(end, done)| u64::try_from(end - done).unwrap()).sum()
    }

    /// The end of each partition.
    pub(crate) async fn ends(&self) -> Vec<i64> {
        let (topic, partitions) = (self.topic.clone(), self.partitions);
        self.ask(move |consumer| {
            let end = |n| consumer.fetch_watermarks(&topic, n, LIMIT).unwrap().1;
            (0..partitions).map(end).collect()
        })
        .await
    }

    /// What the group has committed of each partition.
    pub(crate) async fn committed(&self) -> Vec<i64> {
        let mut list = TopicPartitionList::new();
        list.add_partition_range(&self.topic, 0, self.partitions - 1);
        self.ask(move |consumer| {
            let committed = consumer.committed_offsets(list, LIMIT).unwrap();
            let offset = |o: Offset| if let Offset::Offset(o) = o { o } else { 0 };
            committed.elements().iter().map(|element| offset(element.offset())).collect()
        })
        .await
    }

    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(BaseConsumer) -> T + Send + 'static,
    ) -> T {
        let consumer = self.client().set("group.id", &self.config.group).create().unwrap();
        tokio::task::spawn_blocking(move || question(consumer)).await.unwrap()
    }

    /// All dead letters, those in pieces put together.
    pub(crate) async fn read_dead_letters(&self) -> Vec<Record> {
        whole(self.read_dead_records().await)
    }

    /// The records of the dead-letter topic, as they are.
    pub(crate) async fn read_dead_records(&self) -> Vec<Record> {
        let topic = self.config.dead_letters.clone().unwrap();
        let mut client = self.client();
        client.set("group.id", "reader").set("fetch.message.max.bytes", "20000000");
        let read = move || {
            let consumer: BaseConsumer = client.create().unwrap();
            let (_, end) = consumer.fetch_watermarks(&topic, 0, LIMIT).unwrap();
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(&topic, 0, Offset::Beginning).unwrap();
            consumer.assign(&list).unwrap();
            let mut records = Vec::new();
            while i64::try_from(records.len()).unwrap() < end {
                let message = consumer.poll(LIMIT).expect("a dead letter").unwrap();
                records.push(record(&message));
            }
            records
        };
        tokio::task::spawn_blocking(read).await.unwrap()
    }

    /// Deletes the dead letters' topic, or makes it anew.
    pub(crate) async fn set_dead_letters_exist(&self, exist: bool) {
        let topic = self.config.dead_letters.clone().unwrap();
        match exist {
            true => self.create(topic, 1).await,
            false => self.delete(topic).await,
        }
    }

    pub(crate) async fn configure_dead_letters(&self, key: &'static str, value: &str) {
        let (topic, value) = (self.config.dead_letters.clone().unwrap(), value.to_owned());
        self.administer(move |admin| {
            let change = AlterConfig::new(ResourceSpecifier::Topic(&topic)).set(key, &value);
            let done = block_on(admin.alter_configs([&change], &AdminOptions::new())).unwrap();
            assert!(done.iter().all(Result::is_ok), "{done:?}");
        })
        .await;
    }

    /// Another member of the group, which gets some of its partitions and settles nothing.
    pub(crate) fn rival(&self) -> Rival {
        let mut client = self.client();
        client
            .set("group.id", &self.config.group)
            .set("enable.auto.commit", "false")
            .set("session.timeout.ms", "6000")
            .set("partition.assignment.strategy", "cooperative-sticky");
        let topics = self.config.topics().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let consumer: BaseConsumer = client.create().unwrap();
            let kafka::Topics::Named(topics) = topics else { panic!("a rival knows names") };
            consumer.subscribe(&topics.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
            while !stopped.load(Ordering::Acquire) {
                drop(consumer.poll(Duration::from_millis(50)));
            }
        });
        Rival { stop, thread: Some(thread) }
    }
}

/// Leaves the group when it is dropped.
pub(crate) struct Rival {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Rival {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// The shared Kafka's address. Starting it can't move between threads.
async fn shared() -> &'static str {
    let start = || tokio::runtime::Handle::current().block_on(Kafka::shared());
    let kafka = tokio::task::spawn_blocking(start).await.unwrap();
    kafka.unwrap_or_else(|error| panic!("no Kafka: {error}")).bootstrap()
}

fn client(bootstrap: &str) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", bootstrap);
    client
}

fn record(message: &BorrowedMessage<'_>) -> Record {
    let owned = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
    let headers = message.headers().map(|headers| {
        let pair = |h: Header<'_, &[u8]>| (h.key.to_owned(), owned(h.value.unwrap_or_default()));
        headers.iter().map(pair).collect()
    });
    Record {
        payload: owned(message.payload().unwrap_or_default()),
        key: message.key().map(owned),
        headers: headers.unwrap_or_default(),
    }
}

/// Puts the pieces of dead letters together, as anyone who redrives has to.
fn whole(records: Vec<Record>) -> Vec<Record> {
    let mut sets: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    let mut whole = Vec::new();
    for record in records {
        match record.header("stoop-chunk-set") {
            Some(set) => sets.entry(set.to_owned()).or_default().push(record),
            None => whole.push(record),
        }
    }
    for mut pieces in sets.into_values() {
        let number = |record: &Record, name| record.header(name).unwrap().parse::<usize>().unwrap();
        if pieces.len() < number(&pieces[0], "stoop-chunk-count") {
            continue;
        }
        pieces.sort_by_key(|piece| number(piece, "stoop-chunk-index"));
        let body: Vec<u8> = pieces.iter().flat_map(|piece| piece.payload.to_vec()).collect();
        assert_eq!(body.len(), number(&pieces[0], "stoop-chunk-bytes"));
        let first = pieces.swap_remove(0);
        whole.push(Record { payload: body.into(), ..first });
    }
    whole
}
