//! Many events at once: what the API server gets to see of them, and who is never answered for another.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use playbooks::act::{Failure, Outcome};
use serde_json::{Value, json};

use super::{
    rig::{Rig, Subscription, delete, play_on_pod, playbook},
    stage::Cue,
};

const CONTAINER: &str = "6ac7d190134e";
const OTHER_CONTAINER: &str = "ffffffffffff";
const POD: &str = "/api/v1/namespaces/shop/pods/web";

/// One playbook that plays a part on the pod, and may do so again at once.
fn calm(cooldown: &str) -> String {
    let limits = json!({"cooldown": cooldown});
    playbook("calm", json!({"actions": [play_on_pod("a")], "limits": limits}))
}

/// As many of an event, each a microsecond before the other.
pub fn storm(count: i64, event: Value) -> impl Iterator<Item = Value> {
    let now: Timestamp = event["time"].as_str().unwrap().parse().unwrap();
    (0..count).map(move |number| at(now - SignedDuration::from_micros(number), event.clone()))
}

fn at(time: Timestamp, mut event: Value) -> Value {
    event["time"] = json!(time.to_string());
    event["output_fields"]["evt.time"] = json!(i64::try_from(time.as_nanosecond()).unwrap());
    event
}

/// The event, naming its pod by this container alone.
fn of_container(mut event: Value, id: &str) -> Value {
    event["output_fields"].as_object_mut().unwrap().remove("k8s.pod.uid");
    event["output_fields"]["container.id"] = json!(id);
    event
}

/// How often the pod was read so far.
fn reads(rig: &Rig) -> usize {
    let requests = rig.server.requests();
    requests.iter().filter(|it| it.method == "GET" && it.path == POD).count()
}

async fn answer(subscription: &Subscription, event: &Value) {
    subscription.publish(event);
    subscription.is_settled().await;
}

/// Settles the events of a storm about one pod, and gives back how many requests they took.
pub async fn settle(rig: &Rig, events: impl Iterator<Item = Value>) -> usize {
    let before = rig.server.requests().len();
    let subscription = rig.subscribe(events);
    subscription.is_settled().await;
    assert!(subscription.broker.dead_letters().is_empty());
    rig.server.requests().len() - before
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_events_about_one_pod_are_one_response_and_few_requests() {
    let spec = json!({"actions": [delete()], "limits": {"budget": "10 per 5m"}});
    let rig = Rig::keeping(&[playbook("storm", spec)]).await;
    rig.create_pod();
    rig.server.answer_after(Duration::from_millis(5));
    let event = rig.event_about_pod(Timestamp::now()).await;
    let asked = settle(&rig, storm(10_000, event)).await;
    assert_eq!((rig.asked("DELETE"), rig.audit.lines().len()), (1, 1));
    assert!(asked < 20, "{asked} requests");
    // It has waited for the pod's response, or come after it: none has looked for itself.
    assert_eq!((reads(&rig), rig.worker.metrics.shared.get()), (2, 9_999));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_that_two_workers_share_is_two_lookouts_and_one_response() {
    let rig = Rig::keeping(&[playbook("storm", json!({"actions": [delete()]}))]).await;
    let other = rig.another().await;
    rig.create_pod();
    let event = rig.event_about_pod(Timestamp::now()).await;
    let before = rig.server.requests().len();
    let subscriptions = [&rig, &other].map(|rig| rig.subscribe(storm(1_000, event.clone())));
    for subscription in &subscriptions {
        subscription.is_settled().await;
        assert!(subscription.broker.dead_letters().is_empty());
    }
    assert_eq!(rig.asked("DELETE"), 1);
    let asked = rig.server.requests().len() - before;
    assert!(asked < 40, "{asked} requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_playbook_does_not_select_is_read_a_few_times_in_a_storm() {
    let others = json!({"rules": ["*"], "namespaces": {"exclude": ["shop"]}});
    let spec = json!({"match": others, "actions": [play_on_pod("b")]});
    let rig = Rig::new(&[calm("1m"), playbook("others", spec)]).await;
    rig.create_pod();
    let event = rig.event_about_pod(Timestamp::now()).await;
    settle(&rig, storm(1_000, event)).await;
    assert_eq!((rig.stage.played("a"), rig.stage.played("b")), (1, 0));
    // Every two seconds, which a busy machine may take a few of.
    assert!(reads(&rig) < 50, "{} reads", reads(&rig));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_sees_no_more_requests_at_once_than_are_configured() {
    let rig = Rig::limited(
        &[playbook("storm", json!({"actions": [delete()]}))],
        json!({"concurrency": 8}),
    )
    .await;
    let mut events = Vec::new();
    for number in 0..64 {
        let name = format!("web-{number}");
        rig.create_pod_named(&name);
        events.push(rig.event_about(&name, Timestamp::now()).await);
    }
    rig.server.answer_after(Duration::from_millis(5));
    settle(&rig, events.into_iter()).await;
    assert!(rig.server.pods("shop").is_empty());
    let most = rig.server.most_at_once();
    assert!((2..=8).contains(&most), "{most} at once");
}

#[tokio::test]
async fn a_pod_that_took_the_name_is_answered_for_itself() {
    let rig = Rig::new(&[calm("1m")]).await;
    rig.create_pod();
    rig.start_container(CONTAINER).await;
    let event = rig.event_about_pod(Timestamp::now()).await;
    let subscription = rig.subscribe([of_container(event.clone(), CONTAINER), event.clone()]);
    subscription.is_settled().await;
    assert_eq!(rig.stage.played("a"), 1, "both are about one pod");

    rig.replace_pod().await;
    rig.start_container(OTHER_CONTAINER).await;
    let before = reads(&rig);
    answer(&subscription, &of_container(event.clone(), OTHER_CONTAINER)).await;
    assert_eq!((reads(&rig), rig.stage.played("a")), (before + 1, 2));
    // A name alone is nobody's, whoever was seen by it.
    let mut named = of_container(event, CONTAINER);
    named["output_fields"].as_object_mut().unwrap().remove("container.id");
    answer(&subscription, &named).await;
    assert_eq!(rig.stage.played("a"), 2);
    assert_eq!(rig.audit.lines()[2]["steps"][0]["reason"], "identity");
}

#[tokio::test]
async fn a_container_that_was_started_anew_is_looked_for() {
    let rig = Rig::new(&[calm("1m")]).await;
    rig.create_pod();
    rig.start_container(CONTAINER).await;
    let event = rig.event_about_pod(Timestamp::now()).await;
    let subscription = rig.subscribe([of_container(event.clone(), CONTAINER)]);
    subscription.is_settled().await;
    rig.start_container(OTHER_CONTAINER).await;
    let before = reads(&rig);
    answer(&subscription, &of_container(event.clone(), OTHER_CONTAINER)).await;
    // It is the same pod's, within its cooldown.
    assert_eq!((reads(&rig), rig.stage.played("a")), (before + 1, 1));
    answer(&subscription, &of_container(event, OTHER_CONTAINER)).await;
    assert_eq!((reads(&rig), rig.stage.played("a")), (before + 1, 1));
}

#[tokio::test]
async fn whoever_begins_a_response_reads_its_own_pod() {
    let rig = Rig::new(&[playbook(
        "calm",
        json!({"actions": [delete()], "limits": {"cooldown": "0s", "attempts": 1}}),
    )])
    .await;
    rig.create_pod();
    rig.start_container(CONTAINER).await;
    let now = Timestamp::now();
    let event = of_container(rig.event_about_pod(now).await, CONTAINER);
    let subscription = rig.subscribe([event.clone()]);
    subscription.is_settled().await;
    // Another by the same words, as no runtime makes one: whoever took the first one's uid would delete nothing.
    rig.create_pod();
    rig.start_container(CONTAINER).await;
    let uid = rig.server.pods("shop")[0]["metadata"]["uid"].clone();
    answer(&subscription, &at(now + SignedDuration::from_secs(30), event)).await;
    assert!(rig.server.pods("shop").is_empty());
    let mut deletes = rig.server.requests().into_iter().filter(|it| it.method == "DELETE");
    assert_eq!(deletes.next_back().unwrap().body["preconditions"]["uid"], uid);
}

#[tokio::test]
async fn what_ended_badly_is_looked_for_again() {
    let rig = Rig::new(&[calm("1m")]).await;
    rig.create_pod();
    let failed = || Cue::Say(Outcome::Failed(Failure::permanent("it can't be done")));
    rig.stage.cue("a", [failed(), failed()]);
    let event = rig.event_about_pod(Timestamp::now()).await;
    let subscription = rig.subscribe([event.clone()]);
    subscription.is_settled().await;
    let before = reads(&rig);
    answer(&subscription, &event).await;
    assert_eq!((reads(&rig), rig.stage.played("a")), (before + 1, 2));
    assert_eq!(subscription.broker.dead_letters().len(), 2);
}

#[tokio::test]
async fn an_event_from_before_the_pod_is_not_answered_with_it() {
    let rig = Rig::new(&[calm("1m")]).await;
    rig.create_pod();
    let now = Timestamp::now();
    let event = rig.event_about_pod(now).await;
    let subscription = rig.subscribe([event.clone()]);
    subscription.is_settled().await;
    answer(&subscription, &at(now - SignedDuration::from_secs(60), event)).await;
    assert_eq!(rig.stage.played("a"), 1);
    assert_eq!(rig.audit.lines()[1]["steps"][0]["reason"], "identity");
}

#[tokio::test]
async fn what_is_gone_only_by_the_time_of_an_event_is_looked_for_by_the_next() {
    let rig = Rig::new(&[calm("1m")]).await;
    rig.create_pod();
    rig.start_container(CONTAINER).await;
    let now = Timestamp::now();
    let event = of_container(rig.event_about_pod(now).await, OTHER_CONTAINER);
    let minute = SignedDuration::from_secs(60);
    let subscription = rig.subscribe([at(now - minute, event.clone())]);
    subscription.is_settled().await;
    assert_eq!(rig.audit.lines()[0]["steps"][0]["reason"], "gone", "it is another's name now");
    rig.start_container(OTHER_CONTAINER).await;
    let before = reads(&rig);
    answer(&subscription, &event).await;
    assert_eq!((reads(&rig), rig.stage.played("a")), (before + 1, 1));
}

#[tokio::test]
async fn the_events_of_a_pod_that_is_gone_are_one_answer() {
    let rig = Rig::new(&[calm("1m")]).await;
    rig.create_pod();
    rig.start_container(CONTAINER).await;
    let event = of_container(rig.event_about_pod(Timestamp::now()).await, CONTAINER);
    let client = kube::Client::try_from(rig.server.config()).unwrap();
    let pods = kube::Api::<k8s_openapi::api::core::v1::Pod>::namespaced(client, "shop");
    pods.delete("web", &Default::default()).await.unwrap();
    assert_eq!(settle(&rig, storm(1_000, event)).await, 1);
    assert_eq!((rig.stage.played("a"), rig.audit.lines().len()), (0, 1));
}
