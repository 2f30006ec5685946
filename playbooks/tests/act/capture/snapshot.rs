//! What a snapshot keeps, and what it leaves out.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use http::Method;
use playbooks::{act::Manifest, decide::Mode};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Kept,
    world::{
        EVENTS, LOG, NODE, SET, World, ends, forbidden, gone, observer, victim, waits, worker,
    },
};
use crate::{
    fixtures::{POD, UID, event, words},
    wire::{Answer, error},
};

const SNAPSHOT: &str = "mode: enforce\nactions: [capture: {snapshot: {}}]";

fn kept() -> Kept {
    Kept::new("http://127.0.0.1:1")
}

fn manifest(kept: &Kept) -> Manifest {
    serde_json::from_str(&kept.read("manifest.json")).expect("a manifest")
}

#[tokio::test]
async fn a_snapshot_keeps_what_is_known_of_the_pod_and_none_of_its_secrets() {
    let (kept, world) = (kept(), World::new());
    let (api, wire) = world.serve_but(|_| None);
    let report = worker(api, &kept).run(SNAPSHOT, &event()).await;
    assert_eq!(words(&report), ["capture applied"]);
    assert!(wire.writes().is_empty(), "it only reads: {:?}", wire.writes());
    assert!(wire.requests().len() < 10, "{}", wire.requests().len());

    let names = [
        "falco-event.json",
        "pod.json",
        "events.json",
        "node.json",
        "owner-1.json",
        "owner-2.json",
        "log-c.txt",
        "log-c.previous.txt",
    ];
    let manifest = manifest(&kept);
    assert_eq!(manifest.artefacts.len(), names.len());
    assert_eq!(manifest.missing, []);
    for name in names {
        let text = kept.read(name);
        assert!(!text.is_empty() && !text.contains("hunter2"), "{name}: {text}");
    }
    assert_eq!((manifest.about.uid.as_deref(), manifest.about.verified), (Some(UID), true));
    assert_eq!(manifest.about.node.as_deref(), Some("node-1"));
    assert_eq!(kept.read("log-c.txt"), "t1 started with password=[redacted]\nt2 serving\n");
    let pod: Value = serde_json::from_str(&kept.read("pod.json")).expect("a pod");
    assert_eq!(pod["spec"]["containers"][0]["env"][0]["name"], "GREETING");
    let node = kept.read("node.json");
    assert!(node.contains("Ready") && !node.contains("annotations") && !node.contains("many"));
    assert!(report.overall.detail().contains(&kept.only()), "{}", report.overall.detail());
}

#[tokio::test]
async fn what_is_kept_verifies_and_a_redelivery_finds_it() {
    let (kept, world) = (kept(), World::new());
    let event = event();
    let (api, _) = world.serve_but(|_| None);
    worker(api.clone(), &kept).run(SNAPSHOT, &event).await;
    let before = kept.files();
    let verdict =
        kept.evidence.verify(&kept.only(), soon()).await.expect("asked").expect("a capture");
    assert_eq!(verdict.faults, Vec::<String>::new());

    // Another worker, another playbook: the same event.
    let again = worker(api.clone(), &kept).run(SNAPSHOT, &event).await;
    assert_eq!(words(&again), ["capture already-done"]);
    assert_eq!(kept.files(), before, "nothing is written twice, nothing is overwritten");
    world.lose_pod();
    let late = worker(api, &kept).run(SNAPSHOT, &event).await;
    assert_eq!(words(&late), ["capture skipped (gone)"]);
    assert_eq!(kept.files(), before);
}

#[tokio::test]
async fn a_missing_right_is_named_and_what_could_be_had_is_kept() {
    let (kept, world) = (kept(), World::new());
    let (api, wire) = world.serve_but(|request| {
        let why = "events is forbidden: User \"worker\" cannot list resource \"events\" in API group \"\"";
        (request.path == EVENTS).then(|| forbidden(why))
    });
    let spec = "mode: enforce\nactions: [capture: {snapshot: {}}, delete: {}]";
    let report = worker(api, &kept).run(spec, &event()).await;
    assert_eq!(words(&report), ["capture failed (permanent)", "delete applied"]);
    let detail = report.steps[0].outcome.detail();
    assert!(
        detail.contains("cannot list resource \"events\"") && detail.contains("cap-"),
        "{detail}"
    );
    let manifest = manifest(&kept);
    assert_eq!((manifest.forbidden[0].what.as_str(), manifest.missing.len()), ("events.json", 0));
    assert!(manifest.forbidden[0].why.contains("cannot list"), "{:?}", manifest.forbidden);
    assert!(kept.read("pod.json").contains(UID));
    assert_eq!(wire.writes().len(), 1, "the delete alone");
}

/// A worker that may read neither events nor logs, until the switch is turned.
fn without_rights(world: &World) -> (playbooks::act::Api, Arc<AtomicBool>) {
    let may = Arc::new(AtomicBool::new(false));
    let granted = Arc::clone(&may);
    let (api, _) = world.serve_but(move |request| {
        let is_barred = request.path == EVENTS || request.path == LOG;
        (is_barred && !granted.load(Ordering::SeqCst)).then(|| forbidden("no right to read it"))
    });
    (api, may)
}

#[tokio::test]
async fn a_partial_snapshot_is_never_called_whole_and_more_rights_add_what_was_forbidden() {
    let (kept, world, event) = (kept(), World::new(), event());
    let (api, may) = without_rights(&world);
    worker(api.clone(), &kept).run(SNAPSHOT, &event).await;
    let (before, first) = (kept.files(), kept.read("manifest.json"));
    let again = worker(api.clone(), &kept).run(SNAPSHOT, &event).await;
    assert_eq!(words(&again), ["capture failed (permanent)"], "a part is not all of it");
    let detail = again.steps[0].outcome.detail();
    let named = "partial, forbidden to the worker: events.json, log-c.txt, log-c.previous.txt";
    assert!(detail.contains(named), "{detail}");
    // The event is kept before anything is asked for, and nothing else twice.
    assert_eq!(kept.files(), before);

    may.store(true, Ordering::SeqCst);
    let whole = worker(api.clone(), &kept).run(SNAPSHOT, &event).await;
    assert_eq!(words(&whole), ["capture applied"]);
    let urls: Vec<_> = whole.steps[0].evidence.iter().map(|evidence| &evidence.url).collect();
    assert!(urls[0].ends_with("/manifest.json") && urls[1].ends_with("/manifest-2.json"));
    assert_eq!(kept.read("manifest.json"), first, "what was kept is not touched");
    let second: Manifest = serde_json::from_str(&kept.read("manifest-2.json")).expect("JSON");
    let added: Vec<_> = second.artefacts.iter().map(|artefact| artefact.name()).collect();
    assert_eq!(added, ["events.json", "log-c.txt", "log-c.previous.txt"]);
    assert_eq!((second.forbidden.len(), second.missing.len()), (0, 0));

    let after = kept.files();
    let late = worker(api, &kept).run(SNAPSHOT, &event).await;
    assert_eq!(words(&late), ["capture already-done"]);
    assert_eq!(kept.files(), after);
    let verdict =
        kept.evidence.verify(&kept.only(), soon()).await.expect("asked").expect("a capture");
    assert_eq!((verdict.faults.len(), verdict.kept.artefacts().count()), (0, 8));
}

#[tokio::test]
async fn what_was_forbidden_of_a_pod_that_is_gone_by_now_stays_said() {
    let (kept, world, event) = (kept(), World::new(), event());
    let (api, may) = without_rights(&world);
    worker(api.clone(), &kept).run(SNAPSHOT, &event).await;
    may.store(true, Ordering::SeqCst);
    world.lose_pod();
    for _ in 0..2 {
        let report = worker(api.clone(), &kept).run(SNAPSHOT, &event).await;
        assert_eq!(words(&report), ["capture skipped (gone)"]);
        let detail = report.steps[0].outcome.detail();
        let named = "partial, forbidden to the worker: log-c.txt, log-c.previous.txt";
        assert!(detail.contains(named), "{detail}");
    }
    let manifests = kept.files().iter().filter(|file| file.contains("/manifest")).count();
    assert_eq!(manifests, 2, "the events were added, once");
}

#[tokio::test]
async fn whose_part_was_sealed_first_by_another_adds_its_own() {
    let (kept, world, event) = (kept(), World::new(), event());
    let (api, _) = without_rights(&world);
    worker(api, &kept).run(SNAPSHOT, &event).await;
    let path = kept.folder.path().join(kept.only()).join("manifest.json");
    let theirs = std::fs::read(&path).expect("a manifest");
    std::fs::remove_file(&path).expect("removed");

    // While the second worker, which may read all of it, is at its last log, the first one seals.
    let (api, _) = world.serve_but(move |request| {
        if request.path == LOG && request.query.contains("previous=true") {
            std::fs::write(&path, &theirs).expect("written");
        }
        None
    });
    let bench = worker(api, &kept);
    let mut response = bench.begin(SNAPSHOT, &event).await;
    assert!(waits(&bench, &mut response).await.contains("another worker has kept a part"));
    assert_eq!(words(&ends(&bench, &mut response).await), ["capture applied"]);
    assert!(kept.read("manifest-2.json").contains("events.json"));
}

#[tokio::test]
async fn a_store_that_is_away_is_tried_again_and_what_contains_is_not_repeated() {
    let (kept, world) = (kept(), World::new());
    let (api, wire) = world.serve_but(|_| None);
    let bench = worker(api, &kept);
    let spec = "mode: enforce\nactions: [label: {key: acme.example/suspect, value: marked}, capture: {snapshot: {}}, delete: {}]";
    // A folder that is a file for a while.
    let event = event();
    let day = event["time"].as_str().and_then(|time| time.get(..10)).expect("a day");
    let day = kept.folder.path().join(day);
    std::fs::write(&day, b"away").expect("written");
    let mut response = bench.begin(spec, &event).await;
    for _ in 0..2 {
        waits(&bench, &mut response).await;
    }
    assert_eq!(wire.writes().len(), 1, "the label, once: {:?}", wire.writes());
    std::fs::remove_file(&day).expect("removed");
    let report = ends(&bench, &mut response).await;
    assert_eq!(words(&report), ["label applied", "capture applied", "delete applied"]);
    assert_eq!(wire.writes().len(), 2, "{:?}", wire.writes());
}

#[tokio::test]
async fn a_kubelet_that_is_away_costs_the_logs_alone() {
    let (kept, world) = (kept(), World::new());
    let (api, _) = world.serve_but(|request| {
        let why = "Get \"https://node-1:10250\": dial tcp: connection refused";
        (request.path == LOG).then(|| error(500, "InternalError", why))
    });
    let report = worker(api, &kept).run(SNAPSHOT, &event()).await;
    assert_eq!(words(&report), ["capture applied"]);
    let missing: Vec<_> = manifest(&kept).missing.into_iter().map(|missing| missing.what).collect();
    assert_eq!(missing, ["log-c.txt", "log-c.previous.txt"]);
}

#[tokio::test]
async fn an_api_server_that_is_away_is_tried_again_and_nothing_is_called_whole() {
    let (kept, world) = (kept(), World::new());
    let mut away = true;
    let (api, _) = world.serve_but(move |request| {
        let is_it = request.path == NODE && std::mem::take(&mut away);
        is_it.then(|| error(503, "ServiceUnavailable", "away"))
    });
    let bench = worker(api, &kept);
    let mut response = bench.begin(SNAPSHOT, &event()).await;
    waits(&bench, &mut response).await;
    assert!(!kept.files().iter().any(|file| file.ends_with("manifest.json")));
    assert_eq!(words(&ends(&bench, &mut response).await), ["capture applied"]);
    // The try that failed has left data that no manifest names, and the check doesn't miss it.
    let verdict =
        kept.evidence.verify(&kept.only(), soon()).await.expect("asked").expect("a capture");
    assert_eq!(verdict.faults, Vec::<String>::new());
}

#[tokio::test]
async fn of_a_pod_that_is_gone_the_events_are_kept() {
    let (kept, world) = (kept(), World::new());
    world.lose_pod();
    let (api, wire) = world.serve_but(|_| None);
    let spec = "mode: enforce\nactions: [capture: {snapshot: {}}, capture: {packets: {}}]";
    let report = worker(api, &kept).run(spec, &event()).await;
    assert_eq!(words(&report), ["capture skipped (gone)", "capture skipped (gone)"]);
    let manifest = manifest(&kept);
    assert!(!manifest.about.verified);
    assert!(kept.read("events.json").contains("Killing"));
    assert!(kept.read("falco-event.json").contains("Terminal shell"));
    let asked: Vec<_> =
        wire.requests().into_iter().filter(|request| request.path == EVENTS).collect();
    assert!(asked[0].query.contains(UID), "{}", asked[0].query);
    assert!(wire.writes().is_empty());
}

#[tokio::test]
async fn a_log_is_bounded_and_its_end_is_what_stays() {
    let (kept, world) = (kept(), World::new());
    let long: String = (0..200_000).map(|line| format!("line {line}\n")).collect();
    let long: &'static str = long.leak();
    let (api, wire) =
        world.serve_but(move |request| (request.path == LOG).then_some(Answer::Text(200, long)));
    let spec = "mode: enforce\nactions: [capture: {snapshot: {log: 1KiB}}]";
    assert_eq!(words(&worker(api, &kept).run(spec, &event()).await), ["capture applied"]);
    let log = kept.read("log-c.txt");
    assert!(log.len() <= 1024 && log.starts_with("line "), "{}", log.len());
    let cut =
        manifest(&kept).artefacts.into_iter().filter(|artefact| artefact.cut.is_some()).count();
    assert_eq!(cut, 2);
    let asked = wire.requests().into_iter().find(|request| request.path == LOG).expect("a log");
    assert!(asked.query.contains("limitBytes=16384"), "{}", asked.query);
}

#[tokio::test]
async fn what_is_cut_by_number_is_said() {
    let (kept, world) = (kept(), World::new());
    let many: &'static str = "\n".repeat(100_000).leak();
    let (api, _) = world.serve_but(move |request| match request.path.as_str() {
        LOG => Some(Answer::Text(200, many)),
        EVENTS => Some(Answer::Json(200, json!({"items": [], "metadata": {"continue": "more"}}))),
        _ => None,
    });
    let report = worker(api, &kept).run(SNAPSHOT, &event()).await;
    assert_eq!(words(&report), ["capture applied"]);
    let detail = report.steps[0].outcome.detail();
    assert!(detail.contains("cut: events.json, log-c.txt, log-c.previous.txt"), "{detail}");
    let cuts: Vec<_> =
        manifest(&kept).artefacts.into_iter().filter_map(|artefact| artefact.cut).collect();
    assert_eq!(cuts[..2], ["cut at 500 events", "cut at 100000 lines: the last of it"]);
}

#[tokio::test]
async fn all_together_are_bounded() {
    let (kept, world) = (kept(), World::new());
    let (api, _) = world.serve_but(|_| None);
    let spec = "mode: enforce\nactions: [capture: {snapshot: {total: 100}}]";
    assert_eq!(words(&worker(api, &kept).run(spec, &event()).await), ["capture applied"]);
    let manifest = manifest(&kept);
    let size: u64 = manifest.artefacts.iter().map(|artefact| artefact.size).sum();
    assert!(size <= 100, "{size}");
    assert!(manifest.missing.iter().any(|missing| missing.what == "pod.json"));
}

#[tokio::test]
async fn an_owners_name_never_becomes_a_path_of_its_own() {
    let kept = kept();
    let mut pod = victim();
    pod["metadata"]["ownerReferences"][0]["name"] = json!("../../../kube-system/secrets/x");
    let (api, wire) = World::of(pod).serve_but(|_| None);
    assert_eq!(words(&worker(api, &kept).run(SNAPSHOT, &event()).await), ["capture applied"]);
    assert!(wire.requests().iter().all(|request| !request.path.contains("secrets")));
}

#[tokio::test]
async fn an_owner_that_is_another_by_now_is_not_kept_as_the_pods() {
    let (kept, world) = (kept(), World::new());
    world.0.lock().change(SET, |set| set["metadata"]["uid"] = json!("another"));
    let (api, _) = world.serve_but(|_| None);
    worker(api, &kept).run(SNAPSHOT, &event()).await;
    assert_eq!(manifest(&kept).missing[0].what, "owner-1.json");
}

#[tokio::test]
async fn who_only_observes_keeps_nothing() {
    for (cap, word) in [(Mode::Observe, "observe"), (Mode::DryRun, "dry-run")] {
        let (kept, world) = (kept(), World::new());
        let (api, wire) = world.serve_but(|_| None);
        let report = observer(api, &kept, cap).run(SNAPSHOT, &event()).await;
        assert_eq!(words(&report), [format!("capture skipped ({word})")]);
        assert_eq!(kept.files(), Vec::<String>::new());
        assert_eq!(wire.requests().len(), 1, "the verification alone");
    }
}

#[tokio::test]
async fn a_pod_that_is_lost_between_two_reads_is_still_kept() {
    let (kept, world) = (kept(), World::new());
    let (api, _) = world
        .serve_but(|request| (request.method == Method::GET && request.path == LOG).then(gone));
    let report = worker(api, &kept).run(SNAPSHOT, &event()).await;
    assert_eq!(words(&report), ["capture applied"]);
    assert!(kept.read("pod.json").contains(POD.rsplit('/').next().expect("a name")));
}

fn soon() -> Instant {
    Instant::now() + std::time::Duration::from_secs(20)
}
