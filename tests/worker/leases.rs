//! Deliveries that are taken away, or that a drain leaves behind.

use std::time::Duration;

use serde_json::json;

use super::{
    rig::{Rig, event, play, playbook, until},
    stage::Cue,
};

/// A response that waits in its first action, and has a second.
async fn waiting() -> Rig {
    let spec = json!({"actions": [play("first"), play("second")]});
    let rig = Rig::new(&[playbook("slow", spec)]).await;
    rig.stage.cue("first", [Cue::Wait]);
    rig
}

#[tokio::test]
async fn a_response_that_lost_all_members_stops_before_its_next_action_and_settles_nothing() {
    let rig = waiting().await;
    let subscription = rig.subscribe([event(json!({}))]);
    until("the first action runs", || rig.stage.played("first") == 1).await;
    // Nothing is to come again while this is looked at.
    subscription.stop();
    subscription.broker.lose();
    let broker = subscription.ended().await;
    rig.stage.raise_curtain();
    rig.is_idle().await;
    assert_eq!(rig.stage.played("second"), 0);
    assert_eq!(broker.unsettled(), 1);
    assert!(broker.dead_letters().is_empty());
    assert!(rig.audit.lines().is_empty());
}

#[tokio::test]
async fn a_response_that_lost_one_of_its_members_goes_on_for_the_others() {
    let rig = waiting().await;
    let same = event(json!({}));
    let lost = rig.subscribe([same.clone()]);
    until("the first action runs", || rig.stage.played("first") == 1).await;
    let other = rig.subscribe([same]);
    until("the other has joined", || rig.worker.members.held() == 1).await;
    lost.stop();
    lost.broker.lose();
    let lost = lost.ended().await;
    rig.stage.raise_curtain();
    other.is_settled().await;
    assert!(other.broker.dead_letters().is_empty());
    assert_eq!((rig.stage.played("first"), rig.stage.played("second")), (1, 1));
    assert_eq!(lost.unsettled(), 1, "what was lost is another's to settle");
}

#[tokio::test]
async fn a_drain_past_its_limit_hands_back_what_runs() {
    let rig = waiting().await;
    let subscription = rig.subscribe_for(Duration::from_millis(10), [event(json!({}))]);
    until("the first action runs", || rig.stage.played("first") == 1).await;
    let broker = subscription.ended().await;
    assert_eq!(broker.unsettled(), 1);
    rig.stage.raise_curtain();
    rig.is_idle().await;
    assert_eq!(rig.stage.played("second"), 0);
    assert!(rig.audit.lines().is_empty());
    // The next worker gets it.
    let (mut receiver, _ledger) = broker.connect();
    let next = brokers::Receiver::next(&mut receiver);
    assert!(tokio::time::timeout(Duration::from_secs(60), next).await.is_ok());
}
