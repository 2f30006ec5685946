//! Dead letters that have no place, and dead letters as a tool sees them.

use async_nats::jetstream::stream;
use brokers::{
    DeadLetter, DeadLetterError, Settled,
    conformance::{Record, Worker},
    dead_letter::{Buried, Queue as _, meant_for},
    nats::{self, Queue},
};
use bytes::Bytes;
use jiff::Timestamp;

use crate::bench::Bench;

fn letter(failed: &[&str]) -> DeadLetter {
    DeadLetter {
        reason: "failed".into(),
        error: "no".into(),
        attempts: 1,
        first_failed: Timestamp::UNIX_EPOCH,
        last_failed: Timestamp::UNIX_EPOCH,
        failed: failed.iter().map(|name| (*name).to_owned()).collect(),
        worker: "w".into(),
    }
}

async fn bury(bench: &Bench, records: Vec<Record>, failed: &[&str]) {
    let count = records.len();
    bench.publish_all(records).await;
    let mut worker = Worker::start(bench).await;
    for delivery in worker.take(count).await {
        let settled = delivery.dead_letter(&letter(failed)).await.map_err(|(_, error)| error);
        assert_eq!(settled.unwrap(), Settled::Durable);
    }
    worker.stop().await.unwrap();
    assert_eq!(bench.left().await, 0);
}

async fn all(queue: &mut Queue) -> Vec<Buried> {
    let mut all = Vec::new();
    while let Some(buried) = queue.next().await.unwrap() {
        all.push(buried);
    }
    all
}

fn record(body: &'static str) -> Record {
    let header = |name: &str, value: &'static str| (name.to_owned(), Bytes::from(value));
    let headers = vec![header("traceparent", "00-1"), header("Nats-Msg-Id", body)];
    Record { headers, ..Record::new(body) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_stream_of_dead_letters_settles_nothing() {
    let bench = Bench::unmade_on_shared().await;
    bench.create_stream().await;
    bench.create_consumer().await;
    let full = stream::Config {
        max_messages: 1,
        discard: stream::DiscardPolicy::New,
        ..stream::Config::default()
    };
    bench.create_dead_letters_as(full).await;
    bury(&bench, vec![Record::new("first")], &[]).await;
    bench.publish_bodies(["second"]).await;
    let mut worker = Worker::start(&bench).await;
    let Err((delivery, error)) = worker.next().await.dead_letter(&letter(&[])).await else {
        panic!("it is full")
    };
    assert!(matches!(error, DeadLetterError::Unavailable(_)));
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(why.contains("is full: raise its limits"), "{why}");
    assert_eq!(bench.left().await, 1);
    assert_eq!(delivery.ack().await, Settled::Durable);
    worker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_larger_than_its_stream_takes_is_refused() {
    let bench = Bench::unmade_on_shared().await;
    bench.create_stream().await;
    bench.create_consumer().await;
    let small = stream::Config { max_message_size: 1000, ..stream::Config::default() };
    bench.create_dead_letters_as(small).await;
    bench.publish_bodies(["x".repeat(5000)]).await;
    let mut worker = Worker::start(&bench).await;
    let Err((delivery, error)) = worker.next().await.dead_letter(&letter(&[])).await else {
        panic!("it is too large")
    };
    assert!(matches!(error, DeadLetterError::Refused(_)), "{error:?}");
    delivery.ack().await;
    worker.stop().await.unwrap();
}

/// The largest body that the server takes leaves no room for headers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_as_large_as_the_server_takes_is_kept_whole() {
    let bench = Bench::on_shared().await;
    let body = "x".repeat(bench.context.client().max_payload());
    bury(&bench, vec![Record::new(body.clone())], &["delete"]).await;
    let mut queue = nats::dead_letters(&bench.config).await.unwrap();
    let buried = all(&mut queue).await.remove(0);
    assert!(buried.message.payload == body, "byte for byte");
    let Err(error) = queue.redrive(&buried, &[]).await else {
        panic!("with a header more it is larger than the server takes")
    };
    assert!(error.to_string().contains("publishing to"), "{error}");
    assert_eq!(bench.kept(bench.dead_stream()).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_says_where_it_was_and_is_published_there_again() {
    let bench = Bench::on_shared().await;
    bury(&bench, vec![record("a"), record("b")], &["isolate", "delete"]).await;
    let mut queue = nats::dead_letters(&bench.config).await.unwrap();
    let buried = all(&mut queue).await;
    let bodies: Vec<_> = buried.iter().map(|buried| &buried.message.payload[..]).collect();
    assert_eq!(bodies, [b"a", b"b"]);
    assert_eq!(buried[0].letter.failed, ["isolate", "delete"]);
    assert_eq!(buried[0].message.id.sequence(), 1);

    let more = [("stoop-max-age".to_owned(), Bytes::from_static(b"7d"))];
    queue.redrive(&buried[0], &more).await.unwrap();
    queue.remove(&buried[1]).await.unwrap();
    queue.remove(&buried[1]).await.expect("gone already is gone");
    assert!(queue.redrive(&buried[0], &more).await.is_err(), "it is not there any more");
    assert_eq!(bench.kept(bench.dead_stream()).await, 0);

    let mut worker = Worker::start(&bench).await;
    let again = worker.next().await;
    assert_eq!(again.message().payload, "a", "the publisher's own id does not make it a duplicate");
    assert_eq!(meant_for(again.message()), Some(vec!["isolate", "delete"]));
    let has = |name: &str| again.message().headers.iter().any(|(n, _)| n == name);
    assert!(has("traceparent") && has("stoop-max-age"));
    again.ack().await;
    worker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redriven_for_some_it_stays_for_the_others() {
    let bench = Bench::on_shared().await;
    bury(&bench, vec![record("a")], &["isolate", "delete"]).await;
    let mut queue = nats::dead_letters(&bench.config).await.unwrap();
    let buried = all(&mut queue).await.remove(0);
    queue.redrive_for(&buried, &["delete".to_owned()], &[]).await.unwrap();
    let mut queue = nats::dead_letters(&bench.config).await.unwrap();
    let left = all(&mut queue).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].letter.failed, ["isolate"]);
    assert_eq!(left[0].message.id, buried.message.id);
    let mut worker = Worker::start(&bench).await;
    let again = worker.next().await;
    assert_eq!(meant_for(again.message()), Some(vec!["delete"]));
    again.ack().await;
    worker.stop().await.unwrap();
}

/// As an interrupted redrive leaves it: published, and still here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redrive_that_is_repeated_publishes_once() {
    let bench = Bench::on_shared().await;
    bury(&bench, vec![record("a")], &["delete"]).await;
    let mut queue = nats::dead_letters(&bench.config).await.unwrap();
    let buried = all(&mut queue).await.remove(0);
    let dead = bench.context.get_stream(bench.dead_stream()).await.unwrap();
    let sealed = stream::Config { deny_delete: true, ..dead.cached_info().config.clone() };
    bench.context.update_stream(sealed).await.unwrap();
    assert!(queue.redrive(&buried, &[]).await.is_err(), "it can't be taken out");
    assert!(queue.redrive(&buried, &[]).await.is_err());
    assert_eq!(bench.left().await, 1);
}
