//! What is written of a response, and when: before its first change, and once it has ended.

use std::sync::Arc;

use http::Method;
use playbooks::act::{Advance, FailureKind, Notifiers, Phase};
use serde_json::json;

use super::{
    recording,
    shelf::{RESPONSES, Responses},
    worker,
};
use crate::{
    fixtures::{POD, Setup, UID, ago, event, event_at, pod, with_pod, words},
    outside::Inbox,
    wire::{Answer, Request, Wire, error},
};

const DELETE: &str = "mode: enforce\nactions: [delete]";

/// What was written, in order: of the pod, and of the responses.
fn writes(wire: &Wire) -> Vec<String> {
    let short = |path: &str| match path.strip_prefix(RESPONSES) {
        Some("") => "responses".to_owned(),
        Some(rest) if rest.ends_with("/status") => "status".to_owned(),
        Some(_) => "response".to_owned(),
        None => path.trim_start_matches("/api/v1/namespaces/shop/").to_owned(),
    };
    wire.writes().iter().map(|it| format!("{} {}", it.method, short(&it.path))).collect()
}

/// Answers as `with_pod` does, unless `between` has another answer.
fn disturbed(
    responses: &Responses,
    mut between: impl FnMut(&Request) -> Option<Answer> + Send + 'static,
) -> (playbooks::act::Api, Wire) {
    let (responses, mut rest) = (responses.clone(), with_pod(pod()));
    Wire::new(move |request| {
        between(request).or_else(|| responses.answer(request)).unwrap_or_else(|| rest(request))
    })
}

#[tokio::test]
async fn it_is_written_down_before_the_change_and_its_end_after_in_two_requests() {
    let responses = Responses::default();
    let (api, wire) = responses.serve(with_pod(pod()));
    let report = worker("a", api).run(DELETE, &event()).await;
    assert_eq!(words(&report), ["delete applied"]);
    assert_eq!(writes(&wire), ["POST responses", "DELETE pods/web", "PUT status"]);
    let asked = wire.requests().into_iter().filter(|it| it.path.starts_with(RESPONSES));
    assert_eq!(asked.count(), 2);

    let stored = responses.only();
    assert_eq!(stored.phase(), Phase::Succeeded);
    assert_eq!(stored.spec.playbook, "test");
    let target = stored.spec.target.clone().expect("a target");
    assert_eq!((target.kind.as_str(), target.name.as_str()), ("Pod", "web"));
    assert_eq!((target.namespace.as_deref(), target.uid.as_deref()), (Some("shop"), Some(UID)));
    assert_eq!(
        stored
            .metadata
            .labels
            .as_ref()
            .and_then(|it| it.get("stoop.dev/target-uid"))
            .map(String::as_str),
        Some(UID)
    );
    assert_eq!(stored.spec.event.rule, "Terminal shell in container");
    let status = stored.current().expect("a status");
    assert_eq!((status.members, status.done.as_str()), (1, "delete"));
    assert_eq!(status.actions[0].outcome, "applied");
    assert_eq!(status.undo, None, "nobody brings a pod back");
}

#[tokio::test]
async fn what_changes_nothing_leaves_no_object() {
    for spec in [
        "mode: observe\nactions: [delete]",
        "mode: dryRun\nactions: [delete]",
        "mode: enforce\nactions: [notify: {to: [log]}]",
    ] {
        let responses = Responses::default();
        let (api, wire) = responses.serve(with_pod(pod()));
        worker("a", api).run(spec, &event()).await;
        let asked = wire.requests().into_iter().filter(|it| it.path.starts_with("/apis"));
        assert_eq!(asked.count(), 0, "{spec}");
    }
}

#[tokio::test]
async fn what_a_guard_holds_back_leaves_no_object_and_neither_does_telling_of_it() {
    let responses = Responses::default();
    let (api, wire) = responses.serve(with_pod(pod()));
    let spec = "mode: enforce\nactions: [delete, notify: {to: [log]}]";
    let report = worker("a", api).run(spec, &event_at(ago(3600))).await;
    assert_eq!(words(&report), ["delete refused (event-age)", "notify applied"]);
    assert!(wire.requests().iter().all(|it| !it.path.starts_with("/apis")));
}

#[tokio::test]
async fn nothing_is_changed_while_it_cannot_be_written_down() {
    let away = |request: &Request| {
        let is_create = request.is(&Method::POST, RESPONSES);
        is_create.then(|| error(503, "ServiceUnavailable", "away"))
    };
    let (api, wire) = disturbed(&Responses::default(), away);
    let bench = worker("a", api);
    let mut response = bench.begin(DELETE, &event()).await;
    let Advance::Retry(failure) = bench.advance(&mut response).await else { panic!("not away") };
    assert!(matches!(failure.kind, FailureKind::Unavailable(_)));
    assert_eq!(writes(&wire), ["POST responses"]);

    let (api, wire) = disturbed(&Responses::default(), |request| {
        request.is(&Method::POST, RESPONSES).then(|| error(403, "Forbidden", "no"))
    });
    let report = worker("a", api).run(DELETE, &event()).await;
    assert_eq!(words(&report), ["delete failed (permanent)"]);
    assert!(report.wants_redrive() && report.is_alarming());
    assert_eq!(writes(&wire), ["POST responses"]);
}

#[tokio::test]
async fn it_is_not_over_before_its_end_is_written_and_nothing_is_done_twice() {
    let mut failures = 2;
    let responses = Responses::default();
    let (api, wire) = disturbed(&responses, move |request| {
        let is_end = request.path.ends_with("/status") && failures > 0;
        is_end.then(|| {
            failures -= 1;
            error(500, "InternalError", "a hiccup")
        })
    });
    let bench = worker("a", api);
    let mut response = bench.begin(DELETE, &event()).await;
    for _ in 0..2 {
        assert!(matches!(bench.advance(&mut response).await, Advance::Retry(_)));
    }
    let Advance::Finished(report) = bench.advance(&mut response).await else { panic!("no end") };
    assert_eq!(words(&report), ["delete applied"]);
    assert_eq!(writes(&wire)[1..3], ["DELETE pods/web", "PUT status"]);
    assert_eq!(writes(&wire).iter().filter(|it| it.starts_with("DELETE")).count(), 1);
    assert_eq!(responses.only().phase(), Phase::Succeeded);
}

#[tokio::test]
async fn an_end_that_can_never_be_written_belongs_to_the_dead_letters() {
    let (api, _) = disturbed(&Responses::default(), |request| {
        request.path.ends_with("/status").then(|| error(403, "Forbidden", "no"))
    });
    let report = worker("a", api).run(DELETE, &event()).await;
    assert_eq!(words(&report), ["delete applied", "record failed (permanent)"]);
    assert!(report.wants_redrive());
    assert!(!report.is_alarming(), "the pod is deleted");
}

#[tokio::test]
async fn without_the_definition_it_runs_unwritten_unless_it_needs_to_be() {
    let responses = Responses::absent();
    let (api, wire) = responses.serve(with_pod(pod()));
    let bench = worker("a", api);
    assert_eq!(words(&bench.run(DELETE, &event()).await), ["delete applied"]);
    assert_eq!(writes(&wire), ["DELETE pods/web"]);

    let (api, wire) = Responses::absent().serve(with_pod(pod()));
    let spec = "mode: enforce\nactions: [label: {key: a, value: b, expireAfter: 1h}]";
    let bench = worker("a", api);
    let mut response = bench.begin(spec, &event()).await;
    let advanced = bench.advance(&mut response).await;
    // An API server that has just started may not know of it yet.
    let Advance::Retry(failure) = advanced else { panic!("not tried again: {advanced:?}") };
    assert_eq!(failure.kind, FailureKind::Transient);
    assert!(failure.why.contains("stoop crds | kubectl apply"), "{failure}");
    assert_eq!(writes(&wire), [""; 0]);
}

#[tokio::test]
async fn what_an_attacker_wrote_is_harmless_and_short_in_the_object() {
    let responses = Responses::default();
    let (api, _) = responses.serve(with_pod(pod()));
    let mut event = event();
    event["rule"] = json!("x\u{1b}[31m\u{202e}\n".repeat(1000));
    event["output"] = json!("\u{0}<!channel>\r\n".repeat(100_000));
    worker("a", api).run(DELETE, &event).await;
    let stored = responses.only();
    let texts = [&stored.spec.event.rule, &stored.spec.event.output];
    assert!(texts.iter().all(|text| !text.chars().any(|c| c.is_control() || c == '\u{202e}')));
    assert!(serde_json::to_string(&stored).expect("JSON").len() < 4096);
    assert!(stored.metadata.name.is_some_and(|name| name.starts_with("test-")));
}

#[tokio::test]
async fn a_failure_is_told_in_the_object_too() {
    let responses = Responses::default();
    let (api, _) = disturbed(&responses, |request| {
        request
            .is(&Method::DELETE, POD)
            .then(|| error(403, "Forbidden", "pods \"web\" is forbidden"))
    });
    let inbox = Inbox::default();
    let mut setup = Setup::new(api.clone());
    setup.notifiers = Notifiers::default().with("inbox", Arc::new(inbox)).expect("a free name");
    let report = recording("a", setup, api).run(DELETE, &event()).await;
    assert_eq!(words(&report), ["delete failed (permanent)"]);
    let stored = responses.only();
    assert_eq!(stored.phase(), Phase::Failed);
    let status = stored.current().expect("a status");
    assert_eq!(status.actions[0].reason.as_deref(), Some("permanent"));
    assert_eq!(status.done, "delete failed");
}
