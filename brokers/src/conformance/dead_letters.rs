//! Durable first, settled after.

use bytes::Bytes;
use jiff::Timestamp;

use crate::{
    contract::{Ledger, Settled},
    dead_letter::{DeadLetter, DeadLetterError},
};

use super::{Harness, Record, Worker};

fn letter() -> DeadLetter {
    DeadLetter {
        reason: "failed".into(),
        error: "the pod's finalizer never ends".into(),
        attempts: 5,
        first_failed: Timestamp::UNIX_EPOCH,
        last_failed: Timestamp::from_second(60).expect("a time"),
        failed: vec!["isolate".into(), "delete".into()],
        worker: "worker-1".into(),
    }
}

async fn has_dead_letters<H: Harness>(bench: &H) -> bool {
    let (_receiver, ledger) = bench.connect().await;
    ledger.capabilities().dead_letters
}

/// A person, or a redrive, finds all there is to know in it.
pub async fn a_dead_letter_carries_the_message_and_the_reason<H: Harness>() {
    let bench = H::fresh().await;
    if !has_dead_letters(&bench).await {
        return;
    }
    let original = Record {
        payload: Bytes::from_static(b"\xff not json"),
        key: Some(Bytes::from_static(b"key")),
        headers: vec![("traceparent".to_owned(), Bytes::from_static(b"00-1"))],
    };
    bench.publish(vec![original.clone()]).await;
    let mut worker = Worker::start(&bench).await;
    let delivery = worker.next().await;
    let id = delivery.message().id.to_string();
    let settled = delivery.dead_letter(&letter()).await.map_err(|(_, error)| error);
    assert!(matches!(settled, Ok(Settled::Durable | Settled::Accepted)), "{settled:?}");
    worker.stop().await.expect("a clean end");
    assert_eq!(bench.unsettled().await, 0);
    let dead = bench.dead_letters().await;
    let [dead] = dead.as_slice() else { panic!("one dead letter, not {dead:?}") };
    assert_eq!(dead.payload, original.payload);
    if H::KEEPS_KEY_AND_HEADERS {
        assert_eq!(dead.key, original.key);
        assert_eq!(dead.header("traceparent"), Some("00-1"));
    }
    for (name, value) in [
        ("stoop-message-id", id.as_str()),
        ("stoop-reason", "failed"),
        ("stoop-error", "the pod's finalizer never ends"),
        ("stoop-attempts", "5"),
        ("stoop-first-failed", "1970-01-01T00:00:00Z"),
        ("stoop-last-failed", "1970-01-01T00:01:00Z"),
        ("stoop-failed", "isolate,delete"),
        ("stoop-worker", "worker-1"),
    ] {
        assert_eq!(dead.header(name), Some(value), "{name}");
    }
}

/// While the dead letters can't be written the message stays with its handler, and survives a crash.
pub async fn no_dead_letter_means_no_ack<H: Harness>() {
    let bench = H::fresh().await;
    if !has_dead_letters(&bench).await {
        return;
    }
    bench.publish(vec![Record::new("a"), Record::new("b")]).await;
    let mut worker = Worker::start(&bench).await;
    let held = worker.take(2).await;
    bench.set_dead_letters_down(true).await;
    let mut kept = Vec::new();
    for delivery in held {
        match delivery.dead_letter(&letter()).await {
            Err((delivery, DeadLetterError::Unavailable(_))) => kept.push(delivery),
            Err((_, refused)) => panic!("an outage is no refusal: {refused}"),
            Ok(settled) => panic!("{settled:?} without a dead letter"),
        }
    }
    worker.crash(kept).await;
    assert_eq!(bench.unsettled().await, 2);
    bench.set_dead_letters_down(false).await;
    let mut next = Worker::start(&bench).await;
    for delivery in next.take(2).await {
        let settled = delivery.dead_letter(&letter()).await.map_err(|(_, error)| error);
        assert!(matches!(settled, Ok(Settled::Durable | Settled::Accepted)), "{settled:?}");
    }
    next.stop().await.expect("a clean end");
    assert_eq!(bench.unsettled().await, 0);
    assert_eq!(bench.dead_letters().await.len(), 2);
}

/// Without a place for them it says so, and settles nothing.
pub async fn a_broker_without_dead_letters_refuses_them<H: Harness>() {
    let bench = H::fresh().await;
    if has_dead_letters(&bench).await {
        return;
    }
    bench.publish(vec![Record::new("a")]).await;
    let mut worker = Worker::start(&bench).await;
    match worker.next().await.dead_letter(&letter()).await {
        Err((delivery, DeadLetterError::Refused(_))) => worker.crash(vec![delivery]).await,
        Err((_, error)) => panic!("trying again is no use: {error}"),
        Ok(settled) => panic!("{settled:?} without a place for dead letters"),
    }
    assert_eq!(bench.unsettled().await, 1);
}
