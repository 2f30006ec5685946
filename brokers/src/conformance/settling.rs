//! Delivered until settled, and settled once.

use std::{sync::atomic::Ordering, time::Duration};

use bytes::Bytes;

use crate::{
    contract::{Attempts, Ledger, Settled},
    message::Attempt,
};

use super::{Harness, Record, Worker, until};

/// Body, key and headers arrive byte for byte, whatever they are.
pub async fn a_message_arrives_as_it_was_published<H: Harness>() {
    let bench = H::fresh().await;
    let headers = vec![
        ("traceparent".to_owned(), Bytes::from_static(b"00-1")),
        ("twice".to_owned(), Bytes::from_static(b"a")),
        ("twice".to_owned(), Bytes::from_static(b"\xff\0b")),
    ];
    let bodies: [Bytes; 3] = [
        Bytes::from_static(b"\xff\xfe\0 not text"),
        Bytes::new(),
        Bytes::from(vec![b'x'; 200_000]),
    ];
    let published = bodies.map(|payload| Record {
        payload,
        key: Some(Bytes::from_static(b"key")),
        headers: headers.clone(),
    });
    bench.publish(published.to_vec()).await;
    let mut worker = Worker::start(&bench).await;
    let mut expected = published.to_vec();
    for delivery in worker.take(published.len()).await {
        let message = delivery.message();
        let place = expected.iter().position(|record| record.payload == message.payload);
        let record = expected.remove(place.expect("a body that was published"));
        if H::KEEPS_KEY_AND_HEADERS {
            assert_eq!(message.key, record.key);
            assert_eq!(message.headers, record.headers);
        }
        delivery.ack().await;
    }
    worker.stop().await.expect("a clean end");
}

/// A panic or a shutdown drops a delivery; that is a retry, of the same message.
pub async fn a_dropped_delivery_comes_again<H: Harness>() {
    let bench = H::fresh().await;
    bench.publish(vec![Record::new("a")]).await;
    let mut worker = Worker::start(&bench).await;
    let first = worker.next().await;
    let id = first.message().id.clone();
    drop(first);
    let second = worker.next().await;
    assert_eq!(second.message().id, id);
    assert_eq!(second.message().payload, "a");
    assert_eq!(second.handed(), 2);
    assert_eq!(worker.held(), 1, "a retry keeps its permit");
    second.ack().await;
    worker.stop().await.expect("a clean end");
    assert_eq!(bench.unsettled().await, 0);
}

/// What waits for its retry holds up nothing else.
pub async fn a_retried_delivery_comes_again_after_its_delay<H: Harness>() {
    let bench = H::fresh().await;
    bench.publish(vec![Record::new("a")]).await;
    let mut worker = Worker::start(&bench).await;
    worker.next().await.retry(Duration::from_secs(2));
    bench.publish(vec![Record::new("b")]).await;
    let other = worker.next().await;
    assert_eq!(other.message().payload, "b");
    let again = worker.next().await;
    assert_eq!(again.message().payload, "a");
    other.ack().await;
    again.ack().await;
    worker.stop().await.expect("a clean end");
    assert_eq!(bench.unsettled().await, 0);
}

/// Not to this worker, and not to the next.
pub async fn an_acked_message_never_comes_again<H: Harness>() {
    let bench = H::fresh().await;
    bench.publish(vec![Record::new("a")]).await;
    let mut worker = Worker::start(&bench).await;
    let settled = worker.next().await.ack().await;
    assert!(matches!(settled, Settled::Durable | Settled::Accepted), "{settled:?}");
    worker.stop().await.expect("a clean end");
    assert_eq!(bench.unsettled().await, 0);
    let mut next = Worker::start(&bench).await;
    bench.publish(vec![Record::new("b")]).await;
    let delivery = next.next().await;
    assert_eq!(delivery.message().payload, "b");
    delivery.ack().await;
    next.stop().await.expect("a clean end");
}

/// A kill loses nothing that wasn't settled.
pub async fn what_was_held_at_a_crash_comes_again<H: Harness>() {
    let bench = H::fresh().await;
    bench.publish((0..5).map(|n| Record::new(format!("{n}"))).collect()).await;
    let mut worker = Worker::start(&bench).await;
    let held = worker.take(5).await;
    worker.crash(held).await;
    let mut next = Worker::start(&bench).await;
    let mut seen = next.finish(&bench).await;
    seen.sort();
    assert_eq!(seen, ["0", "1", "2", "3", "4"]);
    next.stop().await.expect("a clean end");
}

/// The acks of later messages never carry an unsettled one along, not even through a crash.
pub async fn a_failed_message_is_never_passed_over<H: Harness>() {
    let bench = H::fresh().await;
    bench.publish(["first", "failed", "b", "c"].map(Record::new).to_vec()).await;
    let mut worker = Worker::start(&bench).await;
    let mut held = worker.take(4).await;
    let mut named = |name: &str| {
        let place = held.iter().position(|d| d.message().payload == name);
        held.remove(place.expect("each was delivered"))
    };
    let (first, failed) = (named("first"), named("failed"));
    for later in [named("b"), named("c")] {
        later.ack().await;
    }
    // Acked last, so once it is durable the other two have been looked at as well.
    first.ack().await;
    until("the first ack to be durable", async || bench.unsettled().await <= 3).await;
    worker.crash(vec![failed]).await;
    let mut next = Worker::start(&bench).await;
    let seen = next.finish(&bench).await;
    assert!(seen.contains(&Bytes::from_static(b"failed")), "{seen:?}");
    assert!(!seen.contains(&Bytes::from_static(b"first")), "{seen:?}");
    next.stop().await.expect("a clean end");
}

/// The last first: each settles its own.
pub async fn messages_complete_in_any_order<H: Harness>() {
    let bench = H::fresh().await;
    bench.publish((0..40).map(|n| Record::new(format!("{n}"))).collect()).await;
    let mut worker = Worker::start(&bench).await;
    let mut held = worker.take(40).await;
    let mut odd = false;
    while let Some(delivery) =
        if odd { held.pop() } else { (!held.is_empty()).then(|| held.remove(0)) }
    {
        delivery.ack().await;
        odd = !odd;
    }
    worker.stop().await.expect("a clean end");
    assert_eq!(bench.unsettled().await, 0);
}

/// What the filter refuses is done with, and nobody is asked.
pub async fn skipping_settles<H: Harness>() {
    let bench = H::fresh().await;
    let records = (0..50).map(|n| Record::new(if n == 25 { "keep" } else { "skip" })).collect();
    bench.publish(records).await;
    let mut worker = Worker::start(&bench).await;
    let kept = worker.next().await;
    assert_eq!(kept.message().payload, "keep");
    kept.ack().await;
    until("all to be settled", async || bench.unsettled().await == 0).await;
    assert_eq!(worker.passed().skipped.load(Ordering::Relaxed), 49);
    assert_eq!(worker.passed().kept.load(Ordering::Relaxed), 1);
    worker.stop().await.expect("a clean end");
}

/// A count that is promised is kept; one that isn't is not pretended.
pub async fn attempts_are_counted_as_declared<H: Harness>() {
    let bench = H::fresh().await;
    bench.publish(vec![Record::new("a")]).await;
    let (receiver, ledger) = bench.connect().await;
    let declared = ledger.capabilities().attempts;
    drop((receiver, ledger));
    let mut attempts = Vec::new();
    for _ in 0..2 {
        let mut worker = Worker::start(&bench).await;
        let delivery = worker.next().await;
        attempts.push(delivery.message().attempt);
        worker.crash(vec![delivery]).await;
    }
    match declared {
        Attempts::Exact => assert_eq!(attempts, [Attempt::Exact(1), Attempt::Exact(2)]),
        Attempts::Hint => {
            assert!(attempts.iter().all(|a| matches!(a, Attempt::Begun(_) | Attempt::Hint(_))))
        }
        Attempts::Unknown => assert_eq!(attempts, [Attempt::Unknown, Attempt::Unknown]),
    }
}
