//! What is committed, what is held back, and what lag says of it.

use std::time::Duration;

use brokers::{
    conformance::{Record, Worker, until},
    kafka::Lag,
};

use crate::{
    bench::Bench,
    staff::{Log, Staff},
};

fn records(range: std::ops::Range<usize>) -> Vec<Record> {
    range.map(|n| Record::new(format!("{n}"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_stops_below_the_lowest_unfinished_message() {
    let bench = Bench::with_partitions(2).await;
    bench.publish_in_turn(records(0..80)).await;
    let mut worker = Worker::start(&bench).await;
    let mut held = worker.take(80).await;
    // Record 10 is offset 5 of partition 0.
    let stuck = held.iter().position(|delivery| delivery.message().payload == "10").unwrap();
    let stuck = held.remove(stuck);
    while !held.is_empty() {
        held.swap_remove(fastrand::usize(..held.len())).ack().await;
    }
    until("the other partition to be committed", async || bench.committed().await[1] == 40).await;
    assert_eq!(bench.committed().await, [5, 40]);
    stuck.ack().await;
    until("the rest to be committed", async || bench.committed().await == [40, 40]).await;
    worker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_loses_nothing_and_brings_nothing_twice() {
    let bench = Bench::with_partitions(2).await;
    bench.publish_in_turn(records(0..600)).await;
    let mut worker = Worker::start(&bench).await;
    let held = worker.take(100).await;
    // More than a second without permits: the partitions are paused, and what was prefetched is thrown away.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let mut seen: Vec<_> = held.iter().map(|d| d.message().payload.clone()).collect();
    for delivery in held {
        delivery.ack().await;
    }
    seen.extend(worker.finish(&bench).await);
    worker.stop().await.unwrap();
    assert_eq!(seen.len(), 600);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lag_tells_what_was_not_received_from_what_was_not_done() {
    let bench = Bench::with_partitions(1).await;
    bench.publish_in_turn(records(0..50)).await;
    let log = Log::default();
    let staff = Staff::start(&bench.config, 10, Duration::from_secs(3600), &log);
    until("the lag to be known", async || staff.ledger.lag().committed == 50).await;
    let Lag { committed, received } = staff.ledger.lag();
    assert_eq!((committed, received), (50, 39), "ten are out and one waits for a permit");
}
