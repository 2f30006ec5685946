//! An end in order: what runs finishes or is handed back, within its time.

use std::time::Duration;

use super::{Harness, Record, Worker};

/// What finishes in time is settled.
pub async fn a_stop_waits_for_what_runs<H: Harness>() {
    let bench = H::fresh().await;
    bench.publish(vec![Record::new("a"), Record::new("b")]).await;
    let mut worker = Worker::start(&bench).await;
    let [a, b] = worker.take(2).await.try_into().map_err(drop).expect("two deliveries");
    worker.ask_to_stop();
    a.ack().await;
    assert!(!worker.has_ended(), "one still runs");
    b.ack().await;
    worker.ended().await.expect("a clean end");
    assert_eq!(bench.unsettled().await, 0);
}

/// What doesn't is left unsettled, and the worker ends all the same.
pub async fn what_outlives_the_drain_comes_again<H: Harness>() {
    let bench = H::fresh().await;
    bench.publish(vec![Record::new("a"), Record::new("b")]).await;
    let mut worker = Worker::start_draining_for(&bench, Duration::from_millis(200)).await;
    let [a, b] = worker.take(2).await.try_into().map_err(drop).expect("two deliveries");
    b.ack().await;
    worker.stop().await.expect("a clean end");
    let left = a.message().payload.clone();
    drop(a);
    let mut next = Worker::start(&bench).await;
    assert!(next.finish(&bench).await.contains(&left));
    next.stop().await.expect("a clean end");
}

/// What arrives or is retried after the stop is for the next worker.
pub async fn nothing_new_starts_while_draining<H: Harness>() {
    let bench = H::fresh().await;
    bench.publish(vec![Record::new("a"), Record::new("b")]).await;
    let mut worker = Worker::start(&bench).await;
    let [a, b] = worker.take(2).await.try_into().map_err(drop).expect("two deliveries");
    worker.ask_to_stop();
    bench.publish(vec![Record::new("late")]).await;
    let retried = a.message().payload.clone();
    a.retry(Duration::ZERO);
    b.ack().await;
    worker.ended().await.expect("a clean end");
    let mut next = Worker::start(&bench).await;
    let seen = next.finish(&bench).await;
    assert!(seen.contains(&retried) && seen.iter().any(|body| body == "late"), "{seen:?}");
    next.stop().await.expect("a clean end");
}
