use std::time::Duration;

use super::rig::{Rig, body};
use crate::{Settled, contract::Receiver};

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_what_runs_and_then_closes_the_ledger() {
    let mut rig = Rig::new(2);
    rig.publish(["a"]);
    let a = rig.next().await;
    rig.stop.cancel();
    tokio::time::sleep(Duration::from_secs(19)).await;
    assert!(!rig.task.is_finished());
    assert!(!rig.wires.closed.is_cancelled());
    assert_eq!(a.ack().await, Settled::Durable);
    rig.task.await.unwrap().unwrap();
    assert!(rig.wires.closed.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_at_its_limit_and_leaves_the_rest_unsettled() {
    let mut rig = Rig::new(2);
    rig.publish(["a"]);
    let a = rig.next().await;
    rig.stop.cancel();
    let limit = tokio::time::timeout(Duration::from_secs(21), rig.task);
    limit.await.expect("an end").unwrap().unwrap();
    assert_eq!(a.ack().await, Settled::Fenced);
    assert_eq!(rig.broker.unsettled(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stop_takes_nothing_new_in_and_gives_back_what_waits_or_rests() {
    let mut rig = Rig::new(2);
    rig.publish(["running", "resting", "waiting"]);
    let running = rig.next().await;
    rig.next().await.retry(Duration::from_secs(3600));
    rig.settle_down().await;
    rig.stop.cancel();
    rig.publish(["late"]);
    assert!(rig.within(Duration::from_secs(1)).await.is_none());

    let (mut elsewhere, _ledger) = rig.broker.connect();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let next = tokio::time::timeout(Duration::from_secs(1), elsewhere.next()).await;
        let (record, ..) = next.expect("it was given back").unwrap();
        seen.push(crate::Borrowed::detach(record).payload);
    }
    seen.sort();
    assert_eq!(seen, ["late", "resting", "waiting"]);
    running.ack().await;
    rig.task.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_retry_while_draining_gives_the_message_back() {
    let mut rig = Rig::new(2);
    rig.publish(["a", "b"]);
    let (a, b) = (rig.next().await, rig.next().await);
    rig.stop.cancel();
    rig.settle_down().await;
    a.retry(Duration::ZERO);
    assert!(rig.within(Duration::from_secs(1)).await.is_none());
    b.ack().await;
    rig.task.await.unwrap().unwrap();
    assert_eq!(rig.broker.unsettled(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_meets_the_stop_is_given_back() {
    let mut rig = Rig::new(2);
    rig.publish(["a", "b"]);
    let (a, _b) = (rig.next().await, rig.next().await);
    a.retry(Duration::ZERO);
    rig.stop.cancel();
    let (mut elsewhere, _ledger) = rig.broker.connect();
    let next = tokio::time::timeout(Duration::from_secs(1), elsewhere.next()).await;
    assert!(next.is_ok(), "it doesn't wait for the drain's end");
}

#[tokio::test(start_paused = true)]
async fn a_failed_receiver_ends_the_pump_with_its_error() {
    let mut rig = Rig::new(2);
    rig.publish(["a"]);
    let a = rig.next().await;
    assert_eq!(body(&a), b"a");
    rig.wires.receiving_fails.cancel();
    let error = rig.task.await.unwrap().unwrap_err();
    assert!(!error.is_configuration());
    assert!(rig.wires.closed.is_cancelled());
    assert_eq!(rig.broker.unsettled(), 1);
}
