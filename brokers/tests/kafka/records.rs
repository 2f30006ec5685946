//! Records as other programs write them.

use std::time::Duration;

use brokers::conformance::{Worker, until};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::bench::Bench;

const LIMIT: Duration = Duration::from_secs(20);

async fn publish(producer: BaseProducer, topic: String, bodies: &'static [&'static str]) {
    let send = move || {
        for body in bodies {
            let record = BaseRecord::<(), str>::to(&topic).partition(0).payload(body);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(LIMIT).unwrap();
    };
    tokio::task::spawn_blocking(send).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_compression_is_read() {
    let bench = Bench::with_partitions(1).await;
    let mut worker = Worker::start(&bench).await;
    for codec in ["gzip", "snappy", "lz4", "zstd"] {
        let mut client = bench.client();
        let producer = client.set("compression.type", codec).set("linger.ms", "50");
        publish(producer.create().unwrap(), bench.topic.clone(), &["aaaaaaaaaaaaaaaa", "b"]).await;
        for body in ["aaaaaaaaaaaaaaaa", "b"] {
            let delivery = worker.next().await;
            assert_eq!(delivery.message().payload, body, "{codec}");
            delivery.ack().await;
        }
    }
    worker.stop().await.unwrap();
    assert_eq!(bench.uncommitted().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tombstone_is_handed_over_as_an_empty_message() {
    let bench = Bench::with_partitions(1).await;
    let producer: BaseProducer = bench.client().create().unwrap();
    let record = BaseRecord::<str, ()>::to(&bench.topic).key("k");
    producer.send(record).map_err(|(error, _)| error).unwrap();
    producer.flush(LIMIT).unwrap();
    let mut worker = Worker::start(&bench).await;
    let delivery = worker.next().await;
    assert_eq!(delivery.message().payload, "");
    assert_eq!(delivery.message().key.as_deref(), Some(b"k".as_slice()));
    delivery.ack().await;
    worker.stop().await.unwrap();
    assert_eq!(bench.uncommitted().await, 0);
}

/// Markers take offsets that are never received, and aborted records are passed over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_leave_gaps_that_are_committed_over() {
    let bench = Bench::with_partitions(1).await;
    let mut client = bench.client();
    client.set("transactional.id", &bench.topic);
    let producer: BaseProducer = client.create().unwrap();
    let topic = bench.topic.clone();
    let write = move || {
        producer.init_transactions(LIMIT).unwrap();
        for (body, commit) in [("a", true), ("aborted", false), ("b", true), ("c", true)] {
            producer.begin_transaction().unwrap();
            let record = BaseRecord::<(), str>::to(&topic).partition(0).payload(body);
            producer.send(record).map_err(|(error, _)| error).unwrap();
            producer.flush(LIMIT).unwrap();
            match commit {
                true => producer.commit_transaction(LIMIT).unwrap(),
                false => producer.abort_transaction(LIMIT).unwrap(),
            }
        }
    };
    tokio::task::spawn_blocking(write).await.unwrap();

    let mut worker = Worker::start(&bench).await;
    let held = worker.take(3).await;
    let bodies: Vec<_> = held.iter().map(|d| d.message().payload.clone()).collect();
    assert_eq!(bodies, ["a", "b", "c"]);
    for delivery in held.into_iter().rev() {
        delivery.ack().await;
    }
    // a, marker, aborted, marker, b, marker, c: the next to be read is the last marker.
    until("all to be committed", async || bench.committed().await == [7]).await;
    worker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_by_us_is_durable_and_whole() {
    let bench = Bench::with_partitions(1).await;
    let publisher = brokers::kafka::Publisher::new(&bench.config).unwrap();
    let headers = [("traceparent".to_owned(), bytes::Bytes::from_static(b"00-1"))];
    publisher.publish(Some(b"k"), b"event", &headers).await.unwrap();
    assert_eq!(bench.ends().await, [1]);
    let mut worker = Worker::start(&bench).await;
    let delivery = worker.next().await;
    let message = delivery.message();
    assert_eq!((&*message.payload, message.key.as_deref()), (&b"event"[..], Some(&b"k"[..])));
    assert_eq!(message.headers, headers);
    assert!(message.published.is_some());
    assert_eq!(message.id.to_string(), format!("{}/0/0", bench.topic));
    delivery.ack().await;
    worker.stop().await.unwrap();
}
