//! `forward`: the event's own bytes, or fewer of them, durable elsewhere before anything is settled.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use playbooks::act::{
    Advance, Dependency, Destination, Destinations, Failure, FailureKind, Outgoing,
};
use serde_json::{Value, json};

use crate::{
    fixtures::{Bench, Setup, TRACE, event, pod, server, words},
    wire::DEADLINE,
};

/// A destination that fails by a script, and keeps what it was sent.
#[derive(Clone, Default)]
pub(crate) struct Topic {
    script: Arc<Mutex<VecDeque<Failure>>>,
    published: Arc<Mutex<Vec<Published>>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub(crate) id: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Topic {
    fn failing(script: impl Into<VecDeque<Failure>>) -> Topic {
        Topic { script: Arc::new(Mutex::new(script.into())), ..Topic::default() }
    }

    pub(crate) fn published(&self) -> Vec<Published> {
        self.published.lock().expect("published").clone()
    }
}

#[async_trait]
impl Destination for Topic {
    async fn publish(&self, outgoing: &Outgoing<'_>) -> Result<(), Failure> {
        if let Some(failure) = self.script.lock().expect("script").pop_front() {
            return Err(failure);
        }
        self.published.lock().expect("published").push(Published {
            id: outgoing.id.to_owned(),
            payload: outgoing.payload.to_vec(),
            headers: outgoing.headers.to_vec(),
        });
        Ok(())
    }
}

pub(crate) fn bench(topics: &[(&str, &Topic)]) -> Bench {
    let (api, _) = server(pod());
    let mut setup = Setup::new(api);
    setup.destinations = topics
        .iter()
        .fold(Destinations::new(), |all, (name, topic)| all.with(name, Arc::new((*topic).clone())));
    setup.build()
}

const WHOLE: &str = "mode: enforce\nactions: [forward: {to: sensitive}]";

#[tokio::test]
async fn a_whole_event_is_forwarded_byte_for_byte() {
    let topic = Topic::default();
    let event = event();
    let report = bench(&[("sensitive", &topic)]).run(WHOLE, &event).await;
    assert_eq!(words(&report), ["forward applied"]);
    let [published] = &topic.published()[..] else { panic!("{:?}", topic.published()) };
    assert_eq!(published.payload, event.to_string().into_bytes());
    let header = |name: &str| {
        let found = published.headers.iter().find(|(header, _)| *header == name);
        found.map(|(_, value)| value.as_str())
    };
    assert_eq!(header("stoop-id"), Some(published.id.as_str()));
    assert_eq!(header("stoop-event-id").map(str::len), Some(64));
    assert_eq!(header("stoop-playbook"), Some("test"));
    assert_eq!(header("traceparent"), Some(TRACE));
}

#[tokio::test]
async fn what_is_removed_is_removed_from_the_text_too() {
    let topic = Topic::default();
    let mut event = event();
    event["output_fields"]["user.name"] = json!("mallory");
    event["output"] = json!("A shell was spawned by mallory");
    let spec = "mode: enforce\nactions: [forward: {to: sensitive, remove: [user.name]}]";
    bench(&[("sensitive", &topic)]).run(spec, &event).await;
    let payload = topic.published()[0].payload.clone();
    assert!(!String::from_utf8_lossy(&payload).contains("mallory"));
    let left: Value = serde_json::from_slice(&payload).expect("JSON");
    assert_eq!(left["output_fields"]["k8s.pod.name"], "web");
}

#[tokio::test]
async fn what_is_removed_is_not_said_by_two_that_stand_side_by_side() {
    let topic = Topic::default();
    let mut event = event();
    event["output_fields"]["proc.env"] = json!("user.name=mallory");
    event["output_fields"]["user.name"] = json!("mallory");
    let spec = "mode: enforce\nactions: [forward: {to: sensitive, remove: [proc.env]}]";
    bench(&[("sensitive", &topic)]).run(spec, &event).await;
    let payload = topic.published()[0].payload.clone();
    assert!(!String::from_utf8_lossy(&payload).contains("user.name=mallory"));
}

#[tokio::test]
async fn a_copy_has_the_same_id_and_what_is_no_copy_has_another() {
    let (sensitive, other) = (Topic::default(), Topic::default());
    let bench = bench(&[("sensitive", &sensitive), ("other", &other)]);
    let event = event();
    for spec in [
        WHOLE,
        WHOLE,
        "mode: enforce\nactions: [forward: {to: sensitive, remove: [user.name]}]",
        "mode: enforce\nactions: [forward: {to: other}]",
    ] {
        bench.run(spec, &event).await;
    }
    let ids: Vec<_> = sensitive.published().into_iter().map(|published| published.id).collect();
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2]);
    assert_ne!(ids[0], other.published()[0].id);
}

#[tokio::test]
async fn a_destination_that_is_away_is_waited_for() {
    let away = || Failure::unavailable(Dependency::Destination(String::new()), "no broker");
    let topic = Topic::failing([away(), away()]);
    let bench = bench(&[("sensitive", &topic)]);
    let mut response = bench.begin(WHOLE, &event()).await;
    for _ in 0..2 {
        let Advance::Retry(failure) = bench.advance(&mut response).await else {
            panic!("not to be retried")
        };
        let away = Dependency::Destination("sensitive".into());
        assert_eq!(failure.kind, FailureKind::Unavailable(away));
        assert_eq!(failure.why, "destination sensitive: no broker");
    }
    assert!(matches!(bench.advance(&mut response).await, Advance::Finished(_)));
    assert_eq!(topic.published().len(), 1);
}

/// A destination that takes what it is given and never says a word.
struct Silent;

#[async_trait]
impl Destination for Silent {
    async fn publish(&self, _: &Outgoing<'_>) -> Result<(), Failure> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_never_answers_is_an_outage_at_the_deadline() {
    let mut setup = Setup::new(server(pod()).0);
    setup.destinations = Destinations::new().with("sensitive", Arc::new(Silent));
    let bench = setup.build();
    let mut response = bench.begin(WHOLE, &event()).await;
    let began = tokio::time::Instant::now();
    let Advance::Retry(failure) = bench.advance(&mut response).await else {
        panic!("not to be retried")
    };
    let away = Dependency::Destination("sensitive".into());
    assert_eq!(failure.kind, FailureKind::Unavailable(away));
    assert!(began.elapsed() <= DEADLINE);
}

#[tokio::test]
async fn an_event_that_is_refused_fails_for_good() {
    let topic = Topic::failing([Failure::permanent("too large")]);
    let report = bench(&[("sensitive", &topic)]).run(WHOLE, &event()).await;
    assert_eq!(words(&report), ["forward failed (permanent)"]);
    assert!(report.wants_redrive());
}

#[tokio::test]
async fn beside_an_action_that_answers_for_many_events_it_is_refused() {
    let bench = bench(&[("sensitive", &Topic::default())]);
    for spec in ["[forward: {to: sensitive}, delete]", "[delete, forward: {to: sensitive}]"] {
        let refused = bench.refuse(&format!("mode: enforce\nactions: {spec}"));
        assert!(refused.contains("put `forward` into a playbook of its own"), "{refused}");
    }
    let fallback = "mode: enforce\nactions: [{delete: {}, onFailure: [forward: {to: sensitive}]}]";
    assert!(!bench.plan(fallback).answers_each_event());
    assert!(bench.plan(WHOLE).answers_each_event());
}

#[tokio::test]
async fn it_needs_no_target() {
    let topic = Topic::default();
    let mut event = event();
    event["output_fields"] = json!({"container.id": "host", "proc.name": "sh"});
    let report = bench(&[("sensitive", &topic)]).run(WHOLE, &event).await;
    assert_eq!(words(&report), ["forward applied"]);
}

#[tokio::test]
async fn a_rehearsal_publishes_nothing() {
    let topic = Topic::default();
    for mode in ["observe", "dryRun"] {
        let spec = WHOLE.replace("enforce", mode);
        bench(&[("sensitive", &topic)]).run(&spec, &event()).await;
    }
    assert!(topic.published().is_empty());
}

#[tokio::test]
async fn what_cannot_work_is_refused_with_the_fix() {
    let refused = bench(&[("sensitive", &Topic::default())])
        .refuse("mode: enforce\nactions: [forward: {to: sensitiv}]");
    assert!(refused.contains("no destination `sensitiv`"), "{refused}");
    assert!(refused.contains("configured are: sensitive"), "{refused}");
    let refused = bench(&[]).refuse("mode: enforce\nactions: [forward: {to: x}]");
    assert!(refused.contains("`destinations`"), "{refused}");
    let refused = bench(&[("x", &Topic::default())])
        .refuse("mode: enforce\nactions: [forward: {to: x, remove: ['']}]");
    assert!(refused.contains("no field's name"), "{refused}");
}
