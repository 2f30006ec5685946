//! A topic that is only published to.

use brokers::{
    Destination as _, Outgoing, Unpublished,
    kafka::{Destination, DestinationConfig},
};
use bytes::Bytes;
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::Consumer as _,
    message::{BorrowedMessage, Headers as _},
};

use crate::bench::{Bench, LIMIT};

fn config(bench: &Bench) -> DestinationConfig {
    let (brokers, topic) = (bench.config.brokers.clone(), bench.topic.clone());
    DestinationConfig { brokers, topic, tls: None, sasl: None }
}

async fn publish(to: &Destination, payload: &[u8]) -> Result<(), Unpublished> {
    let headers = [("stoop-id".to_owned(), Bytes::from_static(b"1"))];
    to.publish(Outgoing { id: "1", payload, headers: &headers }).await
}

/// Bodies of the topic's only partition, with their first headers.
async fn records(bench: &Bench, count: usize) -> Vec<(Vec<u8>, String)> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&bench.topic, 0, Offset::Beginning).unwrap();
    let read = |record: BorrowedMessage<'_>| {
        let headers = record.headers().unwrap();
        let header = headers.iter().next().unwrap();
        let value = String::from_utf8_lossy(header.value.unwrap()).into_owned();
        (record.payload().unwrap().to_vec(), format!("{}={value}", header.key))
    };
    bench
        .ask(move |consumer| {
            consumer.assign(&list).unwrap();
            (0..count).map(|_| read(consumer.poll(LIMIT).unwrap().unwrap())).collect()
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_is_there_with_its_headers() {
    let bench = Bench::with_partitions(1).await;
    let to = Destination::new(&config(&bench)).unwrap();
    publish(&to, b"event").await.unwrap();
    assert_eq!(records(&bench, 1).await, [(b"event".to_vec(), "stoop-id=1".to_owned())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_not_there_yet_may_be_there_later() {
    let bench = Bench::unmade_on_shared(1).await;
    let to = Destination::new(&config(&bench)).unwrap();
    let error = publish(&to, b"event").await.unwrap_err();
    assert!(
        matches!(&error, Unpublished::Unavailable(why) if why.to_string().contains("doesn't exist")),
        "{error:?}"
    );
    bench.create(bench.topic.clone(), 1).await;
    brokers::conformance::until("the topic to be known", async || {
        publish(&to, b"event").await.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_that_are_away_are_unavailable_and_what_is_too_large_is_refused() {
    let bench = Bench::with_partitions(1).await;
    let nobody = DestinationConfig { brokers: vec!["127.0.0.1:1".to_owned()], ..config(&bench) };
    let error = publish(&Destination::new(&nobody).unwrap(), b"event").await.unwrap_err();
    assert!(matches!(error, Unpublished::Unavailable(_)), "{error:?}");
    // Random, for what can be compressed may fit.
    let large: Vec<u8> = (0..3 << 20).map(|_| fastrand::u8(..)).collect();
    let error = publish(&Destination::new(&config(&bench)).unwrap(), &large).await.unwrap_err();
    assert!(matches!(error, Unpublished::Refused(_)), "{error:?}");
}
