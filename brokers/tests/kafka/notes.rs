//! What is said beside a commit, and what a worker makes of it that comes after a dead one.

use std::collections::BTreeSet;

use brokers::{
    Attempt, Delivery,
    conformance::{Record, Worker, until},
};
use bytes::Bytes;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
};

use crate::bench::Bench;

fn records(range: std::ops::Range<usize>) -> Vec<Record> {
    range.map(|n| Record::new(format!("{n}"))).collect()
}

fn body(delivery: &Delivery) -> Bytes {
    delivery.message().payload.clone()
}

/// A topic whose first partition has these messages and whose second has one: once that one is committed, what was settled
/// before it was looked at too.
async fn bench_with(records: Vec<Record>) -> Bench {
    let mut bench = Bench::with_partitions(2).await;
    let mut records = records.into_iter();
    let first = records.next().unwrap();
    bench.publish_in_turn(vec![first, Record::new("sentinel")]).await;
    bench.partitions = 1;
    bench.publish_in_turn(records.collect()).await;
    bench
}

/// Takes `n` messages of the first partition, in order, and the sentinel.
async fn take(worker: &mut Worker, n: usize) -> (Vec<Delivery>, Delivery) {
    let mut held = worker.take(n + 1).await;
    let sentinel = held.iter().position(|delivery| body(delivery) == "sentinel").unwrap();
    let sentinel = held.remove(sentinel);
    (held, sentinel)
}

async fn commit(bench: &Bench, sentinel: Delivery) {
    sentinel.ack().await;
    until("what was settled to be committed", async || bench.note_of(1).await.0 == 1).await;
}

/// A worker acks all `n` but those at the positions of `stuck`, and dies once that is committed.
async fn die_of(bench: &Bench, n: usize, stuck: &[usize]) -> Vec<Bytes> {
    let mut worker = Worker::start(bench).await;
    let (held, sentinel) = take(&mut worker, n).await;
    let mut left = Vec::new();
    for (at, delivery) in held.into_iter().enumerate() {
        match stuck.contains(&at) {
            true => left.push(delivery),
            false => drop(delivery.ack().await),
        }
    }
    commit(bench, sentinel).await;
    let bodies = left.iter().map(body).collect();
    worker.crash(left).await;
    bodies
}

impl Bench {
    /// What the group's commit of the first partition says beside its offset.
    async fn note(&self) -> (i64, String) {
        self.note_of(0).await
    }

    async fn note_of(&self, partition: i32) -> (i64, String) {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, partition);
        self.ask(move |consumer| {
            let committed = consumer.committed_offsets(list, crate::bench::LIMIT).unwrap();
            let element = &committed.elements()[0];
            let Offset::Offset(offset) = element.offset() else { return (-1, String::new()) };
            (offset, element.metadata().to_owned())
        })
        .await
    }

    /// Commits as another client of the group would.
    async fn commit_as_another(&self, offset: i64, note: String) {
        let topic = self.topic.clone();
        self.ask(move |consumer: BaseConsumer| {
            let mut list = TopicPartitionList::new();
            let mut element = list.add_partition(&topic, 0);
            element.set_offset(Offset::Offset(offset)).unwrap();
            element.set_metadata(note);
            consumer.commit(&list, CommitMode::Sync).unwrap();
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_brings_nothing_again_whose_completion_was_committed() {
    let bench = bench_with(records(0..90)).await;
    let stuck = die_of(&bench, 90, &[3, 40, 41, 80]).await;
    let mut next = Worker::start(&bench).await;
    let again: Vec<_> = next.take(4).await;
    assert_eq!(again.iter().map(body).collect::<BTreeSet<_>>(), stuck.into_iter().collect());
    bench.publish_in_turn(records(90..95)).await;
    let new = next.take(5).await;
    for (deliveries, attempt) in [(again, 2), (new, 1)] {
        for delivery in deliveries {
            assert_eq!(delivery.message().attempt, Attempt::Hint(attempt));
            delivery.ack().await;
        }
    }
    next.stop().await.unwrap();
    assert_eq!(bench.note().await, (95, String::new()), "left in good order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_above_a_stuck_head_cost_a_note_of_a_few_bytes() {
    let bench = bench_with(vec![Record::new("stuck")]).await;
    for _ in 0..10 {
        bench.publish_in_turn(vec![Record::new("skip"); 10_000]).await;
    }
    let mut worker = Worker::start(&bench).await;
    let (stuck, sentinel) = take(&mut worker, 1).await;
    let skipped = || worker.passed().skipped.load(std::sync::atomic::Ordering::Relaxed);
    until("all to be skipped", async || skipped() == 100_000).await;
    commit(&bench, sentinel).await;
    let (offset, note) = bench.note().await;
    assert!(offset == 0 && note.len() < 48, "{offset}: {note}");
    worker.crash(stuck).await;
    bench.publish_in_turn(vec![Record::new("new")]).await;
    let mut next = Worker::start(&bench).await;
    let held = next.take(2).await;
    assert_eq!(held.iter().map(body).collect::<Vec<_>>(), ["stuck", "new"]);
    assert_eq!(next.passed().skipped.load(std::sync::atomic::Ordering::Relaxed), 0);
    for delivery in held {
        delivery.ack().await;
    }
    until("all to be committed", async || bench.committed().await == [100_002]).await;
    next.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_made_anew_under_a_note_loses_nothing() {
    let bench = bench_with(records(0..20)).await;
    die_of(&bench, 20, &[0]).await;
    let stale = bench.note().await;
    bench.delete(bench.topic.clone()).await;
    until("the topic to be made", async || bench.try_create(bench.topic.clone(), 1).await).await;
    bench.publish_in_turn(records(100..120)).await;
    // Kafka forgets what a group has committed of a topic that is deleted; a restored backup may not.
    bench.commit_as_another(stale.0, stale.1).await;
    let mut next = Worker::start(&bench).await;
    let live: Vec<_> = next.take(20).await;
    assert_eq!(
        live.iter().map(body).collect::<Vec<_>>(),
        records(100..120).into_iter().map(|r| r.payload).collect::<Vec<_>>()
    );
    for delivery in live {
        delivery.ack().await;
    }
    until("all to be committed", async || bench.committed().await == [20]).await;
    next.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_client_wrote_beside_the_offset_is_harmless() {
    let bench = bench_with(records(0..10)).await;
    die_of(&bench, 10, &[2]).await;
    let (offset, ours) = bench.note().await;
    assert_eq!(offset, 2);
    let mut flipped = ours.clone().into_bytes();
    flipped[4] ^= 1;
    let foreign = ["consumed by legacy", "é🦅", "AQ", &"x".repeat(4000)].map(str::to_owned);
    let corrupt = [ours[..ours.len() - 1].to_owned(), String::from_utf8(flipped).unwrap()];
    for note in foreign.into_iter().chain(corrupt) {
        bench.commit_as_another(offset, note.clone()).await;
        let mut next = Worker::start(&bench).await;
        let again = next.take(8).await;
        assert_eq!(body(&again[0]), "2", "{note}");
        next.crash(again).await;
    }
    // Another offset beside the same note: whoever resets a group means it.
    bench.commit_as_another(0, ours).await;
    let mut next = Worker::start(&bench).await;
    assert_eq!(next.finish(&bench).await.len(), 10);
    next.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_takes_no_long_notes_is_committed_to_all_the_same() {
    let kafka = testbed::kafka::Kafka::start_with(&["offset.metadata.max.bytes=20"]).await.unwrap();
    let bench = Bench::on(kafka.bootstrap(), 1).await;
    bench.publish_in_turn(records(0..10)).await;
    let mut worker = Worker::start(&bench).await;
    let mut held = worker.take(10).await;
    held.remove(0).ack().await;
    held.remove(3).ack().await;
    until("the offset to be committed", async || bench.committed().await == [1]).await;
    let mut seen: Vec<_> = Vec::new();
    for delivery in held {
        seen.push(body(&delivery));
        delivery.ack().await;
    }
    worker.stop().await.unwrap();
    assert_eq!(bench.committed().await, [10]);
}

/// A message that kills its worker before it could commit anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_are_counted_across_deaths_however_soon_they_come() {
    let bench = Bench::with_partitions(1).await;
    bench.publish_in_turn(vec![Record::new("poison")]).await;
    for attempt in 1..=6 {
        let mut worker = Worker::start(&bench).await;
        let poison = worker.next().await;
        assert_eq!(poison.message().attempt, Attempt::Hint(attempt));
        assert_eq!(poison.handed(), attempt);
        worker.crash(vec![poison]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_handed_back_in_good_order_is_no_attempt() {
    let bench = Bench::with_partitions(1).await;
    bench.publish_in_turn(vec![Record::new("long")]).await;
    for _ in 0..3 {
        let mut worker =
            Worker::start_draining_for(&bench, std::time::Duration::from_millis(100)).await;
        let long = worker.next().await;
        assert_eq!(long.message().attempt, Attempt::Hint(1));
        worker.stop().await.unwrap();
        drop(long);
    }
}
