//! The raw client: what can be had with rdkafka alone and the same settle guarantee.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer, StreamConsumer},
    message::Message,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Round, cpu, fresh};

/// The worker's own settings.
fn consumer(bootstrap: &str, topic: &str) -> StreamConsumer {
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", fresh("raw"))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("check.crcs", "true")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("fetch.queue.backoff.ms", "10")
        .set("queued.max.messages.kbytes", "16384")
        .set("fetch.max.bytes", "8388608")
        .create()
        .unwrap();
    consumer.subscribe(&[topic]).unwrap();
    consumer
}

/// Counts borrowed messages, and commits what was seen once a second.
pub async fn count(bootstrap: &str, topic: &str, messages: usize) -> Round {
    let consumer = consumer(bootstrap, topic);
    let mut seen = [None; 4];
    let mut bytes = 0;
    let first = consumer.recv().await.unwrap();
    seen[usize::try_from(first.partition()).unwrap()] = Some(first.offset());
    drop(first);
    let (start, before) = (Instant::now(), cpu());
    let mut committed = Instant::now();
    for count in 1..messages {
        let message = consumer.recv().await.unwrap();
        bytes += message.payload().map_or(0, <[u8]>::len);
        seen[usize::try_from(message.partition()).unwrap()] = Some(message.offset());
        if count % 1024 == 0 && committed.elapsed() >= Duration::from_secs(1) {
            committed = Instant::now();
            commit(&consumer, topic, seen, CommitMode::Async);
        }
    }
    let round = Round { took: start.elapsed(), cpu: cpu() - before };
    assert!(bytes > messages * 500);
    commit(&consumer, topic, seen, CommitMode::Sync);
    round
}

fn commit(consumer: &StreamConsumer, topic: &str, seen: [Option<i64>; 4], mode: CommitMode) {
    let mut offsets = TopicPartitionList::new();
    for (partition, offset) in (0..).zip(seen) {
        if let Some(offset) = offset {
            offsets.add_partition_offset(topic, partition, Offset::Offset(offset + 1)).unwrap();
        }
    }
    consumer.commit(&offsets, mode).unwrap();
}

/// Falco's envelope, typed and borrowed.
#[derive(Deserialize)]
#[allow(dead_code, reason = "what is measured is reading them")]
struct Envelope<'a> {
    #[serde(borrow)]
    uuid: Option<Cow<'a, str>>,
    #[serde(borrow)]
    output: Cow<'a, str>,
    #[serde(borrow)]
    priority: Cow<'a, str>,
    #[serde(borrow)]
    rule: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(borrow)]
    source: Option<Cow<'a, str>>,
    #[serde(borrow)]
    tags: Option<Vec<Cow<'a, str>>>,
    #[serde(borrow)]
    hostname: Option<Cow<'a, str>>,
    #[serde(borrow)]
    output_fields: Option<&'a RawValue>,
}

/// What is in flight in each partition, and where each has been read to.
type Tracker = [Mutex<(BTreeSet<i64>, i64)>; 4];

/// Decodes each message in a task of its own, and commits what is complete once a second.
pub async fn decode(bootstrap: &str, topic: &str, messages: usize) -> Round {
    let consumer = consumer(bootstrap, topic);
    let tracker: Arc<Tracker> = Arc::default();
    let done = Arc::new(AtomicUsize::new(0));
    let (mut start, mut before) = (Instant::now(), cpu());
    let mut committed = Instant::now();
    for count in 0..messages {
        let message = consumer.recv().await.unwrap();
        if count == 0 {
            (start, before) = (Instant::now(), cpu());
        }
        let (partition, offset) = (usize::try_from(message.partition()).unwrap(), message.offset());
        let payload = message.payload().unwrap().to_vec();
        {
            let mut tracked = tracker[partition].lock().unwrap();
            tracked.0.insert(offset);
            tracked.1 = offset + 1;
        }
        let (in_flight, finished) = (tracker.clone(), done.clone());
        tokio::spawn(async move {
            let envelope: Envelope<'_> = serde_json::from_slice(&payload).unwrap();
            assert!(!envelope.rule.is_empty());
            in_flight[partition].lock().unwrap().0.remove(&offset);
            finished.fetch_add(1, Ordering::Relaxed);
        });
        if count % 1024 == 0 && committed.elapsed() >= Duration::from_secs(1) {
            committed = Instant::now();
            commit(&consumer, topic, complete(&tracker), CommitMode::Async);
        }
    }
    while done.load(Ordering::Relaxed) < messages {
        tokio::task::yield_now().await;
    }
    let round = Round { took: start.elapsed(), cpu: cpu() - before };
    commit(&consumer, topic, complete(&tracker), CommitMode::Sync);
    round
}

/// The last offset of each partition below which nothing is in flight.
fn complete(tracker: &Tracker) -> [Option<i64>; 4] {
    tracker.each_ref().map(|tracked| {
        let tracked = tracked.lock().unwrap();
        let next = tracked.0.first().copied().unwrap_or(tracked.1);
        (next > 0).then(|| next - 1)
    })
}
