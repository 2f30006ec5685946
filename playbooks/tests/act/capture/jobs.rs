//! The job: what it may, who waits for it, and that nothing is sealed that was not measured.

use jiff::Timestamp;
use playbooks::{
    act::{Manifest, Ticket},
    decide::Mode,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    Kept, NAMESPACE, image,
    world::{ID, World, ends, jobs, observer, pods, waits, worker},
};
use crate::fixtures::{POD, UID, ago, event, event_at, words};

const PACKETS: &str =
    "mode: enforce\nactions: [capture: {packets: {duration: 30s, size: 1MiB}}, delete: {}]";

fn kept() -> Kept {
    Kept::new("http://stoop-uploads.stoop:2809")
}

/// Uploads as the job's program would, by what it was told alone.
pub(crate) async fn upload(
    kept: &Kept,
    request: &Value,
    data: &'static [u8],
) -> Result<u64, String> {
    upload_once(kept, request, data, std::future::ready(())).await
}

/// The same, whose body comes once `ready` is.
async fn upload_once(
    kept: &Kept,
    request: &Value,
    data: &'static [u8],
    ready: impl Future<Output = ()> + Send,
) -> Result<u64, String> {
    let url = request["upload"]["url"].as_str().expect("a URL");
    let (path, query) = url.split_once('?').expect("a query");
    let key = path.split_once("/v1/evidence/").expect("the route").1;
    let value = |name: &str| {
        let found = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
        found.expect(name).to_owned()
    };
    let ticket = Ticket {
        until: value("until").parse().expect("a time"),
        most: value("most").parse().expect("a size"),
        token: value("token"),
    };
    let body = futures::stream::once(async {
        ready.await;
        Ok::<_, std::convert::Infallible>(data.into())
    });
    let body = Box::pin(body);
    let taken = kept.evidence.receive(key, &ticket, Timestamp::now(), body).await;
    taken.map_err(|error| error.to_string())
}

pub(crate) fn said(data: &[u8]) -> Value {
    let hash: String = Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect();
    json!({"size": data.len(), "sha256": hash, "cut": null, "missing": []})
}

fn is_sealed(kept: &Kept) -> bool {
    kept.files().iter().any(|file| file.ends_with("manifest.json"))
}

#[tokio::test]
async fn a_delete_waits_for_the_captures_end() {
    let (kept, world) = (kept(), World::new());
    let (api, wire) = world.serve_but(|_| None);
    let bench = worker(api, &kept);
    let mut response = bench.begin(PACKETS, &event()).await;
    for _ in 0..3 {
        assert!(waits(&bench, &mut response).await.contains("captures"));
        assert_eq!(wire.writes().len(), 1, "the job alone: {:?}", wire.writes());
    }
    let job = world.job_path(&wire);
    assert_eq!(upload(&kept, &world.request(&job), b"packets").await, Ok(7));
    waits(&bench, &mut response).await;
    assert!(!is_sealed(&kept), "what is uploaded is not yet captured");

    world.end(&job, "Complete", &said(b"packets"));
    let report = ends(&bench, &mut response).await;
    assert_eq!(words(&report), ["capture applied", "delete applied"]);
    assert_eq!(kept.read("packets.pcap"), "packets");
    let manifest: Manifest = serde_json::from_str(&kept.read("manifest.json")).expect("a manifest");
    assert_eq!((manifest.kind.as_str(), manifest.about.uid.as_deref()), ("packets", Some(UID)));
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(9);
    let verdict = kept.evidence.verify(&kept.only(), until).await.expect("asked");
    assert_eq!(verdict.expect("a capture").faults, Vec::<String>::new());
}

#[tokio::test]
async fn a_job_has_what_its_kind_needs_and_nothing_else() {
    let table = [
        ("files: {paths: [/etc/passwd]}", true, false, json!(["SYS_PTRACE", "DAC_READ_SEARCH"])),
        ("syscalls: {}", true, false, json!(["BPF", "PERFMON", "SYS_RESOURCE", "SYS_PTRACE"])),
        ("packets: {}", false, true, json!(["NET_RAW", "SETGID"])),
    ];
    for (kind, host_pid, host_network, capabilities) in table {
        let (kept, world) = (kept(), World::new());
        let (api, wire) = world.serve_but(|_| None);
        let bench = worker(api, &kept);
        let mut response =
            bench.begin(&format!("mode: enforce\nactions: [capture: {{{kind}}}]"), &event()).await;
        waits(&bench, &mut response).await;
        let [write] = &wire.writes()[..] else { panic!("{:?}", wire.writes()) };
        assert_eq!(write.path, jobs());
        let job = &write.body;
        let until = world.request(&world.job_path(&wire))["until"].as_i64().expect("an end");
        let lasts = job["spec"]["activeDeadlineSeconds"].as_i64().expect("a deadline");
        assert!((1..=lasts).contains(&(until - Timestamp::now().as_second())), "{until}");
        let name = job["metadata"]["name"].as_str().expect("a name");
        assert!(name.starts_with("cap-") && name.len() <= 63, "{name}");
        assert_eq!(job["metadata"]["namespace"], NAMESPACE);
        assert_eq!(
            (&job["spec"]["backoffLimit"], &job["spec"]["completions"]),
            (&json!(0), &json!(null))
        );
        assert!(
            job["spec"]["activeDeadlineSeconds"].as_u64().is_some_and(|seconds| seconds <= 300)
        );
        assert!(
            job["spec"]["ttlSecondsAfterFinished"]
                .as_u64()
                .is_some_and(|seconds| seconds > 24 * 3600)
        );

        let pod = &job["spec"]["template"]["spec"];
        assert_eq!(pod["nodeName"], "node-1");
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(pod["restartPolicy"], "Never");
        assert_eq!(
            (&pod["hostPID"], &pod["hostNetwork"]),
            (&json!(host_pid), &json!(host_network)),
            "{kind}"
        );
        let volumes = pod["volumes"].as_array().expect("volumes");
        assert!(
            volumes.iter().all(|volume| volume.get("emptyDir").is_some()),
            "{kind}: {volumes:?}"
        );
        let [container] = &pod["containers"].as_array().expect("containers")[..] else {
            panic!("{pod}")
        };
        assert_eq!(container["image"], image());
        assert_eq!((&container["command"], &container["args"]), (&json!(null), &json!(null)));
        let context = &container["securityContext"];
        assert_eq!(context["readOnlyRootFilesystem"], true);
        assert_eq!(context["allowPrivilegeEscalation"], false);
        assert_eq!(context["privileged"], json!(null));
        assert_eq!(
            context["capabilities"],
            json!({"drop": ["ALL"], "add": capabilities}),
            "{kind}"
        );
    }
}

/// Another capture's job, of this node, as its annotations and conditions may be.
fn another(node: &str, conditions: Value) -> Value {
    json!({
        "metadata": {
            "name": "another", "uid": "another", "creationTimestamp": ago(0).to_string(),
            "labels": {"stoop.dev/capture-node": node}
        },
        "spec": {"activeDeadlineSeconds": 210, "template": {}},
        "status": {"conditions": conditions}
    })
}

#[tokio::test]
async fn a_node_has_two_captures_at_a_time_and_others_wait_their_turn() {
    let over = || json!([{"type": "Failed", "status": "True"}]);
    let table = [
        (vec![], false),
        (vec![another("node-1", json!([]))], false),
        (vec![another("node-1", json!([])), another("node-1", over())], false),
        (vec![another("node-1", json!([])), another("node-2", json!([]))], false),
        (vec![another("node-1", json!([])), another("node-1", json!([]))], true),
    ];
    for (others, is_held) in table {
        let (kept, world) = (kept(), World::new());
        for (number, mut other) in others.into_iter().enumerate() {
            other["metadata"]["name"] = json!(format!("another-{number}"));
            world.0.lock().put(&format!("{}/another-{number}", jobs()), other);
        }
        let (api, wire) = world.serve_but(|_| None);
        let bench = worker(api, &kept);
        let mut response = bench.begin(PACKETS, &event()).await;
        let why = waits(&bench, &mut response).await;
        assert_eq!(why.contains("2 captures run on node node-1"), is_held, "{why}");
        assert_eq!(wire.writes().len(), usize::from(!is_held));
        if !is_held {
            let labels = &world.0.get(&world.job_path(&wire))["metadata"]["labels"];
            assert_eq!(labels["stoop.dev/capture-node"], "node-1");
            continue;
        }
        world.0.lock().change(&format!("{}/another-0", jobs()), |job| {
            job["status"]["conditions"] = over();
        });
        assert!(waits(&bench, &mut response).await.ends_with("captures"));
    }
}

#[tokio::test]
async fn a_pod_that_goes_while_others_are_captured_is_not_looked_for() {
    let (kept, world) = (kept(), World::new());
    for number in 0..2 {
        let path = format!("{}/another-{number}", jobs());
        world.0.lock().put(&path, another("node-1", json!([])));
    }
    let (api, wire) = world.serve_but(|_| None);
    let bench = worker(api, &kept);
    let mut response = bench.begin(PACKETS, &event()).await;
    waits(&bench, &mut response).await;
    world.lose_pod();
    world.0.lock().remove(&format!("{}/another-0", jobs()));
    let report = ends(&bench, &mut response).await;
    assert_eq!(words(&report)[0], "capture skipped (gone)");
    assert!(
        wire.writes().iter().all(|request| request.path != jobs()),
        "its addresses may be another's"
    );
}

#[tokio::test]
async fn a_job_that_failed_says_why_and_holds_up_only_what_asks_for_it() {
    for (on_failure, expected) in [
        ("", ["capture failed (permanent)", "delete applied"]),
        (", onFailure: stop", ["capture failed (permanent)", "delete skipped (stopped)"]),
    ] {
        let (kept, world) = (kept(), World::new());
        let (api, wire) = world.serve_but(|_| None);
        let bench = worker(api, &kept);
        let spec = format!(
            "mode: enforce\nactions: [{{capture: {{packets: {{}}}}{on_failure}}}, delete: {{}}]"
        );
        let mut response = bench.begin(&spec, &event()).await;
        waits(&bench, &mut response).await;
        world.end(&world.job_path(&wire), "Failed", &json!({"error": "tcpdump ended with 1"}));
        let report = ends(&bench, &mut response).await;
        assert_eq!(words(&report), expected);
        assert!(report.steps[0].outcome.detail().contains("tcpdump ended with 1"));
        assert!(!is_sealed(&kept));
    }
}

#[tokio::test]
async fn a_job_that_nobody_ends_is_not_waited_for_for_ever() {
    let (kept, world) = (kept(), World::new());
    let (api, wire) = world.serve_but(|_| None);
    let bench = worker(api, &kept);
    let mut response = bench.begin(PACKETS, &event()).await;
    waits(&bench, &mut response).await;
    world.0.lock().change(&world.job_path(&wire), |job| {
        job["metadata"]["creationTimestamp"] = json!(ago(600).to_string());
    });
    let report = ends(&bench, &mut response).await;
    assert_eq!(words(&report), ["capture failed (permanent)", "delete applied"]);
    assert!(report.steps[0].outcome.detail().contains("in time"));
}

#[tokio::test]
async fn nothing_is_sealed_that_is_not_what_the_job_says() {
    let cases: [(&str, Option<&'static [u8]>, Value); 4] = [
        ("nothing was stored", None, said(b"packets")),
        ("not what it says", Some(b"PACKETS"), said(b"packets")),
        ("not what it says", Some(b"packets and more"), said(b"packets")),
        ("no word", Some(b"packets"), json!("done!")),
    ];
    for (why, stored, said) in cases {
        let (kept, world) = (kept(), World::new());
        let (api, wire) = world.serve_but(|_| None);
        let bench = worker(api, &kept);
        let mut response = bench.begin(PACKETS, &event()).await;
        waits(&bench, &mut response).await;
        let job = world.job_path(&wire);
        if let Some(data) = stored {
            upload(&kept, &world.request(&job), data).await.expect("taken");
        }
        world.end(&job, "Complete", &said);
        let report = ends(&bench, &mut response).await;
        assert_eq!(words(&report), ["capture failed (permanent)", "delete applied"], "{why}");
        let detail = report.steps[0].outcome.detail();
        assert!(detail.contains(why), "{why}: {detail}");
        // What lies in the store is not called nothing.
        let is_named = detail.contains("packets.pcap") && detail.contains("not sealed");
        assert_eq!(is_named, stored.is_some(), "{detail}");
        assert_eq!(detail.contains("captured nothing: "), stored.is_none(), "{detail}");
        assert!(!is_sealed(&kept), "{why}");
    }
}

#[tokio::test]
async fn what_is_missing_or_cut_is_said_of_a_capture_whenever_it_is_named() {
    let (kept, world) = (kept(), World::new());
    let (api, wire) = world.serve_but(|_| None);
    let (bench, event) = (worker(api.clone(), &kept), event());
    let spec = "mode: enforce\nactions: [capture: {files: {paths: [/a, /b]}}]";
    let mut response = bench.begin(spec, &event).await;
    waits(&bench, &mut response).await;
    let job = world.job_path(&wire);
    upload(&kept, &world.request(&job), b"files").await.expect("taken");
    let mut words_said = said(b"files");
    words_said["missing"] = json!([{"what": "/b", "why": "no such file"}]);
    words_said["more"] = json!(2);
    words_said["cut"] = json!("/a: cut at 10 bytes");
    world.end(&job, "Complete", &words_said);
    let first = ends(&bench, &mut response).await;
    let again = worker(api, &kept).run(spec, &event).await;
    for (report, word) in [(first, "capture applied"), (again, "capture already-done")] {
        assert_eq!(words(&report), [word]);
        let detail = report.steps[0].outcome.detail();
        assert!(
            detail.contains("without /b, 2 more") && detail.contains("cut: files.tar"),
            "{detail}"
        );
        let [evidence] = &report.steps[0].evidence[..] else { panic!("{:?}", report.steps[0]) };
        let line = json!(report.steps[0]);
        assert_eq!(line["evidence"][0]["sha256"], evidence.sha256, "the audit line has it too");
        assert!(evidence.url.ends_with("/manifest.json"), "{}", evidence.url);
        let manifest = kept.read("manifest.json");
        assert_eq!(evidence.sha256, said(manifest.as_bytes())["sha256"].as_str().expect("a hash"));
    }
}

#[tokio::test]
async fn an_upload_is_bounded_and_taken_once() {
    let (kept, world) = (kept(), World::new());
    let (api, wire) = world.serve_but(|_| None);
    let bench = worker(api, &kept);
    let spec = "mode: enforce\nactions: [capture: {packets: {size: 10}}]";
    let mut response = bench.begin(spec, &event()).await;
    waits(&bench, &mut response).await;
    let request = world.request(&world.job_path(&wire));
    assert!(upload(&kept, &request, b"eleven byte").await.is_err());
    assert_eq!(upload(&kept, &request, b"ten bytes!").await, Ok(10));
    assert!(upload(&kept, &request, b"others").await.is_err());
    assert_eq!(kept.read("packets.pcap"), "ten bytes!");
}

#[tokio::test]
async fn of_two_uploads_at_once_one_is_kept_as_it_came() {
    let (kept, world) = (kept(), World::new());
    let (api, wire) = world.serve_but(|_| None);
    let bench = worker(api, &kept);
    waits(&bench, &mut bench.begin(PACKETS, &event()).await).await;
    let request = world.request(&world.job_path(&wire));
    // Both have been let in before either has sent anything.
    let both = tokio::sync::Barrier::new(2);
    let send = |data| {
        let both = &both;
        upload_once(&kept, &request, data, async move { _ = both.wait().await })
    };
    let (one, two) = futures::future::join(send(b"one"), send(b"two")).await;
    let stored = if one.is_ok() { "one" } else { "two" };
    assert_eq!([one, two].iter().filter(|taken| taken.is_ok()).count(), 1);
    assert_eq!(kept.read("packets.pcap"), stored);
}

#[tokio::test]
async fn more_than_was_asked_for_is_not_sealed() {
    let (kept, world) = (kept(), World::new());
    let (api, wire) = world.serve_but(|_| None);
    let bench = worker(api, &kept);
    let mut response = bench.begin(PACKETS, &event()).await;
    waits(&bench, &mut response).await;
    let job = world.job_path(&wire);
    upload(&kept, &world.request(&job), b"packets").await.expect("taken");
    // A bucket bounds nothing.
    let more = vec![0; (1 << 20) + 1];
    let file = kept.files().into_iter().find(|file| file.ends_with("packets.pcap"));
    std::fs::write(kept.folder.path().join(file.expect("a file")), &more).expect("written");
    world.end(&job, "Complete", &said(&more));
    let report = ends(&bench, &mut response).await;
    assert_eq!(words(&report)[0], "capture failed (permanent)");
    assert!(report.steps[0].outcome.detail().contains("more was stored"), "{}", report.overall);
    assert!(!is_sealed(&kept));
}

#[tokio::test]
async fn a_pod_that_only_wears_the_jobs_label_has_no_say() {
    let (kept, world) = (kept(), World::new());
    let (api, wire) = world.serve_but(|_| None);
    let bench = worker(api, &kept);
    let mut response = bench.begin(PACKETS, &event()).await;
    waits(&bench, &mut response).await;
    let job = world.job_path(&wire);
    upload(&kept, &world.request(&job), b"packets").await.expect("taken");
    world.end(&job, "Complete", &said(b"packets"));
    let another = |pod: &mut Value| pod["metadata"]["ownerReferences"][0]["uid"] = json!("another");
    world.0.lock().change(&pods(), another);
    let report = ends(&bench, &mut response).await;
    assert!(report.steps[0].outcome.detail().contains("no word"), "{}", report.overall);
    assert!(!is_sealed(&kept));
}

#[tokio::test]
async fn a_redelivery_to_another_worker_goes_on_with_the_same_job() {
    let (kept, world) = (kept(), World::new());
    let (api, wire) = world.serve_but(|_| None);
    let event = event();
    let first = worker(api.clone(), &kept);
    waits(&first, &mut first.begin(PACKETS, &event).await).await;
    drop(first);
    let job = world.job_path(&wire);
    upload(&kept, &world.request(&job), b"packets").await.expect("taken");
    world.end(&job, "Complete", &said(b"packets"));
    let second = worker(api.clone(), &kept);
    assert_eq!(words(&second.run(PACKETS, &event).await), ["capture applied", "delete applied"]);
    let created = wire.writes().into_iter().filter(|request| request.path == jobs()).count();
    assert_eq!(created, 1);
    // And once more, when the pod is gone and the job as well.
    world.0.lock().remove(&job);
    assert_eq!(
        words(&worker(api, &kept).run(PACKETS, &event).await),
        ["capture already-done", "delete already-done"]
    );
}

#[tokio::test]
async fn what_is_kept_is_not_captured_again_when_its_job_is_gone() {
    let (kept, world) = (kept(), World::new());
    let (api, wire) = world.serve_but(|_| None);
    let (bench, event) = (worker(api, &kept), event());
    let spec = "mode: enforce\nactions: [capture: {packets: {}}]";
    waits(&bench, &mut bench.begin(spec, &event).await).await;
    let job = world.job_path(&wire);
    upload(&kept, &world.request(&job), b"packets").await.expect("taken");
    world.end(&job, "Complete", &said(b"packets"));
    assert_eq!(words(&bench.run(spec, &event).await), ["capture applied"]);
    world.0.lock().remove(&job);
    assert_eq!(words(&bench.run(spec, &event).await), ["capture already-done"]);
    assert_eq!(wire.writes().len(), 1, "{:?}", wire.writes());
}

#[tokio::test]
async fn a_job_outlives_its_pod() {
    let (kept, world) = (kept(), World::new());
    let (api, wire) = world.serve_but(|_| None);
    let (bench, event) = (worker(api, &kept), event());
    let spec = "mode: enforce\nactions: [capture: {packets: {}}]";
    waits(&bench, &mut bench.begin(spec, &event).await).await;
    let job = world.job_path(&wire);
    world.lose_pod();
    upload(&kept, &world.request(&job), b"packets").await.expect("taken");
    world.end(&job, "Complete", &said(b"packets"));
    assert_eq!(words(&bench.run(spec, &event).await), ["capture applied"]);
    let manifest: Manifest = serde_json::from_str(&kept.read("manifest.json")).expect("a manifest");
    assert!(manifest.about.verified, "it was, when the job began");
}

#[tokio::test]
async fn a_dry_run_is_judged_by_the_server_and_leaves_nothing() {
    let (kept, world) = (kept(), World::new());
    let (api, wire) = world.serve_but(|_| None);
    let report = observer(api, &kept, Mode::DryRun).run(PACKETS, &event()).await;
    assert_eq!(words(&report)[0], "capture skipped (dry-run)");
    assert!(
        wire.writes()
            .iter()
            .all(|write| write.query.contains("dryRun=All") || !write.body["dryRun"].is_null())
    );
    assert_eq!(kept.files(), Vec::<String>::new());
}

#[tokio::test]
async fn an_old_event_and_a_protected_pod_get_no_job() {
    let (kept, world) = (kept(), World::new());
    let (api, wire) = world.serve_but(|_| None);
    let old = worker(api, &kept).run(PACKETS, &event_at(ago(900))).await;
    assert_eq!(words(&old)[0], "capture refused (event-age)");

    let mut setup = crate::fixtures::Setup::new(world.serve_but(|_| None).0);
    setup.captures = Some(kept.captures.clone());
    setup.guardrails.protected_namespaces = vec!["shop".into()];
    let spec = "mode: enforce\nactions: [capture: {packets: {}}, capture: {snapshot: {}}]";
    let protected = setup.build().run(spec, &event()).await;
    // To read is no change.
    assert_eq!(words(&protected), ["capture refused (protected-namespace)", "capture applied"]);
    assert!(wire.writes().is_empty());
}

#[tokio::test]
async fn the_nodes_own_network_is_not_captured_for_a_pod_that_is_on_it() {
    let (kept, world) = (kept(), World::new());
    world.0.lock().change(POD, |pod| pod["spec"]["hostNetwork"] = json!(true));
    let (api, wire) = world.serve_but(|_| None);
    let spec = "mode: enforce\nactions: [capture: {packets: {}}]";
    assert_eq!(
        words(&worker(api, &kept).run(spec, &event()).await),
        ["capture refused (host-network)"]
    );
    assert!(wire.writes().is_empty());
}

#[tokio::test]
async fn a_container_that_has_ended_is_gone_though_its_pod_lives() {
    let (kept, world) = (kept(), World::new());
    world.0.lock().change(POD, |pod| {
        let status = &mut pod["status"]["containerStatuses"][0];
        status["containerID"] = json!(format!("containerd://{}", ID.replace('6', "7")));
        status["lastState"] =
            json!({"terminated": {"exitCode": 1, "containerID": format!("containerd://{ID}")}});
    });
    let (api, wire) = world.serve_but(|_| None);
    let spec = "mode: enforce\nactions: [capture: {files: {paths: [/etc/passwd]}}]";
    assert_eq!(words(&worker(api, &kept).run(spec, &event()).await), ["capture skipped (gone)"]);
    assert!(wire.writes().is_empty());
}
