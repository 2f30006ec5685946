//! What may have to be taken back is written down first, and taken back exactly, once.

use http::Method;
use jiff::{SignedDuration, Timestamp};
use playbooks::act::{Advance, Phase, Reverter, StoredResponse, TakenBack, Undo, Which};
use serde_json::{Value, json};

use super::{ACTION, shelf::Responses, worker};
use crate::{
    fixtures::{Bench, POD, Setup, UID, event, pod, pod_with, server, words},
    store::{Store, without_version},
    wire::{Wire, error},
};

const OWNER: &str = "/apis/apps/v1/namespaces/shop/replicasets/web-5d";
const LABEL: &str =
    "mode: enforce\nactions: [label: {key: a.example/x, value: 'yes', expireAfter: 1h}]";

/// A pod, and workers that write down what they do to it.
struct Scene {
    store: Store,
    responses: Responses,
}

impl Scene {
    fn new(pod: Value) -> Scene {
        let owner = json!({
            "metadata": {"name": "web-5d", "namespace": "shop", "uid": "rs-uid"},
            "spec": {"selector": {"matchLabels": {"app": "web"}}}
        });
        let store = Store::of([(POD.to_owned(), pod), (OWNER.to_owned(), owner)]);
        Scene { store, responses: Responses::default() }
    }

    fn worker(&self, name: &str) -> (Bench, Wire) {
        let kept = self.responses.clone();
        let (api, wire) =
            self.store.serve_but(move |request, rest| kept.answer(request).unwrap_or_else(rest));
        (worker(name, api), wire)
    }

    async fn run(&self, spec: &str) -> Vec<String> {
        words(&self.worker("a").0.run(spec, &event()).await)
    }

    async fn revert(&self, name: &str, which: Which, dry_run: bool) -> TakenBack {
        let (bench, _) = self.worker(name);
        let shelf = bench.engine.records().expect("records").shelf();
        let reverter = Reverter { shelf, name, lease: ACTION };
        let done = reverter.revert(&self.responses.only(), which, dry_run).await;
        done.expect("reverted")
    }

    fn pod(&self) -> Value {
        without_version(self.store.get(POD))
    }
}

/// A pod that has what others wrote on it: the real server drops a mapping that is empty, the one of these tests doesn't.
fn annotated() -> Value {
    pod_with(|pod| pod["metadata"]["annotations"] = json!({"theirs": "1"}))
}

/// Its time is over.
fn expire(stored: &mut StoredResponse) {
    for change in &mut stored.spec.changes {
        change.expires_at = change.expires_at.map(|_| Timestamp::now());
    }
}

#[tokio::test]
async fn an_expiry_is_for_actions_that_can_be_taken_back_and_for_lengths_of_time() {
    let bench = Setup::new(server(pod()).0).build();
    let table = [
        ("delete: {expireAfter: 1h}", "can't be taken back"),
        ("label: {key: a, value: b, expireAfter: soon}", "length of time"),
        ("label: {key: a, value: b, expireAfter: 0s}", "length of time"),
        ("label: {key: a, value: b, expireAfter: 5}", "length of time"),
        ("notify: {to: [log], expireAfter: 1h}", "can't be taken back"),
    ];
    for (action, words) in table {
        let error = bench.refuse(&format!("mode: enforce\nactions: [{action}]"));
        assert!(error.contains(words) && error.contains("test.yaml:"), "{error}");
    }
    for action in ["isolate", "taint", "cordon", "scale"] {
        let plan = bench.plan(&format!("mode: enforce\nactions: [{action}: {{expireAfter: 1h}}]"));
        assert!(plan.needs_records(), "{action}");
    }
    assert!(!bench.plan("mode: observe\nactions: [cordon: {expireAfter: 1h}]").needs_records());
    assert!(!bench.plan("mode: enforce\nactions: [cordon]").needs_records());
}

#[tokio::test]
async fn an_expiry_that_would_take_another_action_along_is_refused() {
    let spec = "mode: enforce\nactions: [label: {key: a, value: b, expireAfter: 1h}, annotate: {key: c, value: d}]";
    let refused = Setup::new(server(pod()).0).build().refuse(spec);
    assert!(refused.contains("give `annotate` an expireAfter too"), "{refused}");
}

#[tokio::test]
async fn what_will_be_taken_back_is_written_before_it_is_done() {
    let scene = Scene::new(pod());
    let (bench, wire) = scene.worker("a");
    let before = Timestamp::now();
    bench.run(LABEL, &event()).await;
    let first = wire.writes().into_iter().next().expect("a write");
    let change = &first.body["spec"]["changes"][0];
    assert_eq!((&change["action"], &change["undo"]), (&json!("label"), &json!("Pod")));
    assert_eq!(
        change["object"],
        json!({"kind": "Pod", "namespace": "shop", "name": "web", "uid": UID})
    );
    let stored = scene.responses.only();
    let status = stored.current().expect("a status");
    let expires = status.expires_at.expect("an expiry");
    let left = expires.duration_since(before).as_secs();
    assert!((3590..=3700).contains(&left), "{left}");
    let name = stored.metadata.name.clone().expect("a name");
    assert_eq!(status.undo, Some(format!("stoop responses revert {name}")));
    assert_eq!(stored.spec.changes[0].undo, Undo::Pod);
}

#[tokio::test]
async fn an_expired_change_is_taken_back_exactly_and_once_whoever_sweeps() {
    let before = annotated();
    let scene = Scene::new(before.clone());
    scene.run(LABEL).await;
    assert!(scene.revert("b", Which::Expired, false).await.undone.is_empty(), "it is not time yet");
    assert_eq!(scene.store.get(POD)["metadata"]["labels"]["a.example/x"], "yes");

    scene.responses.change(expire);
    let done = scene.revert("b", Which::Expired, false).await;
    assert_eq!(done.undone.len(), 1);
    assert_eq!(scene.pod(), without_version(before));
    let stored = scene.responses.only();
    assert_eq!(stored.phase(), Phase::Reverted);
    let status = stored.current().expect("a status");
    assert_eq!((status.expires_at, status.undo.as_ref()), (None, None));
    assert_eq!(status.undone[0].action, "label");
    assert!(status.undone[0].detail.contains("took back the label"), "{:?}", status.undone);

    let (bench, wire) = scene.worker("c");
    let shelf = bench.engine.records().expect("records").shelf();
    let reverter = Reverter { shelf, name: "c", lease: ACTION };
    let again = reverter.revert(&stored, Which::All, false).await;
    assert!(again.expect("reverted").undone.is_empty());
    assert!(wire.requests().is_empty(), "twice asks nothing");
}

#[tokio::test]
async fn what_somebody_has_changed_since_is_theirs() {
    let scene = Scene::new(pod());
    scene.run(LABEL).await;
    scene.store.lock().change(POD, |pod| pod["metadata"]["labels"]["a.example/x"] = json!("mine"));
    let done = scene.revert("b", Which::All, false).await;
    assert_eq!(done.undone.len(), 1);
    assert_eq!(scene.store.get(POD)["metadata"]["labels"]["a.example/x"], "mine");
}

#[tokio::test]
async fn what_was_never_done_is_not_taken_back() {
    let theirs = pod_with(|pod| pod["metadata"]["labels"]["a.example/x"] = json!("yes"));
    let scene = Scene::new(theirs.clone());
    assert_eq!(scene.run(LABEL).await, ["label already-done"]);
    scene.responses.change(expire);
    scene.revert("b", Which::Expired, false).await;
    assert_eq!(scene.pod(), without_version(theirs));
}

#[tokio::test]
async fn a_worker_that_died_in_the_middle_has_left_what_it_takes_to_undo_it() {
    let before = annotated();
    let scene = Scene::new(before.clone());
    scene.run(LABEL).await;
    // It never came to its end.
    scene.responses.change(|stored| {
        stored.status = None;
        expire(stored);
    });
    assert!(
        scene.revert("b", Which::Expired, false).await.undone.is_empty(),
        "while it may still be at it, it is left alone"
    );
    scene.responses.change(|stored| stored.spec.claim.until = Timestamp::now());
    assert_eq!(scene.revert("b", Which::Expired, false).await.undone.len(), 1);
    assert_eq!(scene.pod(), without_version(before));
    let stored = scene.responses.only();
    assert_eq!(stored.phase(), Phase::Running, "it answers for no event");
    // Delivered again, it is answered anew, and expires anew.
    assert_eq!(scene.run(LABEL).await, ["label applied"]);
    let stored = scene.responses.only();
    assert_eq!((stored.phase(), stored.spec.run), (Phase::Succeeded, 2));
    assert!(stored.current().is_some_and(|status| status.expires_at.is_some()));
}

#[tokio::test]
async fn a_dry_run_writes_nothing() {
    let scene = Scene::new(pod());
    scene.run(LABEL).await;
    let (labelled, stored) = (scene.pod(), scene.responses.only());
    let done = scene.revert("b", Which::All, true).await;
    assert!(done.undone[0].detail.contains("dry run"), "{done:?}");
    assert_eq!((scene.pod(), scene.responses.only()), (labelled, stored));
}

#[tokio::test]
async fn two_that_take_back_at_once_do_not_fight() {
    let scene = Scene::new(pod());
    scene.run(LABEL).await;
    let stale = scene.responses.only();
    assert_eq!(scene.revert("b", Which::All, false).await.undone.len(), 1);
    // It has read the object before the other began.
    let (bench, wire) = scene.worker("c");
    let shelf = bench.engine.records().expect("records").shelf();
    let reverter = Reverter { shelf, name: "c", lease: ACTION };
    assert!(reverter.revert(&stale, Which::All, false).await.is_err());
    assert!(wire.writes().iter().all(|write| !write.path.starts_with("/api/v1")));
}

#[tokio::test]
async fn a_later_run_keeps_what_an_earlier_one_has_to_undo() {
    let before = annotated();
    let scene = Scene::new(before.clone());
    scene.run(LABEL).await;
    scene.responses.change(|stored| {
        if let Some(status) = &mut stored.status {
            status.phase = Phase::Failed;
        }
    });
    // Another version of the playbook.
    let annotate =
        "mode: enforce\nactions: [annotate: {key: a.example/y, value: z, expireAfter: 2h}]";
    assert_eq!(scene.run(annotate).await, ["annotate applied"]);
    let stored = scene.responses.only();
    let actions: Vec<_> = stored.spec.changes.iter().map(|it| it.action.as_str()).collect();
    assert_eq!(actions, ["annotate", "label"]);
    scene.revert("b", Which::All, false).await;
    assert_eq!(scene.pod(), without_version(before));
}

#[tokio::test]
async fn what_an_earlier_run_has_done_is_taken_back_though_a_later_one_was_refused() {
    let before = annotated();
    let scene = Scene::new(before.clone());
    scene.run(LABEL).await;
    scene.responses.change(|stored| {
        stored.spec.run = 2;
        stored.spec.changes[0].earlier = true;
        let status = stored.status.as_mut().expect("a status");
        (status.run, status.phase) = (2, Phase::Refused);
        status.actions[0].outcome = "refused".to_owned();
    });
    assert_eq!(scene.revert("b", Which::All, false).await.undone.len(), 1);
    assert_eq!(scene.pod(), without_version(before));
}

/// Somebody else is at it until then.
fn taken_back_until(until: Timestamp) -> impl Fn(&mut StoredResponse) {
    move |stored| {
        let claim = json!({"worker": "b", "until": until, "all": true});
        stored.spec.reverting = serde_json::from_value(claim).expect("a claim");
    }
}

fn soon() -> Timestamp {
    Timestamp::now() + SignedDuration::from_secs(60)
}

#[tokio::test]
async fn what_another_takes_back_is_left_to_it_until_its_time_is_over() {
    let scene = Scene::new(pod());
    scene.run(LABEL).await;
    for (until, is_theirs) in [(soon(), true), (Timestamp::now(), false)] {
        scene.responses.change(taken_back_until(until));
        let (bench, wire) = scene.worker("c");
        let shelf = bench.engine.records().expect("records").shelf();
        let reverter = Reverter { shelf, name: "c", lease: ACTION };
        let done = reverter.revert(&scene.responses.only(), Which::All, false).await;
        assert_eq!((done.is_err(), wire.writes().is_empty()), (is_theirs, is_theirs));
    }
}

#[tokio::test]
async fn nothing_is_done_anew_while_it_is_being_taken_back() {
    let scene = Scene::new(pod());
    scene.run(LABEL).await;
    scene.responses.change(|stored| {
        stored.status.as_mut().expect("a status").phase = Phase::Failed;
        taken_back_until(soon())(stored);
    });
    let (bench, wire) = scene.worker("a");
    let mut response = bench.begin(LABEL, &event()).await;
    let Advance::Retry(waits) = bench.advance(&mut response).await else { panic!("no wait") };
    assert!(waits.why.contains("b takes it back"), "{waits}");
    scene.responses.change(taken_back_until(Timestamp::now()));
    assert!(matches!(bench.advance(&mut response).await, Advance::Finished(_)));
    assert!(wire.writes().iter().all(|write| write.path != POD), "it was there already");
}

#[tokio::test]
async fn who_could_not_take_it_back_leaves_it_to_the_next_at_once() {
    let scene = Scene::new(pod());
    scene.run(LABEL).await;
    let kept = scene.responses.clone();
    let (api, _) =
        scene.store.serve_but(move |request, rest| match request.is(&Method::PATCH, POD) {
            true => error(403, "Forbidden", "may not patch pods"),
            false => kept.answer(request).unwrap_or_else(rest),
        });
    let bench = worker("b", api);
    let shelf = bench.engine.records().expect("records").shelf();
    let reverter = Reverter { shelf, name: "b", lease: ACTION };
    let done = reverter.revert(&scene.responses.only(), Which::All, false).await;
    let done = done.expect("asked");
    assert_eq!((done.undone.len(), done.failed.len()), (0, 1));
    assert_eq!(scene.responses.only().spec.reverting, None);
    assert_eq!(scene.revert("c", Which::All, false).await.undone.len(), 1);
}

#[tokio::test]
async fn a_run_that_has_begun_meanwhile_is_not_said_to_be_taken_back() {
    let scene = Scene::new(pod());
    scene.run(LABEL).await;
    let (kept, mut is_first) = (scene.responses.clone(), true);
    let (api, _) = scene.store.serve_but(move |request, rest| {
        if request.path.ends_with("/status") && std::mem::take(&mut is_first) {
            kept.change(|stored| {
                stored.spec.run = 2;
                stored.status = None;
            });
        }
        kept.answer(request).unwrap_or_else(rest)
    });
    let bench = worker("b", api);
    let shelf = bench.engine.records().expect("records").shelf();
    let reverter = Reverter { shelf, name: "b", lease: ACTION };
    let done = reverter.revert(&scene.responses.only(), Which::All, false).await;
    assert_eq!(done.expect("reverted").undone.len(), 1);
    assert_eq!(scene.responses.only().status, None);
}
