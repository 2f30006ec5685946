//! Responses that outlive their worker, seen from the events: acknowledged, told, taken up again.

use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use playbooks::act::Decision;
use serde_json::{Value, json};
use stoop::demo::kubernetes::Fault;

use super::rig::{Rig, a_while_passes, header, play_on_pod, playbook, until};

fn calm() -> String {
    playbook("calm", json!({"actions": [play_on_pod("a")], "limits": {"cooldown": "10s"}}))
}

fn ago(seconds: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_secs(seconds)
}

fn phase(rig: &Rig) -> Value {
    let responses = rig.server.responses();
    assert_eq!(responses.len(), 1, "{responses:?}");
    responses[0]["status"]["phase"].clone()
}

#[tokio::test]
async fn another_worker_acknowledges_what_one_has_answered_and_does_nothing() {
    let rig = Rig::keeping(&[calm()]).await;
    rig.create_pod();
    let subscription = rig.subscribe([rig.event_about_pod(ago(2)).await]);
    subscription.is_settled().await;
    assert_eq!(phase(&rig), "Succeeded");

    let other = rig.another().await;
    let subscription = other.subscribe([rig.event_about_pod(ago(1)).await]);
    subscription.is_settled().await;
    assert_eq!((rig.stage.played("a"), other.stage.played("a")), (1, 0));
    assert!(subscription.broker.dead_letters().is_empty());
    assert_eq!(other.audit.lines()[0]["steps"][0]["reason"], "answered");
}

#[tokio::test]
async fn fifty_events_of_a_burst_are_counted_and_cost_two_requests() {
    let rig = Rig::keeping(&[playbook("burst", json!({"actions": [play_on_pod("gate")]}))]).await;
    rig.create_pod();
    rig.stage.cue("gate", [super::stage::Cue::Wait]);
    let mut events = Vec::new();
    for number in 0..50 {
        let time = Timestamp::now() - SignedDuration::from_millis(number);
        events.push(rig.event_about_pod(time).await);
    }
    let subscription = rig.subscribe(events);
    until("all others have joined the first", || rig.worker.members.held() == 49).await;
    rig.stage.raise_curtain();
    subscription.is_settled().await;
    let asked = rig.server.requests();
    let asked = asked.iter().filter(|request| request.path.contains("/responses"));
    assert_eq!(asked.count(), 2);
    assert_eq!(rig.server.responses()[0]["status"]["members"], 50);
}

#[tokio::test]
async fn what_waits_is_acknowledged_told_and_run_once_approved() {
    let spec = json!({"approval": "required", "actions": [play_on_pod("a")]});
    let rig = Rig::keeping(&[playbook("careful", spec)]).await;
    rig.create_pod();
    let subscription = rig.subscribe([rig.event_about_pod(ago(1)).await]);
    subscription.is_settled().await;
    assert!(subscription.broker.dead_letters().is_empty());
    assert_eq!((rig.stage.played("a"), rig.pager.told()), (0, vec!["careful".to_owned()]));
    assert_eq!(phase(&rig), "Pending");

    // Another takes it up: the one that asked is gone.
    let other = rig.another().await;
    let tending = tokio::spawn(other.worker.clone().take_up_approved(Default::default()));
    let shelf = other.worker.engine.records().unwrap().shelf();
    let name = rig.server.responses()[0]["metadata"]["name"].as_str().unwrap().to_owned();
    shelf.decide(&name, None, Decision::Approved).await.unwrap();
    until("it has ended", || rig.server.responses()[0]["status"]["phase"] == "Succeeded").await;
    assert_eq!((rig.stage.played("a"), other.stage.played("a")), (0, 1));
    tending.abort();
}

#[tokio::test]
async fn what_was_approved_is_left_to_the_workers_that_have_its_playbook() {
    let asking =
        |name: &str| playbook(name, json!({"approval": "required", "actions": [play_on_pod("a")]}));
    let rig = Rig::keeping(&[asking("careful")]).await;
    rig.create_pod();
    let subscription = rig.subscribe([rig.event_about_pod(ago(1)).await]);
    subscription.is_settled().await;
    let shelf = rig.worker.engine.records().unwrap().shelf();
    let name = rig.server.responses()[0]["metadata"]["name"].as_str().unwrap().to_owned();
    shelf.decide(&name, None, Decision::Approved).await.unwrap();

    // As in the middle of a rollout.
    let stranger = rig.stranger(&[asking("newer")]).await;
    let tending = tokio::spawn(stranger.worker.clone().take_up_approved(Default::default()));
    let looks = || {
        let requests = rig.server.requests();
        requests.iter().filter(|it| it.query.contains("stoop.dev%2Fheld")).count()
    };
    until("the stranger has looked twice", || looks() == 2).await;
    tending.abort();
    assert_eq!((phase(&rig), stranger.stage.played("a")), (json!("Pending"), 0));
}

#[tokio::test]
async fn a_redeemed_approval_verifies_its_target_again() {
    let spec = json!({"approval": "required", "actions": [play_on_pod("a")]});
    let rig = Rig::keeping(&[playbook("careful", spec)]).await;
    rig.create_pod();
    let subscription = rig.subscribe([rig.event_about_pod(ago(1)).await]);
    subscription.is_settled().await;
    rig.replace_pod().await;
    let shelf = rig.worker.engine.records().unwrap().shelf();
    let name = rig.server.responses()[0]["metadata"]["name"].as_str().unwrap().to_owned();
    shelf.decide(&name, None, Decision::Approved).await.unwrap();
    let tending = tokio::spawn(rig.worker.clone().take_up_approved(Default::default()));
    until("it has ended", || rig.server.responses()[0]["status"]["finished"].is_string()).await;
    assert_eq!(rig.stage.played("a"), 0, "a successor was taken for it");
    tending.abort();
}

#[tokio::test]
async fn without_the_definition_what_needs_it_is_a_dead_letter_until_it_is_installed() {
    let limits = json!({"attempts": 2});
    let spec = json!({"approval": "required", "actions": [play_on_pod("a")], "limits": limits});
    let calm =
        playbook("calm", json!({"actions": [play_on_pod("b")], "limits": {"cooldown": "0s"}}));
    let rig = Rig::recording(&[playbook("careful", spec), calm]).await;
    rig.create_pod();
    let subscription = rig.subscribe([rig.event_about_pod(ago(2)).await]);
    subscription.is_settled().await;
    assert_eq!(header(&subscription.broker.dead_letters()[0], "stoop-failed"), "careful");
    assert!(header(&subscription.broker.dead_letters()[0], "stoop-error").contains("stoop crds"));
    assert_eq!(rig.stage.played("b"), 1, "the other needs none");
    let (engine, rules) = (&rig.worker.engine, rig.worker.rules.now());
    let refused = stoop::worker::responses::look(engine, &rules).await.unwrap_err().to_string();
    assert!(refused.contains("careful") || refused.contains("playbooks.yaml"), "{refused}");

    rig.server.keep_responses("stoop").unwrap();
    a_while_passes().await;
    subscription.publish(&rig.event_about_pod(Timestamp::now()).await);
    subscription.is_settled().await;
    assert_eq!(subscription.broker.dead_letters().len(), 1);
    let mut kept: Vec<_> = rig.server.responses().iter().map(phase_of).collect();
    kept.sort();
    assert_eq!((kept, rig.stage.played("b")), (vec!["Pending".into(), "Succeeded".into()], 2));
}

fn phase_of(response: &Value) -> String {
    response["status"]["phase"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_cluster_that_lacks_the_definition_is_asked_again_from_time_to_time() {
    let rig = Rig::recording(&[calm()]).await;
    let shelf = rig.worker.engine.records().unwrap().shelf();
    let looks = || rig.server.requests().iter().filter(|it| it.path == "/apis").count();
    for _ in 0..3 {
        assert!(!shelf.is_there().await.unwrap());
    }
    assert_eq!(looks(), 1);
    // What can't be asked is no answer.
    let down = Fault::Answer(StatusCode::SERVICE_UNAVAILABLE);
    rig.server.disturb(move |_| Some(down));
    a_while_passes().await;
    for _ in 0..2 {
        assert!(shelf.is_there().await.is_err());
    }
    rig.server.heal();
    rig.server.keep_responses("stoop").unwrap();
    for _ in 0..3 {
        assert!(shelf.is_there().await.unwrap());
    }
    assert_eq!(looks(), 4);
}
