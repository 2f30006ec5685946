//! The dead letters as a tool sees them, and the topic's history: what is read, and what stays as it was.

use std::{collections::BTreeSet, time::Duration};

use brokers::{
    DeadLetter, History as _,
    conformance::{Record, Worker},
    dead_letter::{self, Buried, MAX_AGE, Queue},
    kafka,
};
use bytes::Bytes;
use jiff::Timestamp;

use crate::{
    bench::Bench,
    staff::{Log, Staff},
};

fn letter(failed: &[&str]) -> DeadLetter {
    DeadLetter {
        reason: "failed".into(),
        error: "no".into(),
        attempts: 5,
        first_failed: Timestamp::UNIX_EPOCH,
        last_failed: Timestamp::UNIX_EPOCH,
        failed: failed.iter().map(|&name| name.to_owned()).collect(),
        worker: "w".into(),
    }
}

/// Publishes these and gives them up, for `failed`.
async fn bury(bench: &Bench, records: Vec<Record>, failed: &[&str]) {
    let count = records.len();
    bench.publish_in_turn(records).await;
    let mut worker = Worker::start(bench).await;
    for delivery in worker.take(count).await {
        drop(delivery.dead_letter(&letter(failed)).await.map_err(|(_, error)| error).unwrap());
    }
    worker.stop().await.unwrap();
}

async fn letters(bench: &Bench) -> Vec<Buried> {
    let mut queue = kafka::dead_letters(&bench.config).await.unwrap();
    let mut all = Vec::new();
    while let Some(buried) = queue.next().await.unwrap() {
        all.push(buried);
    }
    all
}

fn bodies<'a>(letters: impl IntoIterator<Item = &'a Buried>) -> BTreeSet<&'a [u8]> {
    letters.into_iter().map(|buried| &buried.message.payload[..]).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_is_read_redriven_once_and_gone() {
    let bench = Bench::with_partitions(2).await;
    let headers = vec![("traceparent".to_owned(), Bytes::from_static(b"00-1"))];
    let first = Record { key: Some("key".into()), headers, ..Record::new("first") };
    bury(&bench, vec![first, Record::new("second")], &["isolate"]).await;
    let before = bench.committed().await;

    let all = letters(&bench).await;
    assert_eq!(bodies(&all), BTreeSet::from([&b"first"[..], b"second"]));
    let buried = all.iter().find(|buried| buried.message.payload == "first").unwrap();
    assert_eq!(
        (&buried.letter, buried.message.key.as_deref()),
        (&letter(&["isolate"]), Some(&b"key"[..]))
    );
    assert_eq!(
        buried.message.id.to_string(),
        format!("{}/0/0", bench.config.topic.as_deref().unwrap())
    );

    let mut queue = kafka::dead_letters(&bench.config).await.unwrap();
    queue.redrive(buried, &[(MAX_AGE.to_owned(), Bytes::from_static(b"7d"))]).await.unwrap();
    assert_eq!(bodies(&letters(&bench).await), BTreeSet::from([&b"second"[..]]));
    assert_eq!(bench.committed().await, before, "a tool commits nothing");

    let mut worker = Worker::start(&bench).await;
    let delivery = worker.next().await;
    let again = delivery.message();
    assert_eq!((&again.payload[..], again.key.as_deref()), (&b"first"[..], Some(&b"key"[..])));
    assert_eq!(dead_letter::meant_for(again), Some(vec!["isolate"]));
    assert_eq!(dead_letter::max_age(again), Some(Duration::from_secs(7 * 24 * 3600)));
    assert!(again.headers.contains(&("traceparent".to_owned(), Bytes::from_static(b"00-1"))));
    // It fails again: a new letter, which the old one's mark says nothing about.
    drop(delivery.dead_letter(&letter(&["isolate"])).await.map_err(|(_, error)| error).unwrap());
    worker.stop().await.unwrap();
    assert_eq!(bodies(&letters(&bench).await).len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_redriven_for_some_stays_for_the_others() {
    let bench = Bench::with_partitions(1).await;
    bury(&bench, vec![Record::new("a")], &["delete", "isolate"]).await;
    let left =
        async || letters(&bench).await.into_iter().map(|b| b.letter.failed).collect::<Vec<_>>();
    let mut queue = kafka::dead_letters(&bench.config).await.unwrap();
    let buried = queue.next().await.unwrap().unwrap();
    queue.redrive_for(&buried, &["isolate".to_owned()], &[]).await.unwrap();
    assert_eq!(left().await, [["delete"]]);
    assert!(queue.redrive_for(&buried, &["notify".to_owned()], &[]).await.is_err());
    let rest = letters(&bench).await.remove(0);
    queue.redrive(&rest, &[]).await.unwrap();
    assert!(left().await.is_empty());

    let mut worker = Worker::start(&bench).await;
    let mut meant = Vec::new();
    for delivery in worker.take(2).await {
        meant.push(dead_letter::meant_for(delivery.message()).unwrap().join(","));
        delivery.ack().await;
    }
    worker.stop().await.unwrap();
    meant.sort();
    assert_eq!(meant, ["delete", "isolate"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_that_is_dropped_is_gone_and_its_message_does_not_come() {
    let bench = Bench::with_partitions(1).await;
    bury(&bench, vec![Record::new("a"), Record::new("b")], &[]).await;
    let end = bench.ends().await;
    let mut queue = kafka::dead_letters(&bench.config).await.unwrap();
    let buried = queue.next().await.unwrap().unwrap();
    queue.remove(&buried).await.unwrap();
    // Interrupted and repeated, it is the same.
    queue.remove(&buried).await.unwrap();
    assert_eq!(letters(&bench).await.len(), 1);
    assert_eq!(bench.ends().await, end);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_in_pieces_is_put_together_and_redriven_whole() {
    let bench = Bench::with_partitions(1).await;
    bench.configure_dead_letters("max.message.bytes", "40000").await;
    let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(200_000).collect();
    let record = Record { key: Some("key".into()), ..Record::new(noise.clone()) };
    bury(&bench, vec![record], &["a"]).await;
    let all = letters(&bench).await;
    let [buried] = all.as_slice() else { panic!("{} letters", all.len()) };
    assert_eq!(buried.message.payload, noise);
    let mut queue = kafka::dead_letters(&bench.config).await.unwrap();
    queue.redrive(buried, &[]).await.unwrap();
    assert!(letters(&bench).await.is_empty());
    let mut worker = Worker::start(&bench).await;
    let delivery = worker.next().await;
    assert_eq!(delivery.message().payload, noise);
    assert_eq!(delivery.message().key.as_deref(), Some(&b"key"[..]));
    delivery.ack().await;
    worker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_place_for_them_nothing_is_listed_and_the_fix_is_named() {
    let bench = Bench::unmade_on_shared(1).await;
    let missing = kafka::dead_letters(&bench.config).await.unwrap_err();
    assert!(missing.to_string().contains("stoop setup"), "{missing}");
    let config = kafka::Config { dead_letters: None, ..bench.config.clone() };
    let unset = kafka::dead_letters(&config).await.unwrap_err();
    assert!(unset.to_string().contains("deadLetters"), "{unset}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_is_read_beside_a_group_that_goes_on() {
    let bench = Bench::with_partitions(3).await;
    let log = Log::default();
    let staff = Staff::start(&bench.config, 8, Duration::ZERO, &log);
    bench.publish_in_turn((0..30).map(|n| Record::new(format!("old {n}"))).collect()).await;
    log.has(30).await;
    let middle = Timestamp::now();
    // The broker's times have whole milliseconds.
    tokio::time::sleep(Duration::from_millis(5)).await;
    bench.publish_in_turn((0..12).map(|n| Record::new(format!("new {n}"))).collect()).await;

    let read = async |since: Timestamp| {
        let mut history = kafka::history(&bench.config, since).await.unwrap();
        let total = history.total();
        // What comes now was not there when it was opened.
        bench.publish_in_turn(vec![Record::new(format!("later than {since}"))]).await;
        let mut bodies = Vec::new();
        while let Some(message) = history.next().await.unwrap() {
            bodies.push(String::from_utf8(message.payload.to_vec()).unwrap());
        }
        (total, bodies)
    };
    let (total, young) = read(middle).await;
    assert_eq!((total, young.len()), (Some(12), 12));
    assert!(young.iter().all(|body| body.starts_with("new")), "{young:?}");
    let (total, all) = read(Timestamp::UNIX_EPOCH).await;
    assert_eq!((total, all.len()), (Some(43), 43));
    let future = Timestamp::now() + Duration::from_secs(3600);
    assert_eq!(read(future).await, (Some(0), vec![]));
    log.has(45).await;
    staff.stop().await;
    let (ends, committed) = (bench.ends().await, bench.committed().await);
    assert_eq!(ends, committed, "the group's own position, and nobody else's");
}
