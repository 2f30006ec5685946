//! What an event comes to: acknowledged, dead-lettered, and with what said.

use jiff::Timestamp;
use playbooks::act::{Dependency, Failure, Outcome};
use serde_json::json;

use super::{
    rig::{Rig, delete, event, header, play, play_on_pod, playbook, until},
    stage::Cue,
};

#[tokio::test(start_paused = true)]
async fn a_when_that_errs_goes_to_the_dead_letters_and_names_the_playbook() {
    let spec = json!({"match": {"when": "fields[\"proc.name\"] > 1"}, "actions": [play("a")]});
    let other = playbook("other", json!({"actions": [play("b")]}));
    let rig = Rig::new(&[playbook("wary", spec), other]).await;
    let subscription = rig.subscribe([event(json!({"proc.name": "sh"}))]);
    subscription.is_settled().await;
    let letters = subscription.broker.dead_letters();
    assert_eq!(letters.len(), 1);
    assert_eq!(header(&letters[0], "stoop-reason"), "failed");
    assert_eq!(header(&letters[0], "stoop-failed"), "wary");
    assert!(header(&letters[0], "stoop-error").starts_with("wary: "));
    assert_eq!((rig.stage.played("a"), rig.stage.played("b")), (0, 1));
    assert_eq!(rig.pager.told(), ["wary"]);
}

#[tokio::test]
async fn no_pod_waits_for_a_playbook_that_only_tells() {
    let tells =
        playbook("a-tells", json!({"actions": [{"play": {"part": "tell", "sends": true}}]}));
    let contains = playbook("b-contains", json!({"actions": [play_on_pod("contain")]}));
    let rig = Rig::new(&[tells, contains]).await;
    let away = Failure::unavailable(Dependency::Sink("chat".into()), "away");
    rig.stage.cue("tell", std::iter::repeat_with(|| Cue::Say(away.clone().into())).take(3));
    rig.create_pod();
    let event = rig.event_about_pod(Timestamp::now()).await;
    let subscription = rig.subscribe([event]);
    until("the pod is contained", || rig.stage.played("contain") == 1).await;
    assert!(rig.stage.played("tell") <= 1, "it was waited for");
    subscription.is_settled().await;
    assert_eq!(rig.stage.played("tell"), 4, "it is told all the same");
}

#[tokio::test]
async fn a_when_that_errs_is_no_copy_of_one_that_was_answered() {
    let wanted = json!({"rules": ["*"], "when": "int(fields[\"n\"]) > 1"});
    let spec = json!({"match": wanted, "actions": [play_on_pod("a")]});
    let rig = Rig::new(&[playbook("wary", spec)]).await;
    rig.create_pod();
    let mut event = rig.event_about_pod(Timestamp::now()).await;
    let subscription = rig.subscribe([]);
    for (value, letters) in [("2", 0), ("x", 1)] {
        event["output_fields"]["n"] = json!(value);
        subscription.publish(&event);
        subscription.is_settled().await;
        assert_eq!(subscription.broker.dead_letters().len(), letters, "{value}");
    }
    assert_eq!(rig.stage.played("a"), 1);
}

#[tokio::test]
async fn a_foreign_clusters_event_is_acknowledged_and_nothing_is_asked_of_the_api() {
    let rig = Rig::new(&[playbook("all", json!({"actions": [delete()]}))]).await;
    let fields = json!({
        "static.cluster": "theirs", "container.id": "6ac7d190134e",
        "k8s.ns.name": "shop", "k8s.pod.name": "web",
    });
    let subscription = rig.subscribe([event(fields)]);
    subscription.is_settled().await;
    assert!(subscription.broker.dead_letters().is_empty());
    assert_eq!(rig.server.requests().len(), 0);
    assert!(rig.audit.lines().is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_that_only_tells_tells_nothing_of_a_foreign_cluster() {
    let rig = Rig::new(&[playbook("tells", json!({"actions": [play("tell")]}))]).await;
    for (cluster, times) in [("theirs", 0), ("ours", 1)] {
        let subscription = rig.subscribe([event(json!({"static.cluster": cluster}))]);
        subscription.is_settled().await;
        assert_eq!(rig.stage.played("tell"), times, "{cluster}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_event_is_a_dead_letter_as_it_came() {
    let rig = Rig::new(&[playbook("tells", json!({"actions": [play("tell")]}))]).await;
    let subscription = rig.subscribe([]);
    for body in ["", "no JSON", "[]", "{\"rule\": 5}"] {
        subscription.broker.publish(body.into(), None, Vec::new());
        subscription.is_settled().await;
        let letters = subscription.broker.dead_letters();
        let last = letters.last().expect("a dead letter");
        assert_eq!(
            (&last.payload[..], header(last, "stoop-reason").as_str()),
            (body.as_bytes(), "malformed")
        );
    }
    assert_eq!(subscription.broker.dead_letters().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn the_dead_letter_names_only_the_playbooks_that_failed_in_order_of_name() {
    let plays = |name: &str| playbook(name, json!({"actions": [play(name)]}));
    let rig = Rig::new(&[plays("zebra"), plays("heron"), plays("adder")]).await;
    for failing in ["zebra", "adder"] {
        rig.stage.cue(failing, [Cue::Say(Failure::permanent("forbidden").into())]);
    }
    let subscription = rig.subscribe([event(json!({}))]);
    subscription.is_settled().await;
    let letters = subscription.broker.dead_letters();
    assert_eq!(letters.len(), 1);
    assert_eq!(header(&letters[0], "stoop-failed"), "adder,zebra");
    assert_eq!(rig.stage.played("heron"), 1);
}

#[tokio::test]
async fn a_dead_letter_published_again_runs_only_the_playbooks_that_failed() {
    let plays = |name: &str| playbook(name, json!({"actions": [play(name)]}));
    let rig = Rig::new(&[plays("adder"), plays("heron")]).await;
    rig.stage.cue("adder", [Cue::Say(Failure::permanent("forbidden").into())]);
    let subscription = rig.subscribe([event(json!({}))]);
    subscription.is_settled().await;
    let letter = subscription.broker.dead_letters().remove(0);
    // On another worker: this one remembers that the event was answered.
    let rig = Rig::new(&[plays("adder"), plays("heron")]).await;
    rig.stage.cue("adder", [Cue::Say(Failure::permanent("forbidden").into())]);
    let subscription = rig.subscribe([]);
    subscription.broker.publish(letter.payload.clone(), None, letter.headers.clone());
    subscription.is_settled().await;
    assert_eq!((rig.stage.played("adder"), rig.stage.played("heron")), (1, 0));
    let again = subscription.broker.dead_letters().remove(0);
    assert_eq!(again.headers.len(), letter.headers.len(), "headers of the first letter are left");
}

#[tokio::test]
async fn the_publishers_trace_is_on_record_and_in_the_dead_letter() {
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (name, value, recorded) in [
        ("traceparent", trace, Some(trace)),
        ("googclient_traceparent", trace, Some(trace)),
        ("traceparent", "garbage", None),
    ] {
        let rig = Rig::new(&[playbook("one", json!({"actions": [play("a")]}))]).await;
        rig.stage.cue("a", [Cue::Say(Failure::permanent("forbidden").into())]);
        let subscription = rig.subscribe([]);
        let headers = vec![(name.to_owned(), value.into())];
        subscription.broker.publish(event(json!({})).to_string().into(), None, headers);
        subscription.is_settled().await;
        assert_eq!(rig.audit.lines()[0]["trace"].as_str(), recorded);
        assert_eq!(header(&subscription.broker.dead_letters()[0], name), value);
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_count_tries_and_not_the_waits_of_an_outage() {
    let rig = Rig::new(&[playbook("one", json!({"actions": [play("a")]}))]).await;
    let away = || Failure::unavailable(Dependency::KubernetesApi, "connection refused");
    let failures = [
        away(),
        away(),
        Failure::transient("conflict"),
        away(),
        away(),
        Failure::permanent("forbidden"),
    ];
    rig.stage.cue("a", failures.map(Outcome::from).map(Cue::Say));
    let subscription = rig.subscribe([event(json!({}))]);
    subscription.is_settled().await;
    assert_eq!(rig.stage.played("a"), 6);
    assert_eq!(header(&subscription.broker.dead_letters()[0], "stoop-attempts"), "2");
    assert_eq!(rig.audit.lines()[0]["attempts"], 2);
}

#[tokio::test]
async fn observing_writes_nothing() {
    let spec = json!({"mode": "observe", "actions": [delete()]});
    let rig = Rig::new(&[playbook("watch", spec)]).await;
    rig.create_pod();
    let subscription = rig.subscribe([rig.event_about_pod(jiff::Timestamp::now()).await]);
    subscription.is_settled().await;
    assert!(subscription.broker.dead_letters().is_empty());
    assert_eq!(rig.asked("GET"), rig.server.requests().len());
    let lines = rig.audit.lines();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["steps"][0]["reason"], "observe", "{lines:?}");
    assert_eq!(rig.server.pods("shop").len(), 1);
}

#[tokio::test]
async fn a_right_that_one_playbook_lacks_does_not_take_the_others_down() {
    let match_ = json!({"rules": ["*"], "target": {"namespaceLabels": {"team": ["a"]}}});
    let nosy = playbook("nosy", json!({"match": match_, "actions": [delete()]}));
    let match_ = json!({"rules": ["*"], "namespaces": ["shop"]});
    let plain = json!({"match": match_, "actions": [{"notify": {"to": ["log"]}}]});
    let rig = Rig::new(&[nosy, playbook("plain", plain)]).await;
    rig.create_pod();
    let event = rig.event_about_pod(jiff::Timestamp::now()).await;
    rig.server.authorize(|access| access.resource != "namespaces");
    let subscription = rig.subscribe([event]);
    subscription.is_settled().await;
    assert_eq!(rig.asked("DELETE"), 0, "whether the namespace is exempted can't be told");
    let lines = rig.audit.lines();
    let told = lines.iter().find(|line| line["playbook"] == "plain").unwrap();
    assert_eq!(told["steps"][0]["outcome"], "applied", "{lines:?}");
    assert_eq!(header(&subscription.broker.dead_letters()[0], "stoop-failed"), "nosy");
}
