//! Events about one pod that arrive together, or soon after.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    rig::{Rig, delete, play_on_pod, playbook, until},
    stage::Cue,
    storms::{CONTAINER, of_container},
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

/// Lets a young event, as `said` puts it, wait for the response of an old one, which is refused for its age.
async fn a_young_one_waits_for_an_old_one(said: impl Fn(Value) -> Value) {
    let wanted = |process: &str| json!({"rules": ["*"], "fields": {"proc.name": [process]}});
    let gate = json!({"match": wanted("gate"), "actions": [play_on_pod("gate")]});
    let limits = json!({"maxEventAge": "1s"});
    let wary = json!({"match": wanted("sh"), "actions": [play_on_pod("a")], "limits": limits});
    let rig = Rig::new(&[playbook("gate", gate), playbook("wary", wary)]).await;
    rig.create_pod();
    rig.start_container(CONTAINER).await;
    let of = async |process: &str, seconds| {
        let time = Timestamp::now() + SignedDuration::from_secs(seconds);
        let mut event = rig.event_about_pod(time).await;
        event["output_fields"]["proc.name"] = json!(process);
        event
    };
    rig.stage.cue("gate", [Cue::Wait]);
    let subscription = rig.subscribe([of("gate", 0).await]);
    until("the pod is another response's", || rig.stage.played("gate") == 1).await;
    // One of the two begins a response, which waits for its turn.
    let old = of("sh", -3).await;
    subscription.publish(&old);
    subscription.publish(&old);
    until("the other has joined it", || rig.worker.members.held() == 1).await;
    subscription.publish(&said(of("sh", 30).await));
    until("the young one has joined it", || rig.worker.members.held() == 2).await;
    rig.stage.raise_curtain();
    subscription.is_settled().await;
    let lines = rig.audit.lines();
    let wary = lines.iter().filter(|line| line["playbook"] == "wary");
    let steps: Vec<_> = wary
        .map(|line| (&line["steps"][0]["outcome"], line["steps"][0]["reason"].as_str()))
        .collect();
    assert_eq!(steps, [(&json!("refused"), Some("event-age")), (&json!("applied"), None)]);
    assert_eq!(rig.stage.played("a"), 1);
}

#[tokio::test]
async fn a_young_event_is_not_refused_for_the_age_of_one_that_says_the_same() {
    a_young_one_waits_for_an_old_one(|event| event).await;
}

#[tokio::test]
async fn a_young_event_is_not_refused_for_the_age_of_one_that_was_verified_to_be_about_its_pod() {
    a_young_one_waits_for_an_old_one(|event| of_container(event, CONTAINER)).await;
}
