//! Events about one pod that arrive together, or soon after.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{
    rig::{Rig, delete, play_on_pod, playbook, until},
    stage::Cue,
};

#[tokio::test]
async fn fifty_events_about_one_pod_make_one_delete_and_are_all_acknowledged() {
    let spec = json!({"actions": [play_on_pod("gate"), delete()]});
    let rig = Rig::new(&[playbook("burst", spec)]).await;
    rig.create_pod();
    rig.stage.cue("gate", [Cue::Wait]);
    let mut events = Vec::new();
    for number in 0..50 {
        let time = Timestamp::now() - SignedDuration::from_millis(number);
        events.push(rig.event_about_pod(time).await);
    }
    let subscription = rig.subscribe(events);
    until("all others have joined the first", || rig.worker.members.held() == 49).await;
    rig.stage.raise_curtain();
    subscription.is_settled().await;
    assert!(subscription.broker.dead_letters().is_empty());
    assert_eq!(rig.asked("DELETE"), 1);
    assert_eq!(rig.stage.played("gate"), 1);
    assert_eq!(rig.audit.lines().len(), 1);
}

#[tokio::test]
async fn an_event_within_the_cooldown_is_covered_and_one_after_it_is_not() {
    let spec = json!({"actions": [play_on_pod("a")], "limits": {"cooldown": "10s"}});
    let rig = Rig::new(&[playbook("calm", spec)]).await;
    rig.create_pod();
    let seconds = |count| Timestamp::now() + SignedDuration::from_secs(count);
    let subscription = rig.subscribe([rig.event_about_pod(seconds(0)).await]);
    subscription.is_settled().await;
    subscription.publish(&rig.event_about_pod(seconds(5)).await);
    subscription.is_settled().await;
    assert_eq!(rig.stage.played("a"), 1, "it was answered again within the cooldown");
    subscription.publish(&rig.event_about_pod(seconds(20)).await);
    subscription.is_settled().await;
    assert_eq!(rig.stage.played("a"), 2, "it was not answered after the cooldown");
    assert!(subscription.broker.dead_letters().is_empty());
}
