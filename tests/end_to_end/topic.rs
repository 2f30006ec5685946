//! A Kafka topic of one's own, seen from outside the worker.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer},
    message::{Header, Headers, Message, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};

use crate::worker::{PATIENCE, Worker};

/// The names of a topic, its group and its dead letters, and the broker they are on.
pub struct Topic {
    bootstrap: String,
    name: String,
}

/// A dead letter as it lies on its topic.
#[derive(Debug)]
pub struct DeadLetter {
    pub payload: Vec<u8>,
    pub headers: Vec<(String, String)>,
}

impl Topic {
    /// Names that no other test uses.
    pub fn new(bootstrap: &str, test: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{test}-{}-{number}", std::process::id());
        Self { bootstrap: bootstrap.to_owned(), name }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Creates it, with one partition.
    pub async fn make(&self) {
        let topic = NewTopic::new(&self.name, 1, TopicReplication::Fixed(1));
        let made = testbed::until("the topic to be made", PATIENCE, async || {
            // One that was deleted a moment ago may still be there.
            let made = self.admin().create_topics([&topic], &AdminOptions::new()).await;
            made.map_err(|error| error.to_string())?.remove(0).map_err(|(_, code)| code.to_string())
        });
        made.await.unwrap();
    }

    pub async fn delete(&self) {
        let deleted = self.admin().delete_topics(&[&self.name], &AdminOptions::new()).await;
        deleted.unwrap().remove(0).unwrap();
    }

    /// What the group has committed of the first partition: the offset, and what is beside it.
    pub async fn commit_of_group(&self) -> (i64, String) {
        let (client, mut list) = (self.client(), TopicPartitionList::new());
        list.add_partition(&self.name, 0);
        tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = client.create().unwrap();
            let committed = consumer.committed_offsets(list, PATIENCE).unwrap();
            let element = &committed.elements()[0];
            let Offset::Offset(offset) = element.offset() else { return (-1, String::new()) };
            (offset, element.metadata().to_owned())
        })
        .await
        .unwrap()
    }

    /// Commits as another client of the group would.
    pub async fn commit_as_another(&self, offset: i64, note: &str) {
        let (client, mut list) = (self.client(), TopicPartitionList::new());
        let mut element = list.add_partition(&self.name, 0);
        element.set_offset(Offset::Offset(offset)).unwrap();
        element.set_metadata(note);
        tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = client.create().unwrap();
            consumer.commit(&list, CommitMode::Sync).unwrap();
        })
        .await
        .unwrap();
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().unwrap()
    }

    /// The `subscriptions` of a worker that reads it.
    pub fn subscription(&self) -> String {
        let Self { bootstrap, name } = self;
        format!(
            "subscriptions: {{falco: {{kafka: {{brokers: [\"{bootstrap}\"], topic: {name}, group: {name}, deadLetters: {name}.dead}}}}}}\n"
        )
    }

    pub async fn publish(&self, payload: &[u8]) {
        self.publish_with(payload, &[]).await;
    }

    pub async fn publish_with(&self, payload: &[u8], headers: &[(&str, &str)]) {
        let producer: FutureProducer = self.client().set("acks", "all").create().unwrap();
        let mut all = OwnedHeaders::new();
        for (key, value) in headers {
            all = all.insert(Header { key, value: Some(*value) });
        }
        let record = FutureRecord::<(), [u8]>::to(&self.name).payload(payload).headers(all);
        producer.send(record, Duration::from_secs(30)).await.unwrap();
    }

    /// Messages published so far, and how many of them the group has committed.
    pub async fn progress(&self) -> (i64, i64) {
        let (client, name) = (self.client(), self.name.clone());
        tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = client.create().unwrap();
            let patience = Duration::from_secs(10);
            let metadata = consumer.fetch_metadata(Some(&name), patience).unwrap();
            let partitions = metadata.topics()[0].partitions().len();
            let mut list = TopicPartitionList::new();
            let mut published = 0;
            for partition in 0..i32::try_from(partitions).unwrap() {
                list.add_partition(&name, partition);
                published += consumer.fetch_watermarks(&name, partition, patience).unwrap().1;
            }
            let committed = consumer.committed_offsets(list, patience).unwrap();
            let elements = committed.elements();
            let offsets = elements.iter().map(|element| match element.offset() {
                Offset::Offset(offset) => offset,
                _ => 0,
            });
            (published, offsets.sum())
        })
        .await
        .unwrap()
    }

    /// Waits until the group has committed everything that was published.
    pub async fn all_committed(&self, worker: &Worker) {
        worker
            .wait("everything is committed", async || match self.progress().await {
                (published, committed) if published == committed => Ok(()),
                (published, committed) => Err(format!("{committed} of {published} committed")),
            })
            .await;
    }

    /// The dead letters so far.
    pub async fn dead_letters(&self) -> Vec<DeadLetter> {
        self.read_topic(format!("{}.dead", self.name)).await
    }

    /// The messages so far.
    pub async fn read(&self) -> Vec<DeadLetter> {
        self.read_topic(self.name.clone()).await
    }

    async fn read_topic(&self, name: String) -> Vec<DeadLetter> {
        let client = self.client();
        tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = client.create().unwrap();
            let patience = Duration::from_secs(10);
            let metadata = consumer.fetch_metadata(Some(&name), patience).unwrap();
            let mut list = TopicPartitionList::new();
            let mut left = 0;
            for partition in metadata.topics()[0].partitions() {
                list.add_partition_offset(&name, partition.id(), Offset::Beginning).unwrap();
                left += consumer.fetch_watermarks(&name, partition.id(), patience).unwrap().1;
            }
            consumer.assign(&list).unwrap();
            let mut letters = Vec::new();
            while left > 0 {
                let message = consumer.poll(patience).expect("a dead letter").unwrap();
                left -= 1;
                let headers = message.headers().into_iter().flat_map(|headers| {
                    headers.iter().map(|header| {
                        let value = header.value.unwrap_or_default();
                        (header.key.to_owned(), String::from_utf8_lossy(value).into_owned())
                    })
                });
                letters.push(DeadLetter {
                    payload: message.payload().unwrap_or_default().to_vec(),
                    headers: headers.collect(),
                });
            }
            letters
        })
        .await
        .unwrap()
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config.set("group.id", &self.name);
        config
    }
}

impl DeadLetter {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}
