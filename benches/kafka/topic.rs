//! A topic full of events.

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    producer::{BaseRecord, Producer, ThreadedProducer},
};
use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// Creates a topic of 4 partitions with so many events.
pub async fn fill(
    bootstrap: &str,
    name: &str,
    messages: usize,
    event: fn(usize) -> String,
) -> String {
    let topic = create(bootstrap, name).await;
    publish(bootstrap, &topic, (0..messages).map(event)).await;
    topic
}

/// Creates a topic of 4 partitions, and one for its dead letters.
pub async fn create(bootstrap: &str, name: &str) -> String {
    let topic = fresh(name);
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    for topic in [&topic, &format!("{topic}.dead")] {
        let topic = NewTopic::new(topic, 4, TopicReplication::Fixed(1));
        admin.create_topics([&topic], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
    }
    topic
}

/// Publishes events, spread as Falcosidekick does: without a key.
pub async fn publish<E>(bootstrap: &str, topic: &str, events: E)
where
    E: IntoIterator<Item = String, IntoIter: Send + 'static>,
{
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    config.set("acks", "all").set("linger.ms", "20").set("batch.size", "1000000");
    config.set("queue.buffering.max.messages", "2000000").set("message.max.bytes", "2000000");
    let producer: ThreadedProducer<rdkafka::producer::DefaultProducerContext> =
        config.create().unwrap();
    let (topic, events) = (topic.to_owned(), events.into_iter());
    tokio::task::spawn_blocking(move || {
        for (number, payload) in events.enumerate() {
            let partition = i32::try_from(number % 4).unwrap();
            let mut record =
                BaseRecord::<(), str>::to(&topic).partition(partition).payload(&payload);
            while let Err((_, back)) = producer.send(record) {
                record = back;
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        producer.flush(Duration::from_secs(120)).unwrap();
    })
    .await
    .unwrap();
}

/// A name that no other run has used.
pub fn fresh(what: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("bench-{what}-{}-{number}", std::process::id())
}
