//! Keeping, sealing and checking, over every kind of store that can be had here.

mod bucket;

use std::{sync::Arc, time::Duration};

use object_store::{
    ObjectStoreExt as _, PutPayload,
    memory::InMemory,
    path::Path,
    throttle::{ThrottleConfig, ThrottledStore},
};
use tokio::time::Instant;

use self::bucket::Bucket;
use super::{config::EvidenceConfig, *};
use crate::act::outcome::FailureKind;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn folder() -> Folder {
    Folder::new("2026-11-21T12:00:00Z".parse().unwrap(), "cap-1")
}

fn manifest(playbook: &str, artefacts: Vec<Artefact>) -> Manifest {
    let time = "2026-11-21T12:00:00Z".parse().unwrap();
    Manifest {
        version: 1,
        capture: "cap-1".into(),
        kind: "snapshot".into(),
        about: About {
            event: "e".into(),
            rule: "r".into(),
            time,
            playbook: playbook.into(),
            cluster: None,
            namespace: None,
            pod: None,
            uid: Some("u".into()),
            node: None,
            verified: true,
        },
        started: time,
        ended: time,
        artefacts,
        missing: Vec::new(),
        forbidden: Vec::new(),
    }
}

/// The manifests of the capture.
async fn sealed(evidence: &Evidence) -> Vec<Manifest> {
    let kept = evidence.sealed(&folder(), soon()).await.unwrap();
    kept.iter().flat_map(Kept::all).map(|stored| stored.manifest.clone()).collect()
}

/// Whose manifest counts, and whether it is this call's.
async fn seal(evidence: &Evidence, before: usize, manifest: &Manifest) -> (bool, Manifest) {
    match evidence.seal(&folder(), before, manifest, soon()).await.unwrap() {
        Sealed::New(stored) => (true, stored.manifest),
        Sealed::Before(stored) => (false, stored.manifest),
    }
}

/// One of each, and what keeps it alive.
async fn stores() -> Vec<(&'static str, Evidence, Option<tempfile::TempDir>)> {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().display());
    let file = Evidence::open(&EvidenceConfig { url, uploads: None }).unwrap();
    let bucket = Bucket::start().await;
    vec![
        ("memory", Evidence::over(Arc::new(InMemory::new()), "memory"), None),
        ("file", file, Some(folder)),
        ("s3", bucket.evidence(), None),
    ]
}

#[tokio::test]
async fn a_capture_is_whole_or_not_there_and_never_overwritten() {
    for (kind, evidence, _alive) in stores().await {
        let draft = Draft::begin(&folder()).unwrap();
        assert_eq!(sealed(&evidence).await, [], "{kind}");
        let kept = evidence.keep(&draft, "pod.json", "{}".into(), soon()).await.unwrap();
        assert_eq!(sealed(&evidence).await, [], "{kind}: no manifest yet");

        let ours = manifest("ours", vec![kept]);
        assert_eq!(seal(&evidence, 0, &ours).await, (true, ours.clone()), "{kind}");
        let theirs = manifest("theirs", Vec::new());
        assert_eq!(seal(&evidence, 0, &theirs).await, (false, ours.clone()), "{kind}");
        assert_eq!(sealed(&evidence).await, [ours], "{kind}");
    }
}

#[tokio::test]
async fn what_was_forbidden_is_added_beside_what_is_there() {
    let forbidden = Missing { what: "events.json".into(), why: "no right".into() };
    for (kind, evidence, _alive) in stores().await {
        let first =
            Manifest { forbidden: vec![forbidden.clone()], ..manifest("first", Vec::new()) };
        seal(&evidence, 0, &first).await;
        let draft = Draft::begin(&folder()).unwrap();
        let events = evidence.keep(&draft, "events.json", "[]".into(), soon()).await.unwrap();
        let second = manifest("second", vec![events]);
        assert!(seal(&evidence, 1, &second).await.0, "{kind}");
        assert!(!seal(&evidence, 1, &manifest("third", Vec::new())).await.0, "{kind}");
        assert_eq!(sealed(&evidence).await, [first, second], "{kind}");
        let verdict = evidence.verify("2026-11-21/cap-1", soon()).await.unwrap().unwrap();
        assert_eq!((verdict.faults.len(), verdict.kept.artefacts().count()), (0, 1), "{kind}");
    }
}

#[tokio::test]
async fn what_is_larger_than_expected_is_not_read() {
    for (kind, evidence, _alive) in stores().await {
        let draft = Draft::begin(&folder()).unwrap();
        let kept = evidence.keep(&draft, "a", "12345".into(), soon()).await.unwrap();
        let measure = async |most| evidence.measure(&folder(), &kept.key, most, soon()).await;
        assert_eq!(measure(4).await, Ok(Measured::Larger(5)), "{kind}");
        let read = Measured::Read { size: 5, sha256: kept.sha256.clone() };
        assert_eq!(measure(5).await, Ok(read), "{kind}");
    }
}

#[tokio::test]
async fn of_many_workers_one_seals() {
    for (kind, evidence, _alive) in stores().await {
        let folder = folder();
        let seals = (0..8).map(|worker| {
            let (evidence, folder) = (&evidence, &folder);
            async move {
                let manifest = manifest(&format!("worker-{worker}"), Vec::new());
                evidence.seal(folder, 0, &manifest, soon()).await.unwrap()
            }
        });
        let sealed = futures::future::join_all(seals).await;
        let new = sealed.iter().filter(|sealed| matches!(sealed, Sealed::New(_))).count();
        assert_eq!(new, 1, "{kind}");
    }
}

#[tokio::test]
async fn a_check_finds_what_was_changed_or_taken_away() {
    for (kind, evidence, _alive) in stores().await {
        let (folder, draft) = (folder(), Draft::begin(&folder()).unwrap());
        let mut artefacts = Vec::new();
        for name in ["same", "changed", "longer", "gone"] {
            artefacts.push(evidence.keep(&draft, name, "data".into(), soon()).await.unwrap());
        }
        seal(&evidence, 0, &manifest("p", artefacts)).await;
        let check =
            async || evidence.verify("2026-11-21/cap-1/", soon()).await.unwrap().unwrap().faults;
        assert_eq!(check().await, Vec::<String>::new(), "{kind}");

        let path = |name: &str| folder.below(&evidence.root, &draft.key(name));
        evidence.store.put(&path("changed"), PutPayload::from_static(b"DATA")).await.unwrap();
        evidence.store.put(&path("longer"), PutPayload::from_static(b"data!")).await.unwrap();
        evidence.store.delete(&path("gone")).await.unwrap();
        let faults = check().await;
        assert_eq!(faults.len(), 3, "{kind}: {faults:?}");
        for (fault, words) in faults.iter().zip(["another hash", "has 5 bytes", "is gone"]) {
            assert!(fault.contains(words), "{kind}: {fault}");
        }
        assert_eq!(evidence.verify("2026-11-21/cap-2", soon()).await, Ok(None), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_tried_again_and_is_no_outage() {
    let slow = ThrottleConfig { wait_put_per_call: Duration::from_secs(60), ..Default::default() };
    let store = Arc::new(ThrottledStore::new(InMemory::new(), slow));
    let evidence = Evidence::over(store, "memory");
    let draft = Draft::begin(&folder()).unwrap();
    let failure = evidence.keep(&draft, "pod.json", "{}".into(), soon()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Transient);
}

#[tokio::test]
async fn an_answer_that_was_lost_is_not_taken_for_anothers_work() {
    let bucket = Bucket::start().await;
    let evidence = bucket.evidence();
    let draft = Draft::begin(&folder()).unwrap();
    bucket.lose_answers(1);
    let kept = evidence.keep(&draft, "pod.json", "{}".into(), soon()).await.unwrap();
    let ours = manifest("ours", vec![kept]);
    bucket.lose_answers(1);
    assert!(seal(&evidence, 0, &ours).await.0);
    assert_eq!(sealed(&evidence).await, [ours]);
}

#[tokio::test]
async fn a_store_that_is_away_is_transient_and_one_that_refuses_is_permanent() {
    for (status, kind) in [(503, FailureKind::Transient), (403, FailureKind::Permanent)] {
        let bucket = Bucket::start().await;
        bucket.refuse_all(status);
        let draft = Draft::begin(&folder()).unwrap();
        let kept = bucket.evidence().keep(&draft, "a", "b".into(), soon()).await;
        assert_eq!(kept.unwrap_err().kind, kind, "{status}");
    }
}

#[tokio::test]
async fn a_signed_link_is_good_for_one_object_and_can_not_overwrite_it() {
    let bucket = Bucket::start().await;
    let evidence = bucket.evidence();
    let draft = Draft::begin(&folder()).unwrap();
    let slot = evidence.slot(&draft, "packets.pcap", 100, Duration::from_secs(60)).await.unwrap();
    let client = reqwest::Client::new();
    let put = async |headers: bool, body: &'static str| {
        let mut request = client.put(&slot.url).body(body);
        for (name, value) in slot.headers.iter().filter(|_| headers) {
            request = request.header(name, value);
        }
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(put(false, "first").await, 403, "the condition is part of the signature");
    assert_eq!(put(true, "first").await, 200);
    assert_eq!(put(true, "other").await, 412);
    let stored = evidence.measure(&folder(), &slot.key, 100, soon()).await.unwrap();
    let sha256 = hex(&<sha2::Sha256 as sha2::Digest>::digest("first"));
    assert_eq!(stored, Measured::Read { size: 5, sha256 });
    assert!(!slot.url.contains(bucket::SECRET), "{}", slot.url);
}

#[tokio::test]
async fn what_has_no_way_for_uploads_gives_no_link() {
    let evidence = Evidence::over(Arc::new(InMemory::new()), "memory");
    assert!(!evidence.takes_uploads());
    let draft = Draft::begin(&folder()).unwrap();
    let slot = evidence.slot(&draft, "a", 1, Duration::from_secs(1)).await;
    assert!(slot.unwrap_err().is_permanent());
}

#[tokio::test]
async fn a_manifest_that_is_none_is_not_taken_for_a_capture_that_is_not_there() {
    let store = Arc::new(InMemory::new());
    let evidence = Evidence::over(store.clone(), "memory");
    let path = folder().manifest(&Path::default(), 0);
    store.put(&path, PutPayload::from_static(b"[]")).await.unwrap();
    assert!(evidence.sealed(&folder(), soon()).await.unwrap_err().is_permanent());
}

#[tokio::test]
async fn what_is_at_a_key_already_has_to_be_what_was_to_be_put_there() {
    let evidence = Evidence::over(Arc::new(InMemory::new()), "memory");
    let draft = Draft::begin(&folder()).unwrap();
    for name in ["ours", "theirs"] {
        let path = draft.folder.below(&evidence.root, &draft.key(name));
        evidence.store.put(&path, PutPayload::from(name)).await.unwrap();
    }
    let kept = evidence.keep(&draft, "ours", "ours".into(), soon()).await;
    assert_eq!(kept.map(|artefact| artefact.size), Ok(4), "an answer was lost");
    let kept = evidence.keep(&draft, "theirs", "ours".into(), soon()).await;
    assert_eq!(kept.unwrap_err().kind, FailureKind::Transient);
}
