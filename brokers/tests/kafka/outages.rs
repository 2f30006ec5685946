//! A broker of one's own, killed or stopped in its tracks.

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

use brokers::{
    Health, Settled,
    conformance::{Record, Worker, until},
};
use testbed::kafka::Kafka;

use crate::{
    bench::Bench,
    staff::{Log, Staff},
};

fn unreachable(health: &Health) -> bool {
    matches!(health, Health::Unavailable(what) if what.contains("no Kafka broker"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_killed_with_work_in_flight_is_waited_for() {
    let mut kafka = Kafka::start().await.unwrap();
    let bench = Bench::on(kafka.bootstrap(), 2).await;
    bench.publish_in_turn((0..10).map(|n| Record::new(format!("{n}"))).collect()).await;
    let log = Log::default();
    let staff = Staff::start(&bench.config, 20, Duration::from_secs(2), &log);
    until("all to be in flight", async || staff.kept() == 10).await;
    kafka.kill();
    staff.is("it says so", unreachable).await;
    log.has(10).await;
    kafka.restart().await.unwrap();
    staff.is("back", |health| *health == Health::Connected).await;
    until("all to be committed", async || bench.uncommitted().await == 0).await;
    bench.publish_in_turn(vec![Record::new("after")]).await;
    log.has(11).await;
    staff.stop().await;
    assert_eq!(bench.uncommitted().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_while_the_broker_is_away_ends_in_time_and_says_what_it_could_not_commit() {
    let mut kafka = Kafka::start().await.unwrap();
    let bench = Bench::on(kafka.bootstrap(), 1).await;
    bench.publish_in_turn(vec![Record::new("a")]).await;
    let mut worker = Worker::start_draining_for(&bench, Duration::from_secs(3)).await;
    let delivery = worker.next().await;
    kafka.kill();
    delivery.ack().await;
    let error = worker.stop().await.unwrap_err();
    assert!(error.to_string().contains("come again"), "{error}");
    kafka.restart().await.unwrap();
    let mut next = Worker::start(&bench).await;
    assert_eq!(next.finish(&bench).await, ["a"]);
    next.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_away_at_the_start_is_waited_for() {
    let mut kafka = Kafka::start().await.unwrap();
    let bench = Bench::on(kafka.bootstrap(), 1).await;
    bench.publish_in_turn(vec![Record::new("a")]).await;
    kafka.kill();
    let log = Log::default();
    let staff = Staff::start(&bench.config, 10, Duration::ZERO, &log);
    staff.is("it says so", unreachable).await;
    kafka.restart().await.unwrap();
    log.has(1).await;
    staff.stop().await;
    assert_eq!(bench.uncommitted().await, 0);
}

/// As an unclean election or a power cut leaves it: the end of the log was never on the disk of who leads now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_whose_end_was_cut_off_loses_nothing_of_what_was_in_flight() {
    let folder = tempfile::tempdir().unwrap();
    let mut kafka = Kafka::start_in(folder.path()).await.unwrap();
    let mut bench = Bench::on(kafka.bootstrap(), 1).await;
    // The partition stays ours while the broker is away.
    bench.timing.session = Duration::from_secs(60);
    let records = |range: std::ops::Range<u8>| range.map(|n| Record::new(format!("{n}"))).collect();
    bench.publish_in_turn(records(0..7)).await;
    let log = log_of(&bench.topic, folder.path());
    let cut = log.metadata().unwrap().len();
    bench.publish_in_turn(records(7..10)).await;
    let mut worker = Worker::start(&bench).await;
    let mut held = worker.take(10).await;
    let stuck = held.remove(5);
    for delivery in held {
        delivery.ack().await;
    }
    until("what is complete to be committed", async || bench.committed().await == [5]).await;

    kafka.kill();
    File::options().write(true).open(&log).unwrap().set_len(cut).unwrap();
    kafka.restart().await.unwrap();
    bench.publish_in_turn(vec![Record::new("new")]).await;
    let again = worker.next().await;
    assert_eq!(again.message().payload, "5");
    assert_eq!(stuck.ack().await, Settled::Fenced);
    let rest = worker.take(2).await;
    assert_eq!(rest[0].message().payload, "6");
    assert_eq!(rest[1].message().payload, "new");
    for delivery in rest {
        delivery.ack().await;
    }
    assert_eq!(bench.committed().await, [5], "5 is worked on again");
    again.ack().await;
    until("all to be committed", async || bench.uncommitted().await == 0).await;
    worker.stop().await.unwrap();
}

/// The first segment of a topic's only partition.
fn log_of(topic: &str, folder: &Path) -> PathBuf {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap().map(Result::unwrap) {
            if entry.file_name() == format!("{topic}-0").as_str() {
                return entry.path().join("00000000000000000000.log");
            }
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            }
        }
    }
    panic!("no log of {topic}");
}

/// The group gives our partitions away when it doesn't hear of us; so we have to notice by ourselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_are_lost_when_the_group_is_not_heard_of_for_a_session() {
    let kafka = Kafka::start().await.unwrap();
    let bench = Bench::on(kafka.bootstrap(), 1).await;
    bench.publish_in_turn(vec![Record::new("a")]).await;
    let mut worker = Worker::start(&bench).await;
    let delivery = worker.next().await;
    kafka.pause().unwrap();
    delivery.lease().lost().cancelled().await;
    assert_eq!(delivery.ack().await, Settled::Fenced);
    kafka.resume().unwrap();
    let again = worker.next().await;
    assert_eq!(again.message().payload, "a");
    again.ack().await;
    until("it to be committed", async || bench.uncommitted().await == 0).await;
    worker.stop().await.unwrap();
}
