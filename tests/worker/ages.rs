//! Events that are too old, and a person's word that they are not.

use std::time::Duration;

use brokers::dead_letter::MAX_AGE;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::rig::{Rig, Subscription, delete, event, play, play_on_pod, playbook};

const LIMIT: &str = "1s";

/// Three seconds old, which `LIMIT` refuses and the pod's creation still allows.
fn old() -> Timestamp {
    Timestamp::now() - Duration::from_secs(3)
}

fn redrive(subscription: &Subscription, event: &Value, headers: &[(&str, &str)]) {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Bytes::copy_from_slice(value.as_bytes())));
    subscription.broker.publish(event.to_string().into(), None, headers.collect());
}

async fn settled(rig: &Rig, event: &Value, headers: &[(&str, &str)]) -> Value {
    let before = rig.audit.lines().len();
    let subscription = rig.subscribe([]);
    redrive(&subscription, event, headers);
    subscription.is_settled().await;
    let lines = rig.audit.lines();
    assert_eq!(lines.len(), before + 1, "{lines:?}");
    lines[before].clone()
}

#[tokio::test]
async fn an_old_event_is_refused_and_acted_upon_once_a_person_allows_it() {
    let spec = json!({"actions": [play("a")], "limits": {"maxEventAge": LIMIT}});
    let rig = Rig::new(&[playbook("wary", spec)]).await;
    let event = {
        let mut event = event(json!({}));
        event["time"] = json!(old().to_string());
        event
    };
    let refused = settled(&rig, &event, &[]).await;
    assert_eq!(refused["steps"][0]["reason"], "event-age");
    // Without a redrive it is but a header, and one that allows too little allows nothing.
    for headers in [
        &[(MAX_AGE, "1h")][..],
        &[(MAX_AGE, "1h"), ("stoop-failed", "wary")],
        &[(MAX_AGE, "2s"), ("stoop-redriven", "now")],
        &[("stoop-redriven", "now")],
    ] {
        let line = settled(&rig, &event, headers).await;
        assert_eq!(line["steps"][0]["reason"], "event-age", "{headers:?}");
    }
    assert_eq!(rig.stage.played("a"), 0);

    let line = settled(&rig, &event, &[(MAX_AGE, "1h"), ("stoop-redriven", "now")]).await;
    assert_eq!(line["steps"][0]["outcome"], "applied");
    assert_eq!(line["maxAgeOverride"], "1h");
    assert_eq!(rig.stage.played("a"), 1);
}

#[tokio::test]
async fn a_successor_of_the_same_name_is_not_touched_whatever_age_is_allowed() {
    let spec = json!({"actions": [delete()], "limits": {"maxEventAge": LIMIT}});
    let rig = Rig::new(&[playbook("delete", spec)]).await;
    rig.create_pod();
    let event = rig.event_about_pod(old()).await;
    assert_eq!(settled(&rig, &event, &[]).await["steps"][0]["reason"], "event-age");

    let redriven = [(MAX_AGE, "1h"), ("stoop-redriven", "now")];
    assert_eq!(settled(&rig, &event, &redriven).await["steps"][0]["outcome"], "applied");
    rig.create_pod();
    let deletions = rig.asked("DELETE");
    assert_eq!(deletions, 1);
    // Another worker, which remembers no burst.
    let other = rig.another().await;
    let line = settled(&other, &event, &redriven).await;
    assert_ne!(line["steps"][0]["outcome"], "applied", "{line}");
    assert_eq!(rig.asked("DELETE"), deletions);
}

#[tokio::test]
async fn what_else_holds_back_holds_back_all_the_same() {
    let spec = json!({"actions": [play_on_pod("a")], "limits": {"maxEventAge": LIMIT}});
    let rig = Rig::new(&[playbook("wary", spec)]).await;
    let mut event = event(json!({"k8s.ns.name": "shop", "k8s.pod.name": "web"}));
    event["time"] = json!(old().to_string());
    // No proof of identity: a name alone is none.
    let line = settled(&rig, &event, &[(MAX_AGE, "1h"), ("stoop-redriven", "now")]).await;
    assert_eq!(line["steps"][0]["reason"], "identity", "{line}");
    assert_eq!(rig.stage.played("a"), 0);
}
