use std::{sync::atomic::Ordering, time::Duration};

use super::rig::{Rig, body};
use crate::{Demand, pool::Pool};

const MOMENT: Duration = Duration::from_millis(100);

#[tokio::test(start_paused = true)]
async fn what_the_filter_skips_is_settled_and_never_handed_over() {
    let mut rig = Rig::new(1);
    rig.publish(["skip 1", "keep", "skip 2"]);
    let kept = rig.next().await;
    assert_eq!(body(&kept), b"keep");
    assert!(rig.within(MOMENT).await.is_none());
    assert_eq!(rig.passed.skipped.load(Ordering::Relaxed), 2);
    assert_eq!(rig.broker.unsettled(), 1);
}

#[tokio::test(start_paused = true)]
async fn skipping_needs_no_permit() {
    let mut rig = Rig::new(1);
    rig.publish(["keep", "skip 1", "skip 2"]);
    let _kept = rig.next().await;
    rig.settle_down().await;
    assert_eq!(rig.broker.unsettled(), 1);
}

#[tokio::test(start_paused = true)]
async fn permits_bound_what_is_out() {
    let mut rig = Rig::new(2);
    rig.publish(["a", "b", "c"]);
    let (a, _b) = (rig.next().await, rig.next().await);
    assert!(rig.within(Duration::from_secs(60)).await.is_none());
    a.ack().await;
    assert_eq!(body(&rig.next().await), b"c");
}

#[tokio::test(start_paused = true)]
async fn a_permit_is_held_through_a_retry() {
    let mut rig = Rig::new(1);
    rig.publish(["a", "b"]);
    rig.next().await.retry(Duration::from_secs(60));
    assert!(rig.within(Duration::from_secs(59)).await.is_none());
    assert_eq!(rig.pool.held(), 1);
    let again = rig.next().await;
    assert_eq!(body(&again), b"a");
    again.ack().await;
    assert_eq!(body(&rig.next().await), b"b");
}

#[tokio::test(start_paused = true)]
async fn settling_gives_the_permit_back() {
    let mut rig = Rig::new(1);
    rig.publish(["a"]);
    rig.next().await.ack().await;
    assert_eq!(rig.pool.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_second_without_permits_pauses_and_half_of_them_resumes() {
    let mut rig = Rig::new(4);
    rig.publish(["a", "b", "c", "d", "e"]);
    let mut out = Vec::new();
    for _ in 0..4 {
        out.push(rig.next().await);
    }
    assert!(rig.within(Duration::from_millis(900)).await.is_none());
    assert_eq!(rig.demand(), Demand::Flow);
    assert!(rig.within(Duration::from_millis(200)).await.is_none());
    assert_eq!(rig.demand(), Demand::Pause);

    out.remove(0).ack().await;
    out.push(rig.within(MOMENT).await.expect("the one that waited"));
    assert_eq!(rig.demand(), Demand::Pause);
    out.remove(0).ack().await;
    assert!(rig.within(MOMENT).await.is_none());
    assert_eq!(rig.demand(), Demand::Pause, "a quarter is free");
    out.remove(0).ack().await;
    assert!(rig.within(MOMENT).await.is_none());
    assert_eq!(rig.demand(), Demand::Flow, "half is free");
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_stays_free_resumes_though_the_others_are_out_for_hours() {
    let mut rig = Rig::new(4);
    rig.publish(["a", "b", "c", "d", "e"]);
    let mut out = Vec::new();
    for _ in 0..4 {
        out.push(rig.next().await);
    }
    assert!(rig.within(Duration::from_millis(1100)).await.is_none());
    assert_eq!(rig.demand(), Demand::Pause);
    out.remove(0).ack().await;
    out.push(rig.next().await);
    out.remove(0).ack().await;
    rig.publish(["f"]);
    assert!(rig.within(MOMENT).await.is_none());
    let f = rig.within(Duration::from_millis(300)).await.expect("three are out and one is free");
    assert_eq!(body(&f), b"f");
}

#[tokio::test(start_paused = true)]
async fn a_large_message_keeps_its_place_before_small_ones_that_come_later() {
    const HALF: usize = 600;
    let wide = Pool::new(10, 2 * 768);
    let mut rig = Rig::on(wide.clone());
    let (first, second) = (wide.acquire(HALF).await, wide.acquire(HALF).await);
    rig.broker.publish(vec![b'a'; 5 * HALF].into(), None, Vec::new());
    rig.settle_down().await;
    let later = tokio::spawn(async move { wide.acquire(HALF).await });
    // Time to pause, and for many turns of the loop.
    assert!(rig.within(Duration::from_secs(5)).await.is_none());
    drop(first);
    rig.settle_down().await;
    assert!(!later.is_finished(), "it would be let past");
    drop(second);
    let large = rig.within(MOMENT).await.expect("the pool is empty");
    large.ack().await;
    later.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_permit_now_and_then_is_enough_to_keep_flowing() {
    let mut rig = Rig::new(1);
    rig.publish(["a", "b", "c", "d", "e", "f"]);
    for _ in 0..6 {
        let delivery = rig.next().await;
        tokio::time::sleep(Duration::from_millis(900)).await;
        assert_eq!(rig.demand(), Demand::Flow);
        delivery.ack().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_hold_takes_nothing_in_and_lets_retries_go_on() {
    let mut rig = Rig::new(2);
    rig.publish(["a"]);
    let a = rig.next().await;
    rig.hold.send_replace(true);
    rig.settle_down().await;
    assert_eq!(rig.demand(), Demand::Pause);
    rig.publish(["b"]);
    a.retry(Duration::ZERO);
    let a = rig.next().await;
    assert_eq!(body(&a), b"a");
    assert!(rig.within(Duration::from_secs(60)).await.is_none());
    rig.hold.send_replace(false);
    assert_eq!(body(&rig.next().await), b"b");
    assert_eq!(rig.demand(), Demand::Flow);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_permit_is_not_handed_over_while_held() {
    let mut rig = Rig::new(1);
    rig.publish(["a", "b"]);
    let a = rig.next().await;
    rig.settle_down().await;
    rig.hold.send_replace(true);
    rig.settle_down().await;
    a.ack().await;
    assert!(rig.within(Duration::from_secs(60)).await.is_none());
    rig.hold.send_replace(false);
    assert_eq!(body(&rig.next().await), b"b");
}

#[tokio::test(start_paused = true)]
async fn what_was_on_its_way_when_a_hold_began_waits() {
    let mut rig = Rig::new(4);
    rig.wires.pauses_late.cancel();
    rig.hold.send_replace(true);
    rig.settle_down().await;
    rig.publish(["a", "skip", "b"]);
    assert!(rig.within(Duration::from_secs(60)).await.is_none());
    assert_eq!(rig.broker.unsettled(), 2);
    rig.hold.send_replace(false);
    assert_eq!(body(&rig.next().await), b"a");
    assert_eq!(body(&rig.next().await), b"b");
}
