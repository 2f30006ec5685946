//! One event as one trace, as a collector sees it.

use jiff::Timestamp;
use serde_json::{Value, json};
use stoop::telemetry::Traces;
use tracing::{Dispatch, subscriber::NoSubscriber};
use tracing_subscriber::{layer::SubscriberExt as _, util::SubscriberInitExt as _};

use super::{
    collector::{Collector, Span},
    rig::{Rig, Subscription, delete, event, playbook},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn publish(subscription: &Subscription, event: &Value, flags: &str) {
    let header = format!("00-{TRACE}-{PARENT}-{flags}");
    let headers = vec![("traceparent".to_owned(), header.into())];
    subscription.broker.publish(event.to_string().into(), None, headers);
}

/// Runs `story` while spans go to a collector, and gives what came there.
async fn traced(story: impl Future<Output = ()>) -> Vec<Span> {
    let collector = Collector::start().await;
    let traces = Traces::to(&format!("{}/v1/traces", collector.url())).unwrap();
    // Beside one alone, a span that another test's thread is the first to meet is taken for one that nobody wants.
    let _beside = Dispatch::new(NoSubscriber::new());
    let guard = tracing_subscriber::registry().with(traces.layer()).set_default();
    story.await;
    drop(guard);
    tokio::task::spawn_blocking(move || traces.end()).await.unwrap();
    collector.spans()
}

/// The names from the trace's beginning to this span.
fn way(spans: &[Span], to: &Span) -> Vec<String> {
    let mut names = vec![to.name.clone()];
    let mut at = to;
    while let Some(above) = spans.iter().find(|span| span.id == at.parent) {
        names.insert(0, above.name.clone());
        at = above;
    }
    assert_eq!(at.parent, PARENT, "{names:?}");
    names
}

#[tokio::test]
async fn an_event_is_one_trace_from_the_brokers_header_to_each_request_and_its_settlement() {
    let rig = Rig::new(&[playbook("one", json!({"actions": [delete()]}))]).await;
    rig.create_pod();
    let about = rig.event_about_pod(Timestamp::now()).await;
    let spans = traced(async {
        let subscription = rig.subscribe([]);
        publish(&subscription, &about, "01");
        subscription.is_settled().await;
        rig.stop_using(subscription).await;
    })
    .await;
    assert!(spans.iter().all(|span| span.trace == TRACE), "{spans:?}");
    let all: Vec<_> = spans.iter().map(|span| way(&spans, span)).collect();
    let is_there = |names: &[&str]| assert!(all.iter().any(|it| it == names), "{names:?}: {all:?}");
    is_there(&["event"]);
    is_there(&["event", "response", "guardrails"]);
    is_there(&["event", "response", "action delete"]);
    is_there(&["event", "response", "record"]);
    is_there(&["event", "settle"]);
    let of = |method: &str| spans.iter().find(|it| it.attribute("http.method") == Some(method));
    let read = way(&spans, of("GET").expect("the pod was read"));
    assert_eq!(read[..2], ["event", "verify"]);
    let deleted = of("DELETE").expect("the pod was deleted");
    assert_eq!(way(&spans, deleted)[..3], ["event", "response", "action delete"]);
    assert!(
        deleted.attribute("http.url").is_some_and(|it| it.contains("/namespaces/shop/pods/web"))
    );
    // Whoever is told of it is told the event's span.
    let event = spans.iter().find(|it| it.name == "event").expect("an event");
    assert_eq!(rig.audit.lines()[0]["trace"], format!("00-{TRACE}-{}-01", event.id));
}

#[tokio::test]
async fn what_nobody_wants_and_what_its_publisher_does_not_keep_is_no_span() {
    let rig = Rig::new(&[playbook("one", json!({"actions": [{"notify": {"to": ["log"]}}]}))]).await;
    let mut unwanted = event(json!({}));
    unwanted["rule"] = json!("Another");
    let spans = traced(async {
        let subscription = rig.subscribe([]);
        publish(&subscription, &unwanted, "01");
        publish(&subscription, &event(json!({})), "00");
        subscription.is_settled().await;
        rig.stop_using(subscription).await;
    })
    .await;
    assert!(spans.is_empty(), "{spans:?}");
    let told = &rig.audit.lines()[0]["trace"];
    assert!(told.as_str().is_some_and(|it| it.contains(TRACE) && it.ends_with("-00")), "{told}");
}

#[tokio::test]
async fn what_an_event_says_cannot_leave_its_place_in_a_span() {
    let rule = format!("a rule\u{1b}[2J\n{}", "x".repeat(1000));
    let mut said = event(json!({}));
    said["rule"] = json!(rule);
    let spec = json!({"match": {"rules": ["a rule*"]}, "actions": [{"notify": {"to": ["log"]}}]});
    let rig = Rig::new(&[playbook("one", spec)]).await;
    let spans = traced(async {
        let subscription = rig.subscribe([said]);
        subscription.is_settled().await;
        rig.stop_using(subscription).await;
    })
    .await;
    let event = spans.iter().find(|it| it.name == "event").expect("an event");
    assert_eq!(event.parent, "", "it begins a trace");
    let shown = event.attribute("falco.rule").expect("its rule");
    assert!(shown.chars().count() <= 120 && !shown.contains(char::is_control), "{shown:?}");
}
