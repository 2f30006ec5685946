//! Playbooks that send events on: each event is sent, whatever others were about the same pod.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::rig::{Rig, play_on_pod, playbook};

/// Sends on what is about a namespace's pods.
fn sends() -> String {
    let send = json!({"play": {"part": "send", "sends": true}});
    let spec = json!({
        "match": {"rules": ["Terminal shell in container"], "namespaces": ["shop"]},
        "actions": [send], "limits": {"cooldown": "1h"},
    });
    playbook("sends", spec)
}

async fn three(rig: &Rig) -> Vec<Value> {
    let mut all = Vec::new();
    for seconds in 0..3 {
        all.push(rig.event_about_pod(Timestamp::now() - SignedDuration::from_secs(seconds)).await);
    }
    all
}

#[tokio::test]
async fn each_event_of_a_burst_is_sent_on_beside_a_playbook_that_answers_once() {
    let contains = playbook("contains", json!({"actions": [play_on_pod("contain")]}));
    let rig = Rig::keeping(&[contains, sends()]).await;
    rig.create_pod();
    let events = three(&rig).await;
    rig.subscribe(events).is_settled().await;
    assert_eq!((rig.stage.played("contain"), rig.stage.played("send")), (1, 3));
}

#[tokio::test]
async fn each_event_of_a_pod_that_is_gone_is_sent_on() {
    let rig = Rig::new(&[sends()]).await;
    rig.create_pod();
    let events = three(&rig).await;
    rig.replace_pod().await;
    let subscription = rig.subscribe(events);
    subscription.is_settled().await;
    assert_eq!(rig.stage.played("send"), 3);
    assert!(subscription.broker.dead_letters().is_empty());
}

#[tokio::test]
async fn what_cannot_be_identified_is_not_sent_on_by_a_playbook_that_chooses() {
    let rig = Rig::new(&[sends()]).await;
    rig.create_pod();
    let mut event = rig.event_about_pod(Timestamp::now()).await;
    // Of another namespace's pod, as far as the API server knows.
    event["output_fields"]["k8s.pod.uid"] = json!(null);
    event["output_fields"]["container.id"] = json!("ffffffffffff");
    let subscription = rig.subscribe([event]);
    subscription.is_settled().await;
    assert_eq!(rig.stage.played("send"), 0);
    assert_eq!(rig.audit.lines()[0]["steps"][0]["reason"], "identity");
}
