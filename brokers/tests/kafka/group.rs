//! Members come and go, with work in flight.

use std::time::Duration;

use brokers::conformance::{Record, Worker, until};

use crate::{
    bench::Bench,
    staff::{Log, Staff},
};

fn records(range: std::ops::Range<usize>) -> Vec<Record> {
    range.map(|n| Record::new(format!("{n}"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_one_member_to_two_and_back_nothing_is_lost() {
    let bench = Bench::with_partitions(4).await;
    let (log, work) = (Log::default(), Duration::from_millis(20));
    let one = Staff::start(&bench.config, 20, work, &log);
    bench.publish_in_turn(records(0..400)).await;
    log.has(50).await;
    let second = Log::default();
    let two = Staff::start(&bench.config, 20, work, &second);
    let mut published = 400;
    while second.len() < 50 {
        bench.publish_in_turn(records(published..published + 100)).await;
        published += 100;
        log.has(published / 4).await;
    }
    two.stop().await;
    bench.publish_in_turn(records(published..published + 200)).await;
    until("all to be committed", async || bench.uncommitted().await == 0).await;
    one.stop().await;
    assert_eq!(log.bodies().union(&second.bodies()).count(), published + 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_come_and_go_again_and_again_lose_nothing() {
    let bench = Bench::with_partitions(3).await;
    let (log, work) = (Log::default(), Duration::from_millis(10));
    let stays = Staff::start(&bench.config, 10, work, &log);
    for round in 0..3 {
        let guest = Staff::start(&bench.config, 10, work, &log);
        bench.publish_in_turn(records(round * 100..round * 100 + 100)).await;
        log.has(round * 100 + 30).await;
        guest.stop().await;
    }
    until("all to be committed", async || bench.uncommitted().await == 0).await;
    stays.stop().await;
    assert_eq!(log.bodies().len(), 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_does_not_hold_up_a_rebalance() {
    let bench = Bench::with_partitions(2).await;
    bench.publish_in_turn(records(0..2)).await;
    let mut worker = Worker::start(&bench).await;
    for delivery in worker.take(2).await {
        delivery.retry(Duration::from_secs(3600));
    }
    let log = Log::default();
    let other = Staff::start(&bench.config, 10, Duration::ZERO, &log);
    log.has(1).await;
    other.stop().await;
    worker.crash(Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_stops_leaves_at_once() {
    let bench = Bench::with_partitions(1).await;
    let log = Log::default();
    let first = Staff::start(&bench.config, 10, Duration::ZERO, &log);
    bench.publish_in_turn(records(0..1)).await;
    log.has(1).await;
    first.stop().await;
    let second = Staff::start(&bench.config, 10, Duration::ZERO, &log);
    bench.publish_in_turn(records(1..2)).await;
    // A member that is missed instead of gone would hold the partition until its session ends.
    let limit = Bench::TIMING.session / 2;
    assert!(tokio::time::timeout(limit, log.has(2)).await.is_ok());
    second.stop().await;
}
