//! Members come and go, with work in flight.

use std::time::Duration;

use brokers::{
    Settled,
    conformance::{Record, Worker, until},
    kafka::Timing,
};

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
async fn members_that_crash_again_and_again_lose_nothing() {
    let bench = Bench::with_partitions(3).await;
    let (log, work) = (Log::default(), Duration::from_millis(10));
    let published = 5 * 60;
    for round in 0..5 {
        let staff = Staff::start(&bench.config, 10, work, &log);
        bench.publish_in_turn(records(round * 60..round * 60 + 60)).await;
        until("some to be in flight", async || staff.kept() > 20).await;
        staff.crash().await;
    }
    let last = Staff::start(&bench.config, 10, work, &log);
    until("all to be committed", async || bench.uncommitted().await == 0).await;
    last.stop().await;
    assert_eq!(log.bodies().len(), published);
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
    let timing = Timing { session: Duration::from_secs(60), ..Bench::TIMING };
    let first = Staff::start_with(&bench.config, timing, 10, Duration::ZERO, &log);
    bench.publish_in_turn(records(0..1)).await;
    log.has(1).await;
    first.stop().await;
    let second = Staff::start(&bench.config, 10, Duration::ZERO, &log);
    bench.publish_in_turn(records(1..2)).await;
    // A member that is missed instead of gone would hold the partition until its session ends.
    assert!(tokio::time::timeout(timing.session / 2, log.has(2)).await.is_ok());
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_finishes_while_a_partition_is_asked_back_is_committed_before_it_goes() {
    let bench = Bench::with_partitions(2).await;
    bench.publish_in_turn(records(0..16)).await;
    let mut worker = Worker::start(&bench).await;
    let held = worker.take(16).await;
    let _rival = bench.rival();
    let closing = held.iter().map(|delivery| Box::pin(delivery.lease().closing().cancelled()));
    futures::future::select_all(closing).await;
    let (closing, kept): (Vec<_>, Vec<_>) =
        held.into_iter().partition(|delivery| delivery.lease().is_closing());
    let partition = usize::try_from(closing[0].message().id.partition().unwrap()).unwrap();
    let lease = closing[0].lease().clone();
    for delivery in closing {
        delivery.ack().await;
    }
    lease.lost().cancelled().await;
    until("its last commit", async || bench.committed().await[partition] == 8).await;
    worker.crash(kept).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_of_an_older_assignment_settles_nothing_in_a_newer_one() {
    let bench = Bench::with_partitions(2).await;
    bench.publish_in_turn(records(0..2)).await;
    let mut worker = Worker::start(&bench).await;
    let held = worker.take(2).await;
    let rival = bench.rival();
    let lost = held.iter().map(|delivery| Box::pin(delivery.lease().lost().cancelled()));
    futures::future::select_all(lost).await;
    drop(rival);
    let again = worker.next().await;
    for delivery in held {
        let older = delivery.message().id == again.message().id;
        assert_eq!(delivery.ack().await == Settled::Fenced, older);
    }
    until("the other to be committed", async || bench.uncommitted().await == 1).await;
    again.ack().await;
    worker.stop().await.unwrap();
    assert_eq!(bench.uncommitted().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_made_anew_is_read_from_its_beginning() {
    let bench = Bench::with_partitions(1).await;
    bench.publish_in_turn(records(0..5)).await;
    let mut worker = Worker::start(&bench).await;
    let held = worker.take(5).await;
    bench.delete(bench.topic.clone()).await;
    until("the topic to be made", async || bench.try_create(bench.topic.clone(), 1).await).await;
    bench.publish_in_turn(vec![Record::new("new")]).await;
    let new = worker.next().await;
    assert_eq!(new.message().payload, "new");
    for delivery in held {
        assert_eq!(delivery.ack().await, Settled::Fenced);
    }
    new.ack().await;
    until("it to be committed", async || bench.committed().await == [1]).await;
    worker.stop().await.unwrap();
}
