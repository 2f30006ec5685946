//! Several workers, or one before and after a crash: who runs, who waits, and who finds it answered.

use std::sync::Arc;

use http::Method;
use jiff::{SignedDuration, Timestamp};
use playbooks::act::{Advance, Claim, Notifiers, Phase};
use serde_json::{Value, json};

use super::{
    recording,
    shelf::{RESPONSES, Responses},
};
use crate::{
    fixtures::{Bench, Setup, ago, event_at, pod, with_pod, words},
    outside::{Inbox, Scripted},
    wire::{Answer, Request, Wire},
};

const SPEC: &str =
    "mode: enforce\nactions: [contain, notify: {to: [inbox]}]\nlimits: {cooldown: 1m}";

/// A worker whose action plays a part, and those whom it tells.
struct Player {
    bench: Bench,
    contain: Scripted,
    inbox: Inbox,
    wire: Wire,
}

fn player(name: &str, responses: &Responses) -> Player {
    player_between(name, responses, |_| None)
}

fn player_between(
    name: &str,
    responses: &Responses,
    mut between: impl FnMut(&Request) -> Option<Answer> + Send + 'static,
) -> Player {
    let (kept, mut rest) = (responses.clone(), with_pod(pod()));
    let (api, wire) = Wire::new(move |request| {
        between(request).or_else(|| kept.answer(request)).unwrap_or_else(|| rest(request))
    });
    let (contain, inbox) = (Scripted::containing("contain", []), Inbox::default());
    let mut setup = Setup::new(api.clone());
    setup.registry = contain.register(setup.registry);
    setup.notifiers =
        Notifiers::default().with("inbox", Arc::new(inbox.clone())).expect("a free name");
    Player { bench: recording(name, setup, api), contain, inbox, wire }
}

impl Player {
    async fn run(&self, event: &Value) -> Vec<String> {
        words(&self.bench.run(SPEC, event).await)
    }

    fn done(&self) -> (usize, usize) {
        (self.contain.calls(), self.inbox.messages().len())
    }
}

const RAN: [&str; 2] = ["contain applied", "notify applied"];
const ANSWERED: [&str; 2] = ["contain skipped (answered)", "notify skipped (answered)"];

#[tokio::test]
async fn another_worker_joins_what_ended_well_and_tells_nobody() {
    let responses = Responses::default();
    let (a, b) = (player("a", &responses), player("b", &responses));
    assert_eq!(a.run(&event_at(ago(60))).await, RAN);
    assert_eq!(b.run(&event_at(ago(30))).await, ANSWERED);
    assert_eq!((a.done(), b.done()), ((1, 1), (0, 0)));
    // As does the same one, after a restart.
    let a = player("a", &responses);
    assert_eq!(a.run(&event_at(ago(60))).await, ANSWERED);
    assert_eq!(a.done(), (0, 0));
    assert_eq!(responses.only().spec.run, 1);
}

#[tokio::test]
async fn an_event_is_answered_up_to_the_cooldown_after_the_end_and_runs_anew_behind_it() {
    let responses = Responses::default();
    let worker = player("a", &responses);
    assert_eq!(worker.run(&event_at(ago(60))).await, RAN);
    let ended = responses.only().current().and_then(|it| it.finished).expect("an end");
    let after = |seconds| event_at(ended + SignedDuration::from_secs(seconds));
    assert_eq!(worker.run(&after(59)).await, ANSWERED);
    let ended_long_ago = ago(600);
    responses.change(|stored| {
        if let Some(status) = &mut stored.status {
            status.finished = Some(ended_long_ago);
        }
    });
    let new = event_at(ended_long_ago + SignedDuration::from_secs(400));
    assert_eq!(worker.run(&new).await, RAN);
    let stored = responses.only();
    assert_eq!((stored.spec.run, stored.phase()), (2, Phase::Succeeded));
    assert_eq!(stored.spec.event.time, ended_long_ago + SignedDuration::from_secs(400));
}

#[tokio::test]
async fn what_ended_badly_answers_for_nobody() {
    let responses = Responses::default();
    let worker = player("a", &responses);
    worker.run(&event_at(ago(60))).await;
    for phase in [Phase::Failed, Phase::Refused, Phase::Expired] {
        responses.change(|stored| {
            if let Some(status) = &mut stored.status {
                status.phase = phase;
            }
        });
        assert_eq!(worker.run(&event_at(ago(60))).await, RAN, "{phase:?}");
    }
}

#[tokio::test]
async fn while_a_living_worker_is_at_it_others_wait_and_one_that_is_dead_is_followed() {
    let responses = Responses::default();
    let first = player("a", &responses);
    first.run(&event_at(ago(60))).await;
    // In the middle of it.
    responses.change(|stored| stored.status = None);
    let second = player("b", &responses);
    let mut response = second.bench.begin(SPEC, &event_at(ago(60))).await;
    let Advance::Retry(waits) = second.bench.advance(&mut response).await else {
        panic!("it did not wait")
    };
    assert!(waits.why.contains("a is at it"), "{waits}");
    assert_eq!(second.done(), (0, 0));

    responses.change(|stored| stored.spec.claim.until = Timestamp::now());
    let Advance::Finished(report) = second.bench.advance(&mut response).await else {
        panic!("it waits for the dead")
    };
    assert_eq!(words(&report), RAN);
    let stored = responses.only();
    assert_eq!((stored.spec.claim.worker.as_str(), stored.spec.run), ("b", 1));
}

#[tokio::test]
async fn the_same_worker_goes_on_with_what_it_left_at_once() {
    let responses = Responses::default();
    player("a", &responses).run(&event_at(ago(60))).await;
    responses.change(|stored| stored.status = None);
    assert_eq!(player("a", &responses).run(&event_at(ago(60))).await, RAN);
    assert_eq!(responses.only().phase(), Phase::Succeeded);
}

#[tokio::test]
async fn an_answer_that_is_lost_anywhere_ends_in_the_same_state() {
    for lost in 0..3 {
        let responses = Responses::default();
        let kept = responses.clone();
        let mut asked = 0;
        let worker = player_between("a", &responses, move |request| {
            request.path.starts_with(RESPONSES).then_some(())?;
            let answer = kept.answer(request);
            asked += 1;
            if asked - 1 == lost { Some(Answer::Broken) } else { answer }
        });
        let mut response = worker.bench.begin(SPEC, &event_at(ago(60))).await;
        let mut advance = worker.bench.advance(&mut response).await;
        if let Advance::Retry(_) = advance {
            advance = worker.bench.advance(&mut response).await;
        }
        let Advance::Finished(report) = advance else { panic!("no end: {advance:?}") };
        assert_eq!(words(&report), RAN, "{lost}");
        let stored = responses.only();
        assert_eq!((stored.phase(), stored.spec.run), (Phase::Succeeded, 1), "{lost}");
        assert_eq!(worker.done(), (1, 1), "{lost}");
    }
}

#[tokio::test]
async fn a_renewal_whose_answer_is_lost_is_still_ours() {
    let responses = Responses::default();
    let kept = responses.clone();
    let mut renewals = 0;
    let worker = player_between("a", &responses, move |request| {
        request.path.starts_with(RESPONSES).then_some(())?;
        let is_renewal = request.method == Method::PUT && !request.path.ends_with("/status");
        renewals += usize::from(is_renewal);
        match kept.answer(request)? {
            // The claim is nearly over when the next action comes.
            Answer::Json(201, mut made) => {
                made["spec"]["claim"]["until"] = json!(Timestamp::now());
                Some(Answer::Json(201, made))
            }
            _ if is_renewal && renewals == 1 => Some(Answer::Broken),
            answer => Some(answer),
        }
    });
    let mut response = worker.bench.begin(SPEC, &event_at(ago(60))).await;
    let Advance::Retry(_) = worker.bench.advance(&mut response).await else {
        panic!("it was not lost")
    };
    let Advance::Finished(report) = worker.bench.advance(&mut response).await else {
        panic!("no end")
    };
    assert_eq!(words(&report), RAN);
    assert_eq!((responses.only().phase(), worker.done()), (Phase::Succeeded, (1, 1)));
}

#[tokio::test]
async fn who_has_lost_its_claim_to_another_waits_for_it() {
    let responses = Responses::default();
    let (kept, mut is_first) = (responses.clone(), true);
    let worker = player_between("a", &responses, move |request| {
        request.path.starts_with(RESPONSES).then_some(())?;
        let is_renewal = request.method == Method::PUT && !request.path.ends_with("/status");
        if is_renewal && std::mem::take(&mut is_first) {
            kept.change(|stored| {
                let until = Timestamp::now() + SignedDuration::from_secs(60);
                stored.spec.claim = Claim { worker: "b".to_owned(), until };
            });
        }
        match kept.answer(request)? {
            // The claim is nearly over when the next action comes.
            Answer::Json(201, mut made) => {
                made["spec"]["claim"]["until"] = json!(Timestamp::now());
                Some(Answer::Json(201, made))
            }
            answer => Some(answer),
        }
    });
    let twice = SPEC.replace("contain,", "contain, contain,");
    let mut response = worker.bench.begin(&twice, &event_at(ago(60))).await;
    let Advance::Retry(waits) = worker.bench.advance(&mut response).await else {
        panic!("it did not wait")
    };
    assert!(waits.why.contains("b is at it"), "{waits}");
    assert_eq!(worker.done(), (1, 0));
    assert_eq!(responses.only().spec.claim.worker, "b");
}

#[tokio::test]
async fn an_end_that_met_another_version_is_written_on_that() {
    let responses = Responses::default();
    let kept = responses.clone();
    let mut is_first = true;
    let worker = player_between("a", &responses, move |request| {
        if request.path.ends_with("/status") && std::mem::take(&mut is_first) {
            // A person, who annotates it in the same moment.
            kept.change(|stored| {
                stored.metadata.annotations.get_or_insert_default().insert("a".into(), "b".into());
            });
        }
        None
    });
    assert_eq!(worker.run(&event_at(ago(60))).await, RAN);
    let stored = responses.only();
    assert_eq!(stored.phase(), Phase::Succeeded);
    assert!(stored.metadata.annotations.is_some());
    assert_eq!(worker.wire.writes().len(), 3);
}

#[tokio::test]
async fn an_object_that_is_about_something_else_is_not_overwritten() {
    let responses = Responses::default();
    let worker = player("a", &responses);
    worker.run(&event_at(ago(60))).await;
    responses.change(|stored| stored.spec.playbook = "another".into());
    assert_eq!(worker.run(&event_at(ago(60))).await[0], "contain failed (permanent)");
    assert_eq!(responses.only().spec.playbook, "another");
}
