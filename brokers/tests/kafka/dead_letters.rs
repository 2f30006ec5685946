//! Dead letters that don't fit, or have no place.

use brokers::{
    DeadLetter, DeadLetterError, Ledger as _, Settled,
    conformance::{Harness as _, Record, Worker},
};
use jiff::Timestamp;

use crate::bench::Bench;

fn letter() -> DeadLetter {
    DeadLetter {
        reason: "failed".into(),
        error: "no".into(),
        attempts: 1,
        first_failed: Timestamp::UNIX_EPOCH,
        last_failed: Timestamp::UNIX_EPOCH,
        failed: Vec::new(),
        worker: "w".into(),
    }
}

async fn bury(bench: &Bench, record: Record) -> Result<Settled, DeadLetterError> {
    bench.publish_in_turn(vec![record]).await;
    let mut worker = Worker::start(bench).await;
    let settled = worker.next().await.dead_letter(&letter()).await;
    let settled = settled.map_err(|(delivery, error)| {
        drop(delivery);
        error
    });
    match settled.is_ok() {
        true => worker.stop().await.unwrap(),
        false => worker.crash(Vec::new()).await,
    }
    settled
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_too_large_for_its_topic_is_compressed() {
    let bench = Bench::with_partitions(1).await;
    bench.configure_dead_letters("max.message.bytes", "10000").await;
    let record = Record { key: Some("key".into()), ..Record::new(vec![b'x'; 500_000]) };
    assert_eq!(bury(&bench, record.clone()).await.unwrap(), Settled::Accepted);
    let dead = bench.read_dead_records().await;
    assert_eq!(dead.len(), 1);
    assert_eq!((&dead[0].payload, &dead[0].key), (&record.payload, &record.key));
    assert_eq!(dead[0].header("stoop-group"), Some(bench.config.group.as_str()));
    assert_eq!(dead[0].header("stoop-original-stream"), Some(bench.topic.as_str()));
    assert_eq!(dead[0].header("stoop-original-partition"), Some("0"));
    assert_eq!(dead[0].header("stoop-original-sequence"), Some("0"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_compression_does_not_help_is_written_in_pieces() {
    let bench = Bench::with_partitions(1).await;
    bench.configure_dead_letters("max.message.bytes", "40000").await;
    let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(300_000).collect();
    let record = Record { key: Some("key".into()), ..Record::new(noise) };
    assert_eq!(bury(&bench, record.clone()).await.unwrap(), Settled::Accepted);
    assert_eq!(bench.uncommitted().await, 0);
    let whole = bench.read_dead_letters().await;
    assert_eq!(whole.len(), 1);
    assert_eq!(whole[0].payload, record.payload);
    assert_eq!(whole[0].header("stoop-reason"), Some("failed"));
    assert_eq!(whole[0].header("stoop-original-key"), Some("key"));
    assert!(bench.read_dead_records().await.len() > 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_whose_very_headers_do_not_fit_is_refused_and_stays() {
    let bench = Bench::with_partitions(1).await;
    bench.configure_dead_letters("max.message.bytes", "1000").await;
    let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(4000).collect();
    let record = Record { headers: vec![("large".into(), noise.into())], ..Record::new("body") };
    let refused = bury(&bench, record).await.unwrap_err();
    assert!(matches!(refused, DeadLetterError::Refused(_)), "{refused}");
    assert_eq!(bench.uncommitted().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_topic_for_them_they_are_refused() {
    let mut bench = Bench::with_partitions(1).await;
    bench.config.dead_letters = None;
    let (receiver, ledger) = bench.connect().await;
    assert!(!ledger.capabilities().dead_letters);
    drop((receiver, ledger));
    let refused = bury(&bench, Record::new("a")).await.unwrap_err();
    assert!(matches!(refused, DeadLetterError::Refused(_)), "{refused}");
    assert_eq!(bench.uncommitted().await, 1);
}
