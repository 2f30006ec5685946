//! The order of things: what runs after what, what is repeated, and what never is.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use playbooks::act::{
    Action, Advance, Context, Dependency, Failure, FailureKind, Notifiers, Outcome, Response,
    Standing, Subject,
};
use playbooks::decide::Mode;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    fixtures::{Bench, Setup, event, occurrence, pod, server, words},
    outside::{Inbox, Scripted},
    wire::{Wire, not_found},
};

fn transient() -> Outcome {
    Failure::transient("a hiccup").into()
}

fn away() -> Outcome {
    Failure::unavailable(Dependency::KubernetesApi, "away").into()
}

fn permanent() -> Outcome {
    Failure::permanent("forbidden").into()
}

pub(crate) fn bench(actions: &[&Scripted], inbox: &Inbox) -> Bench {
    let (api, _) = server(pod());
    let mut setup = Setup::new(api);
    for action in actions {
        setup.registry = action.register(setup.registry);
    }
    setup.notifiers =
        Notifiers::default().with("inbox", Arc::new(inbox.clone())).expect("a free name");
    setup.build()
}

/// Advances as the worker does, without its waits; how often it was told to come back.
pub(crate) async fn to_the_end(
    bench: &Bench,
    response: &mut Response,
) -> (playbooks::act::Report, usize) {
    for retries in 0.. {
        match bench.advance(response).await {
            Advance::Finished(report) => return (*report, retries),
            Advance::Retry(_) => {}
            Advance::Lost => panic!("lost"),
        }
        assert!(retries < 100, "no end");
    }
    unreachable!()
}

#[tokio::test]
async fn what_succeeded_is_not_repeated_when_a_later_step_is_retried() {
    let contain = Scripted::containing("contain", []);
    let second = Scripted::containing("second", [transient(), away(), transient()]);
    let bench = bench(&[&contain, &second], &Inbox::default());
    let mut response = bench.begin("mode: enforce\nactions: [contain, second]", &event()).await;
    let (report, retries) = to_the_end(&bench, &mut response).await;
    assert_eq!(words(&report), ["contain applied", "second applied"]);
    assert_eq!((contain.calls(), second.calls(), retries), (1, 4, 3));
}

#[tokio::test]
async fn a_notifier_that_is_away_never_repeats_or_delays_containment() {
    let first = Scripted::containing("first", []);
    let second = Scripted::containing("second", []);
    let outage = || Failure::unavailable(Dependency::Sink(String::new()), "away");
    let inbox = Inbox::failing([outage(), outage()]);
    let bench = bench(&[&first, &second], &inbox);
    let spec = "mode: enforce\nactions: [first, notify: {to: [inbox]}, second]";
    let mut response = bench.begin(spec, &event()).await;
    let Advance::Retry(failure) = bench.advance(&mut response).await else {
        panic!("not to be retried")
    };
    assert_eq!(failure.kind, FailureKind::Unavailable(Dependency::Sink("inbox".into())));
    assert_eq!((first.calls(), second.calls()), (1, 1), "contained at once");
    let (report, _) = to_the_end(&bench, &mut response).await;
    assert_eq!(words(&report), ["first applied", "notify applied", "second applied"]);
    assert_eq!((first.calls(), second.calls(), inbox.messages().len()), (1, 1, 1));
}

#[tokio::test]
async fn transient_failures_use_up_attempts_and_an_outage_does_not() {
    let spec = "mode: enforce\nactions: [act]\nlimits: {attempts: 3}";
    let failing = Scripted::containing("act", vec![transient(); 10]);
    let bench_ = bench(&[&failing], &Inbox::default());
    let mut response = bench_.begin(spec, &event()).await;
    let (report, _) = to_the_end(&bench_, &mut response).await;
    assert_eq!((words(&report), failing.calls()), (vec!["act failed (transient)".to_owned()], 3));
    assert!(report.wants_redrive());

    let mut script = vec![away(); 50];
    script.extend([transient(), transient()]);
    let outage = Scripted::containing("act", script);
    let bench_ = bench(&[&outage], &Inbox::default());
    let mut response = bench_.begin(spec, &event()).await;
    let (report, retries) = to_the_end(&bench_, &mut response).await;
    assert_eq!((words(&report), retries), (vec!["act applied".to_owned()], 52));
}

#[tokio::test(start_paused = true)]
async fn the_playbooks_time_ends_what_is_tried_again() {
    let act = Scripted::containing("act", vec![transient(); 10]);
    let bench = bench(&[&act], &Inbox::default());
    let spec = "mode: enforce\nactions: [act]\nlimits: {timeout: 10s, attempts: 100}";
    let mut response = bench.begin(spec, &event()).await;
    assert!(matches!(bench.advance(&mut response).await, Advance::Retry(_)));
    tokio::time::advance(Duration::from_secs(10)).await;
    assert!(matches!(bench.advance(&mut response).await, Advance::Finished(_)));
    assert_eq!(act.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_still_under_way_at_the_time_limit_has_failed() {
    let pending = || Outcome::Pending("the job runs".into());
    let act = Scripted::containing("act", vec![pending(); 10]);
    let fallback = Scripted::containing("fallback", []);
    let bench = bench(&[&act, &fallback], &Inbox::default());
    let spec = "mode: enforce\nactions: [{act: {}, onFailure: [fallback]}]\nlimits: {timeout: 10s, attempts: 2}";
    let mut response = bench.begin(spec, &event()).await;
    for _ in 0..3 {
        assert!(matches!(bench.advance(&mut response).await, Advance::Retry(_)));
    }
    tokio::time::advance(Duration::from_secs(10)).await;
    let (report, _) = to_the_end(&bench, &mut response).await;
    assert_eq!(words(&report), ["act failed (transient)", "fallback applied"]);
    assert_eq!(report.overall.as_str(), "failed", "never acknowledged as done");
    let why = report.overall.detail();
    assert!(why.contains("the job runs") && why.contains("limits.timeout"), "{why}");
}

#[tokio::test]
async fn what_is_under_way_uses_up_no_attempt() {
    let pending = || Outcome::Pending("the job runs".into());
    let act = Scripted::containing("act", [pending(), pending(), pending(), transient()]);
    let bench = bench(&[&act], &Inbox::default());
    let spec = "mode: enforce\nactions: [act]\nlimits: {attempts: 2}";
    let mut response = bench.begin(spec, &event()).await;
    let (report, retries) = to_the_end(&bench, &mut response).await;
    assert_eq!((words(&report), retries), (vec!["act applied".to_owned()], 4));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_what_is_under_way_is_seen_soon() {
    let pending = || Outcome::Pending("the job runs".into());
    let act = Scripted::containing("act", vec![pending(); 100]);
    let bench = bench(&[&act], &Inbox::default());
    let mut response = bench.begin("mode: enforce\nactions: [act]", &event()).await;
    for (after, wait) in [(0, 500), (2, 500), (14, 2_000), (64, 5_000), (300, 5_000)] {
        tokio::time::advance(Duration::from_secs(after)).await;
        let Advance::Retry(failure) = bench.advance(&mut response).await else {
            panic!("it ended")
        };
        assert_eq!(failure.retry_after, Some(Duration::from_millis(wait)), "after {after} s more");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_outlasts_the_playbooks_time_leaves_the_attempts_behind_it() {
    let act = Scripted::containing("act", [away(), away(), transient(), transient()]);
    let bench = bench(&[&act], &Inbox::default());
    let spec = "mode: enforce\nactions: [act]\nlimits: {timeout: 10s}";
    let mut response = bench.begin(spec, &event()).await;
    for _ in 0..2 {
        assert!(matches!(bench.advance(&mut response).await, Advance::Retry(_)));
        tokio::time::advance(Duration::from_secs(60)).await;
    }
    for _ in 0..2 {
        assert!(matches!(bench.advance(&mut response).await, Advance::Retry(_)));
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    let (report, _) = to_the_end(&bench, &mut response).await;
    assert_eq!(words(&report), ["act applied"]);
}

#[tokio::test(start_paused = true)]
async fn a_notifier_is_waited_for_within_the_playbooks_time_and_repeats_nothing() {
    let act = Scripted::containing("act", []);
    let gone = || Failure::unavailable(Dependency::Sink(String::new()), "away");
    let inbox = Inbox::failing([gone(), gone()]);
    let bench = bench(&[&act], &inbox);
    let spec =
        "mode: enforce\nactions: [act, notify: {to: [inbox]}]\nlimits: {timeout: 10s, attempts: 1}";
    let mut response = bench.begin(spec, &event()).await;
    assert!(matches!(bench.advance(&mut response).await, Advance::Retry(_)));
    tokio::time::advance(Duration::from_secs(11)).await;
    let Advance::Finished(report) = bench.advance(&mut response).await else {
        panic!("it is waited for without end")
    };
    assert_eq!(words(&report), ["act applied", "notify failed (unavailable)"]);
    assert!(report.wants_redrive(), "nobody has heard of it");
    assert_eq!(act.calls(), 1);
}

/// An action that never ends the first time.
#[derive(Clone, Default)]
struct Hangs(Arc<AtomicUsize>);

#[async_trait::async_trait]
impl Action for Hangs {
    fn name(&self) -> &'static str {
        "hangs"
    }

    fn describe(&self) -> String {
        "hang".into()
    }

    fn needs_target(&self) -> bool {
        false
    }

    fn changes_cluster(&self) -> bool {
        true
    }

    async fn apply(&self, _: &Context<'_>, _: Subject<'_>) -> Outcome {
        match self.0.fetch_add(1, Ordering::SeqCst) {
            0 => std::future::pending().await,
            _ => Outcome::AlreadyDone("found it done".into()),
        }
    }
}

fn hanging() -> Bench {
    let (api, _) = server(pod());
    let mut setup = Setup::new(api);
    setup.registry = setup.registry.with("hangs", |_, _| Ok(Arc::new(Hangs::default())));
    setup.build()
}

#[tokio::test(start_paused = true)]
async fn an_action_that_hangs_is_cut_off() {
    let bench = hanging();
    let mut response = bench.begin("mode: enforce\nactions: [hangs]", &event()).await;
    let Advance::Retry(failure) = bench.advance(&mut response).await else {
        panic!("not to be retried")
    };
    assert_eq!(failure.kind, FailureKind::Transient);
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_is_dropped_forgets_no_step() {
    let bench = hanging();
    let mut response =
        bench.begin("mode: enforce\nactions: [hangs, notify: {to: [log]}]", &event()).await;
    let dropped = tokio::time::timeout(Duration::from_secs(1), bench.advance(&mut response)).await;
    assert!(dropped.is_err());
    let Advance::Finished(report) = bench.advance(&mut response).await else {
        panic!("not finished")
    };
    assert_eq!(words(&report), ["hangs already-done", "notify applied"]);
}

#[tokio::test]
async fn a_containment_that_a_failed_notification_stopped_is_alarming() {
    let act = Scripted::containing("act", []);
    let inbox = Inbox::failing([Failure::permanent("no such channel")]);
    let bench = bench(&[&act], &inbox);
    let spec = "mode: enforce\nactions: [{notify: {to: [inbox]}, onFailure: stop}, act]";
    let report = bench.run(spec, &event()).await;
    assert_eq!(words(&report), ["notify failed (permanent)", "act skipped (stopped)"]);
    assert!(report.is_alarming() && report.wants_redrive());
}

#[tokio::test]
async fn a_failure_holds_back_later_changes_and_is_told_of() {
    let first = Scripted::containing("first", [permanent()]);
    let second = Scripted::containing("second", []);
    let inbox = Inbox::default();
    let bench = bench(&[&first, &second], &inbox);
    let report =
        bench.run("mode: enforce\nactions: [first, second, notify: {to: [inbox]}]", &event()).await;
    assert_eq!(
        words(&report),
        ["first failed (permanent)", "second skipped (stopped)", "notify applied"]
    );
    assert_eq!(second.calls(), 0);
    assert_eq!(report.overall.as_str(), "failed");
    assert_eq!(inbox.messages()[0]["steps"][0]["outcome"], "failed");
}

#[tokio::test]
async fn continue_goes_on_and_a_fallback_takes_over() {
    let first = Scripted::containing("first", [permanent()]);
    let second = Scripted::containing("second", []);
    let bench_ = bench(&[&first, &second], &Inbox::default());
    let report = bench_
        .run("mode: enforce\nactions: [{first: {}, onFailure: continue}, second]", &event())
        .await;
    assert_eq!(words(&report), ["first failed (permanent)", "second applied"]);
    assert!(report.wants_redrive(), "what failed is not forgotten");

    let first = Scripted::containing("first", [permanent()]);
    let fallback = Scripted::containing("fallback", []);
    let bench_ = bench(&[&first, &second, &fallback], &Inbox::default());
    let spec = "mode: enforce\nactions: [{first: {}, onFailure: [fallback, notify: {to: [inbox]}]}, second]";
    let report = bench_.run(spec, &event()).await;
    assert_eq!(
        words(&report),
        [
            "first failed (permanent)",
            "fallback applied",
            "notify applied",
            "second skipped (stopped)"
        ]
    );
}

#[tokio::test]
async fn what_is_gone_is_done_for_delete_skipped_for_others_and_still_told_of() {
    let other = Scripted::containing("other", []);
    let inbox = Inbox::default();
    let (api, _) = Wire::new(|_| not_found());
    let mut setup = Setup::new(api);
    setup.registry = other.register(setup.registry);
    setup.notifiers =
        Notifiers::default().with("inbox", Arc::new(inbox.clone())).expect("a free name");
    let report = setup
        .build()
        .run("mode: enforce\nactions: [delete, other, notify: {to: [inbox]}]", &event())
        .await;
    assert_eq!(words(&report), ["delete already-done", "other skipped (gone)", "notify applied"]);
    assert_eq!(other.calls(), 0);
    assert_eq!(report.overall.as_str(), "applied");
    let message = &inbox.messages()[0];
    assert_eq!((&message["target"], &message["verified"]), (&json!("shop/web"), &json!(false)));
}

#[tokio::test]
async fn a_lost_delivery_stops_before_the_next_action() {
    let first = Scripted::containing("first", []);
    let bench = bench(&[&first], &Inbox::default());
    let mut response = bench.begin("mode: enforce\nactions: [first]", &event()).await;
    let lost = CancellationToken::new();
    lost.cancel();
    assert!(matches!(bench.engine.advance(&mut response, &lost).await, Advance::Lost));
    assert_eq!((first.calls(), response.steps().len()), (0, 0));
    // Found again: nothing was forgotten.
    assert!(matches!(bench.advance(&mut response).await, Advance::Finished(_)));
    assert_eq!(first.calls(), 1);
}

#[tokio::test]
async fn a_lost_delivery_concludes_nothing_even_where_nothing_would_be_done() {
    let bench = bench(&[], &Inbox::default());
    let mut response = bench.begin("mode: observe\nactions: [delete]", &event()).await;
    let lost = CancellationToken::new();
    lost.cancel();
    assert!(matches!(bench.engine.advance(&mut response, &lost).await, Advance::Lost));
    assert!(response.steps().is_empty());
}

#[tokio::test]
async fn without_a_verified_identity_nothing_is_changed() {
    let act = Scripted::containing("act", []);
    let inbox = Inbox::default();
    let bench = bench(&[&act], &inbox);
    let spec = "mode: enforce\nactions: [act, delete, notify: {to: [inbox]}]";
    for standing in [Standing::NoTarget, Standing::Unidentified("two pods match".into())] {
        let mut response =
            Response::new(bench.plan(spec), standing, Arc::new(occurrence(&event()).1));
        let Advance::Finished(report) = bench.advance(&mut response).await else {
            panic!("not finished")
        };
        assert_eq!(
            words(&report),
            ["act refused (identity)", "delete skipped (stopped)", "notify applied"]
        );
        assert!(!report.wants_redrive());
        assert!(report.is_alarming());
    }
    assert_eq!((act.calls(), inbox.messages().len()), (0, 2));
}

#[tokio::test]
async fn observe_and_dry_run_change_nothing() {
    let act = Scripted::containing("act", []);
    let unaware = Scripted::containing("unaware", []).without_dry_run();
    let inbox = Inbox::default();
    let bench_ = bench(&[&act, &unaware], &inbox);
    let actions = "actions: [delete, act, unaware, notify: {to: [inbox]}]";
    let observed = bench_.run(actions, &event()).await;
    assert_eq!(observed.mode, Mode::Observe);
    assert!(
        observed.steps.iter().all(|step| step.outcome.reason() == Some("observe")),
        "{observed:?}"
    );
    assert_eq!(
        observed.steps[0].outcome.detail(),
        "would delete the pod with its own grace period"
    );
    let dry = bench_.run(&format!("mode: dryRun\n{actions}"), &event()).await;
    assert_eq!(
        words(&dry),
        [
            "delete skipped (dry-run)",
            "act applied",
            "unaware skipped (dry-run)",
            "notify skipped (dry-run)"
        ]
    );
    assert_eq!((unaware.calls(), inbox.messages().len()), (0, 0));
}

#[tokio::test]
async fn the_workers_cap_holds_every_playbook() {
    for (cap, written, effective) in [
        (Mode::Observe, "enforce", Mode::Observe),
        (Mode::DryRun, "enforce", Mode::DryRun),
        (Mode::Enforce, "observe", Mode::Observe),
    ] {
        let (api, wire) = server(pod());
        let mut setup = Setup::new(api);
        setup.cap = cap;
        let report =
            setup.build().run(&format!("mode: {written}\nactions: [delete]"), &event()).await;
        assert_eq!(report.mode, effective);
        assert!(wire.writes().iter().all(|write| write.body["dryRun"] == json!(["All"])));
    }
}
