use std::time::Duration;

use jiff::Timestamp;

use super::rig::{Rig, body};
use crate::{Attempt, DeadLetter, Settled};

const MOMENT: Duration = Duration::from_millis(100);

#[tokio::test(start_paused = true)]
async fn a_dropped_delivery_comes_again_later_and_later() {
    let mut rig = Rig::new(1);
    rig.publish(["a"]);
    let mut rests = Vec::new();
    let mut delivery = rig.next().await;
    for handed in 1..=4 {
        assert_eq!(delivery.handed(), handed);
        let dropped = tokio::time::Instant::now();
        drop(delivery);
        delivery = rig.next().await;
        rests.push(dropped.elapsed());
    }
    assert!(rests[0] >= MOMENT, "no hot loop: {rests:?}");
    assert!(rests.is_sorted_by(|a, b| a < b), "{rests:?}");
}

#[tokio::test(start_paused = true)]
async fn a_panicking_handler_drops_its_delivery() {
    let mut rig = Rig::new(1);
    rig.publish(["a"]);
    let delivery = rig.next().await;
    let handler = tokio::spawn(async move {
        let _held = delivery;
        panic!("a handler's bug");
    });
    assert!(handler.await.is_err());
    assert_eq!(rig.next().await.handed(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_ack_is_a_retry() {
    let mut rig = Rig::new(1);
    rig.publish(["a"]);
    let delivery = rig.next().await;
    rig.wires.settling_hangs.cancel();
    assert!(tokio::time::timeout(MOMENT, delivery.ack()).await.is_err());
    assert_eq!(rig.pool.held(), 1);
    assert_eq!(rig.next().await.handed(), 2);
    assert_eq!(rig.broker.unsettled(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_dead_letter_is_a_retry() {
    let mut rig = Rig::new(1);
    rig.publish(["a"]);
    let delivery = rig.next().await;
    rig.wires.settling_hangs.cancel();
    assert!(tokio::time::timeout(MOMENT, delivery.dead_letter(&letter())).await.is_err());
    assert_eq!(rig.next().await.handed(), 2);
    assert_eq!(rig.broker.unsettled(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_fails_gives_the_delivery_back() {
    let mut rig = Rig::new(1);
    rig.publish(["a"]);
    rig.broker.set_dead_letters_down(true);
    let Err((delivery, _)) = rig.next().await.dead_letter(&letter()).await else {
        panic!("the dead letters are down")
    };
    assert_eq!(rig.pool.held(), 1);
    rig.broker.set_dead_letters_down(false);
    let settled = delivery.dead_letter(&letter()).await.map_err(|(_, error)| error).unwrap();
    assert_eq!(settled, Settled::Durable);
    assert_eq!(rig.pool.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_was_asked_back_does_not_wait_for_its_time() {
    let mut rig = Rig::new(1);
    rig.publish(["a"]);
    rig.next().await.retry(Duration::from_secs(3600));
    rig.settle_down().await;
    rig.broker.revoke();
    let anew = rig.within(Duration::from_secs(1)).await.expect("it was handed back");
    assert_eq!((anew.handed(), anew.message().attempt), (2, Attempt::Exact(2)));
    assert!(!anew.lease().is_closing());
}

#[tokio::test(start_paused = true)]
async fn a_delivery_retried_after_it_was_asked_back_is_handed_back() {
    let mut rig = Rig::new(1);
    rig.publish(["a"]);
    let delivery = rig.next().await;
    rig.broker.revoke();
    delivery.retry(Duration::from_secs(3600));
    let anew = rig.within(Duration::from_secs(1)).await.expect("it was handed back");
    assert_eq!(anew.message().attempt, Attempt::Exact(2));
}

#[tokio::test(start_paused = true)]
async fn nothing_new_starts_under_a_closing_lease() {
    let mut rig = Rig::new(1);
    rig.publish(["a", "b"]);
    let a = rig.next().await;
    rig.settle_down().await;
    rig.broker.revoke();
    a.ack().await;
    let b = rig.next().await;
    assert_eq!(body(&b), b"b");
    assert!(!b.lease().is_closing());
    assert_eq!(b.message().attempt, Attempt::Exact(2), "handed back, and delivered anew");
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_permit_is_given_up_when_it_is_asked_back() {
    let mut rig = Rig::new(1);
    rig.publish(["a", "b"]);
    let _a = rig.next().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    rig.broker.revoke();
    let (mut elsewhere, _ledger) = rig.broker.connect();
    let taken = tokio::time::timeout(MOMENT, crate::Receiver::next(&mut elsewhere)).await;
    assert!(taken.is_ok(), "another worker can have it");
}

fn letter() -> DeadLetter {
    DeadLetter {
        reason: "failed".into(),
        error: String::new(),
        attempts: 1,
        first_failed: Timestamp::UNIX_EPOCH,
        last_failed: Timestamp::UNIX_EPOCH,
        failed: Vec::new(),
        worker: "worker".into(),
    }
}
