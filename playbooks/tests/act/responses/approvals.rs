//! A person is asked first: what waits is stored with its event, and runs only once it is approved.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use playbooks::{
    act::{
        Approved, BreakerLimits, Decision, Destinations, Failure, Notifiers, Phase, Question,
        Records, Retention, Undecidable,
    },
    decide::Event,
};

use serde_json::json;

use super::{recording, shelf::Responses};
use crate::{
    fixtures::{Bench, Setup, ago, event, event_at, pod, pod_with, with_pod, words},
    forward::Topic,
    outside::{Inbox, Scripted},
    wire::{Answer, Wire},
};

const SPEC: &str = "mode: enforce\napproval: required\nactions: [contain, notify: {to: [inbox]}]";
const WAITS: [&str; 2] = ["contain refused (approval)", "notify applied"];

struct Scene {
    responses: Responses,
    bench: Bench,
    contain: Scripted,
    inbox: Inbox,
    topic: Topic,
    wire: Wire,
}

fn scene() -> Scene {
    scene_on(Responses::default())
}

fn scene_on(responses: Responses) -> Scene {
    let (api, wire) = responses.serve(with_pod(pod()));
    let (contain, inbox) = (Scripted::containing("contain", []), Inbox::default());
    let mut setup = Setup::new(api.clone());
    setup.registry = contain.register(setup.registry);
    setup.notifiers =
        Notifiers::default().with("inbox", Arc::new(inbox.clone())).expect("a free name");
    let topic = Topic::default();
    setup.destinations = Destinations::new().with("topic", Arc::new(topic.clone()));
    Scene { responses, bench: recording("a", setup, api), contain, inbox, topic, wire }
}

impl Scene {
    fn records(&self) -> &Records {
        self.bench.engine.records().expect("records")
    }

    fn name(&self) -> String {
        self.responses.only().metadata.name.expect("a name")
    }

    async fn decide(&self, decision: Decision) -> Result<(), Undecidable> {
        self.records().shelf().decide(&self.name(), None, decision).await.map(drop)
    }

    async fn approved(&self) -> Vec<Approved> {
        self.records().approved().await.expect("a list")
    }
}

#[tokio::test]
async fn nothing_is_changed_before_it_is_approved_and_somebody_is_told() {
    let scene = scene();
    let event = event();
    let report = scene.bench.run(SPEC, &event).await;
    assert_eq!(words(&report), WAITS);
    assert!(
        !report.wants_redrive(),
        "the event is kept with the response, so it can be acknowledged"
    );
    assert!(report.is_alarming());
    assert_eq!((scene.contain.calls(), scene.inbox.messages().len()), (0, 1));
    let stored = scene.responses.only();
    assert_eq!(stored.phase(), Phase::Pending);
    let held = stored.spec.held.clone().expect("the event");
    assert_eq!(held.payload, event.to_string());
    assert!(Event::decode(held.payload.as_bytes()).is_ok());
    let command = format!("stoop responses approve {}", scene.name());
    assert!(report.steps[0].outcome.detail().contains(&command));
    assert!(scene.approved().await.is_empty());
}

#[tokio::test]
async fn a_fallback_that_leaves_the_cluster_waits_as_well() {
    let mut scene = scene();
    scene.contain = Scripted::containing("contain", [Failure::permanent("no").into()]);
    let (api, _) = scene.responses.serve(with_pod(pod()));
    let mut setup = Setup::new(api.clone());
    setup.registry = scene.contain.register(setup.registry);
    setup.destinations = Destinations::new().with("topic", Arc::new(scene.topic.clone()));
    scene.bench = recording("a", setup, api);
    let spec = "mode: enforce\napproval: required\nactions: [{contain: {}, onFailure: [forward: {to: topic}]}]";
    scene.bench.run(spec, &event()).await;
    assert!(scene.topic.published().is_empty());
    scene.decide(Decision::Approved).await.expect("approved");
    let runs = scene.bench.run(spec, &event()).await;
    assert_eq!(words(&runs), ["contain failed (permanent)", "forward applied"]);
    assert_eq!(scene.topic.published().len(), 1);
}

#[tokio::test]
async fn where_nothing_would_wait_nobody_is_asked() {
    let refused = scene().bench.refuse(&SPEC.replace("contain, ", ""));
    assert!(refused.contains("nothing here waits for an approval"), "{refused}");
}

#[tokio::test]
async fn once_approved_it_is_found_and_runs() {
    let scene = scene();
    let event = event();
    scene.bench.run(SPEC, &event).await;
    scene.decide(Decision::Approved).await.expect("approved");
    let approved = scene.approved().await;
    assert_eq!(approved.len(), 1);
    assert_eq!(*approved[0].payload, *event.to_string().as_bytes());

    let report = scene.bench.run(SPEC, &event).await;
    assert_eq!(words(&report), ["contain applied", "notify applied"]);
    assert_eq!(scene.contain.calls(), 1);
    let stored = scene.responses.only();
    assert_eq!((stored.phase(), stored.spec.run), (Phase::Succeeded, 1));
    assert!(scene.approved().await.is_empty(), "once");
    // And another event of the same time finds it answered.
    let again = scene.bench.run(SPEC, &event_at(ago(30))).await;
    assert_eq!(words(&again)[0], "contain skipped (answered)");
}

#[tokio::test]
async fn what_is_denied_is_never_run_and_its_events_are_answered() {
    let scene = scene();
    scene.bench.run(SPEC, &event()).await;
    scene.decide(Decision::Denied).await.expect("denied");
    assert!(scene.approved().await.is_empty());
    let retention = Retention { keep: std::time::Duration::from_secs(3600), most: 10 };
    for phase in [Phase::Pending, Phase::Denied] {
        assert_eq!(scene.responses.only().phase(), phase);
        let report = scene.bench.run(SPEC, &event_at(ago(30))).await;
        assert_eq!(words(&report)[0], "contain skipped (answered)");
        scene.records().sweep(retention).await.expect("swept");
    }
    assert_eq!(scene.contain.calls(), 0);
    assert!(scene.responses.only().spec.held.is_none(), "the event is held no longer");
}

#[tokio::test]
async fn what_is_decided_stays_decided() {
    let scene = scene();
    scene.bench.run(SPEC, &event()).await;
    scene.decide(Decision::Denied).await.expect("denied");
    let again = scene.decide(Decision::Approved).await;
    assert_eq!(again, Err(Undecidable::Decided(scene.name(), "denied")));
    assert_eq!(scene.responses.only().spec.decision, Some(Decision::Denied));
    scene
        .responses
        .change(|stored| stored.status.as_mut().expect("a status").phase = Phase::Failed);
    let again = scene.decide(Decision::Approved).await;
    assert_eq!(again, Err(Undecidable::Decided(scene.name(), "denied")));
    let shelf = scene.records().shelf();
    let unknown = shelf.decide("none", None, Decision::Approved).await.map(drop);
    assert_eq!(unknown, Err(Undecidable::Unknown("none".into())));
}

#[tokio::test]
async fn a_word_about_another_event_is_no_word_about_this_one() {
    let scene = scene();
    scene.bench.run(SPEC, &event()).await;
    let (shelf, stored) = (scene.records().shelf(), scene.responses.only());
    let until = stored.spec.held.as_ref().expect("it is held").until.as_second();
    let question = Question { name: scene.name(), event: stored.spec.event.id.clone(), until };
    let others = [
        Question { event: "another".to_owned(), ..question.clone() },
        // The same event, asked about once before.
        Question { until: until - 1, ..question.clone() },
    ];
    for other in others {
        let told = shelf.decide(&scene.name(), Some(&other), Decision::Approved).await.map(drop);
        assert_eq!(told, Err(Undecidable::NotAsked(scene.name())));
        assert_eq!(scene.responses.only().spec.decision, None);
    }
    let told = shelf.decide(&scene.name(), Some(&question), Decision::Approved).await;
    assert!(told.is_ok(), "{told:?}");
}

#[tokio::test]
async fn a_redelivery_asks_again_and_another_event_joins_in_silence() {
    let scene = scene();
    let event = event();
    scene.bench.run(SPEC, &event).await;
    // It crashed before it could tell.
    assert_eq!(words(&scene.bench.run(SPEC, &event).await), WAITS);
    let other = scene.bench.run(SPEC, &event_at(ago(30))).await;
    assert_eq!(words(&other), ["contain skipped (answered)", "notify skipped (answered)"]);
    assert_eq!(scene.inbox.messages().len(), 2);
    assert_eq!(scene.contain.calls(), 0);
}

#[tokio::test]
async fn a_question_that_nobody_answers_is_over() {
    let scene = scene();
    scene.bench.run(SPEC, &event()).await;
    scene.responses.change(|stored| {
        if let Some(held) = &mut stored.spec.held {
            held.until = Timestamp::now();
        }
    });
    assert!(matches!(scene.decide(Decision::Approved).await, Err(Undecidable::Over(..))));
    let retention = Retention { keep: std::time::Duration::from_secs(3600), most: 10 };
    let swept = scene.records().sweep(retention).await.expect("swept");
    assert_eq!(swept.expired, [scene.name()]);
    assert_eq!(scene.responses.only().phase(), Phase::Expired);
    // The next event is a new question.
    assert_eq!(words(&scene.bench.run(SPEC, &event_at(ago(30))).await), WAITS);
    assert_eq!(scene.responses.only().spec.run, 2);
    scene.decide(Decision::Approved).await.expect("asked anew");
}

#[tokio::test]
async fn a_question_that_is_over_is_asked_anew_before_any_sweep() {
    let scene = scene();
    scene.bench.run(SPEC, &event_at(ago(60))).await;
    scene.responses.change(|stored| {
        stored.spec.held.as_mut().expect("the event").until = Timestamp::now();
    });
    let next = event_at(ago(30));
    assert_eq!(words(&scene.bench.run(SPEC, &next).await), WAITS);
    let stored = scene.responses.only();
    let held = stored.spec.held.expect("the next event");
    assert!(held.until > Timestamp::now());
    assert_eq!(held.payload, next.to_string());
    assert_eq!(stored.spec.run, 2);
}

#[tokio::test]
async fn what_waits_is_done_once_the_playbook_asks_nobody_any_more() {
    let scene = scene();
    scene.bench.run(SPEC, &event()).await;
    let spec = SPEC.replace("approval: required\n", "");
    let report = scene.bench.run(&spec, &event()).await;
    assert_eq!(words(&report), ["contain applied", "notify applied"]);
    let stored = scene.responses.only();
    assert_eq!(stored.phase(), Phase::Succeeded);
    assert!(stored.spec.held.is_none());
    assert!(!stored.metadata.labels.expect("labels").contains_key("stoop.dev/held"));
}

#[tokio::test]
async fn what_was_approved_and_nobody_takes_up_fails_after_a_day_and_keeps_its_event() {
    let scene = scene();
    scene.bench.run(SPEC, &event()).await;
    scene.decide(Decision::Approved).await.expect("approved");
    let retention = Retention { keep: std::time::Duration::from_secs(3600), most: 10 };
    for (hours, phase) in [(23, Phase::Pending), (24, Phase::Failed)] {
        scene.responses.change(|stored| {
            let ago = Timestamp::now() - SignedDuration::from_hours(hours);
            stored.spec.held.as_mut().expect("the event").until = ago;
            stored.spec.claim.until = ago;
        });
        scene.records().sweep(retention).await.expect("swept");
        assert_eq!(scene.responses.only().phase(), phase);
    }
    scene.records().sweep(retention).await.expect("swept");
    assert!(scene.responses.only().spec.held.is_some());
    scene.decide(Decision::Approved).await.expect("once more");
}

#[tokio::test]
async fn what_was_approved_and_not_done_can_be_approved_once_more() {
    let scene = scene();
    scene.bench.run(SPEC, &event()).await;
    scene.decide(Decision::Approved).await.expect("approved");
    let [approved] = &scene.approved().await[..] else { panic!("one is approved") };
    scene.records().close(approved, Phase::Refused, "the kill switch is on").await.expect("closed");
    assert!(scene.approved().await.is_empty());

    // No link does that: it was about one question.
    let stored = scene.responses.only();
    let until = stored.spec.held.as_ref().expect("it is held").until.as_second();
    let link = Question { name: scene.name(), event: stored.spec.event.id.clone(), until };
    let by_link = scene.records().shelf().decide(&link.name, Some(&link), Decision::Approved).await;
    assert!(matches!(by_link, Err(Undecidable::Decided(..))), "{by_link:?}");
    assert!(scene.decide(Decision::Denied).await.is_err());

    scene.decide(Decision::Approved).await.expect("approved again");
    // The first run's end comes once more, late.
    scene.records().close(approved, Phase::Failed, "late").await.expect("closed");
    let [again] = &scene.approved().await[..] else { panic!("it is taken up again") };
    assert_eq!(*again.payload, *approved.payload);
    assert!(again.at >= approved.at);
    let report = scene.bench.run(SPEC, &event()).await;
    assert_eq!(words(&report), ["contain applied", "notify applied"]);
    let stored = scene.responses.only();
    assert_eq!((stored.phase(), stored.spec.run), (Phase::Succeeded, 2));
    assert!(scene.decide(Decision::Approved).await.is_err(), "it was done");
}

#[tokio::test]
async fn an_event_that_is_too_long_to_be_held_belongs_to_the_dead_letters() {
    let scene = scene();
    let mut event = event();
    event["output_fields"]["proc.cmdline"] = serde_json::json!("x".repeat(200_000));
    let report = scene.bench.run(SPEC, &event).await;
    assert_eq!(words(&report)[0], "contain failed (permanent)");
    assert!(report.wants_redrive());
    assert!(scene.wire.writes().is_empty());
}

#[tokio::test]
async fn an_approved_one_that_a_guard_holds_back_is_closed_and_not_taken_up_again() {
    let scene = scene();
    scene.bench.run(SPEC, &event()).await;
    scene.decide(Decision::Approved).await.expect("approved");
    let approved = scene.approved().await.remove(0);
    scene.records().close(&approved, Phase::Refused, "kill switch").await.expect("closed");
    assert!(scene.approved().await.is_empty());
    assert_eq!(scene.responses.only().phase(), Phase::Refused);
}

#[tokio::test]
async fn without_the_definition_nobody_can_be_asked() {
    let scene = scene_on(Responses::absent());
    let mut response = scene.bench.begin(SPEC, &event()).await;
    let advanced = scene.bench.advance(&mut response).await;
    assert!(matches!(advanced, playbooks::act::Advance::Retry(_)), "{advanced:?}");
    assert_eq!(scene.contain.calls(), 0);
}

#[tokio::test]
async fn the_age_of_an_approved_event_counts_from_the_approval() {
    let scene = scene();
    let old = event_at(Timestamp::now() - SignedDuration::from_secs(3600));
    let (claim, mut occurrence) = crate::fixtures::occurrence(&old);
    let verified = scene.bench.engine.verify(&claim, &occurrence, Default::default()).await;
    let standing = playbooks::act::Standing::of(verified.expect("verified")).expect("ours");
    let mut words_at = async |approved: Option<Timestamp>| {
        occurrence.approved = approved;
        let plan = scene.bench.plan("mode: enforce\nactions: [contain]");
        let event = Arc::new(occurrence.clone());
        let mut response = playbooks::act::Response::new(plan, standing.clone(), event);
        match scene.bench.advance(&mut response).await {
            playbooks::act::Advance::Finished(report) => words(&report),
            other => panic!("not finished: {other:?}"),
        }
    };
    assert_eq!(words_at(None).await, ["contain refused (event-age)"]);
    assert_eq!(words_at(Some(ago(600))).await, ["contain refused (event-age)"]);
    assert_eq!(words_at(Some(ago(1))).await, ["contain applied"]);
}

#[tokio::test]
async fn a_word_that_comes_while_it_is_still_being_told_counts() {
    let responses = Responses::default();
    let (kept, mut rest, mut is_first) = (responses.clone(), with_pod(pod()), true);
    let (api, _) = Wire::new(move |request| {
        if request.path.ends_with("/status") && std::mem::take(&mut is_first) {
            kept.change(|stored| stored.spec.decision = Some(Decision::Approved));
        }
        kept.answer(request).unwrap_or_else(|| rest(request))
    });
    let bench = super::worker("a", api);
    let spec = "mode: enforce\napproval: required\nactions: [delete]";
    let event = event();
    assert_eq!(words(&bench.run(spec, &event).await), ["delete refused (approval)"]);
    let records = bench.engine.records().expect("records");
    assert_eq!(records.approved().await.expect("a list").len(), 1);
    assert_eq!(words(&bench.run(spec, &event).await), ["delete applied"]);
    assert_eq!(responses.only().phase(), Phase::Succeeded);
}

#[tokio::test]
async fn what_waits_takes_no_room_from_what_runs() {
    let responses = Responses::default();
    let (api, _) = responses.serve(|request| {
        let name = request.path.rsplit('/').next().unwrap_or_default().to_owned();
        Answer::Json(200, pod_with(|pod| pod["metadata"]["uid"] = json!(name.clone())))
    });
    let contain = Scripted::containing("contain", []);
    let mut setup = Setup::new(api.clone());
    setup.registry = contain.register(setup.registry);
    setup.guardrails.breaker = BreakerLimits { per_owner: 1, ..BreakerLimits::default() };
    let bench = recording("a", setup, api);
    let about = |name: &str| {
        let mut event = event();
        event["output_fields"]["k8s.pod.name"] = json!(name);
        event["output_fields"]["k8s.pod.uid"] = json!(name);
        event
    };
    let asks = "mode: enforce\napproval: required\nactions: [contain]";
    let runs = "mode: enforce\nactions: [contain]";
    assert_eq!(words(&bench.run(asks, &about("a")).await), ["contain refused (approval)"]);
    assert_eq!(words(&bench.run(runs, &about("b")).await), ["contain applied"]);
    // Its turn comes, and there is no room left.
    assert_eq!(words(&bench.run(asks, &about("c")).await), ["contain refused (breaker)"]);
    assert_eq!(contain.calls(), 1);
}
