//! Others act at the same time, answers are lost, and workers crash: the pod that is isolated is the event's, once.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use http::Method;
use playbooks::act::{Advance, FailureKind, Verification};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Cluster, ID, ISOLATE, POLICIES, enforcing, isolate, quarantine};
use crate::{
    fixtures::{OTHER_UID, POD, UID, event, words},
    wire::{Answer, Request, error},
};

#[tokio::test]
async fn a_successor_is_never_changed_and_our_policy_for_the_gone_one_goes() {
    for (method, path) in [(Method::PATCH, POD.to_owned()), (Method::GET, POLICIES.to_owned())] {
        let cluster = Cluster::new();
        let mut replaced = false;
        let (api, _) = cluster.serve_with(move |state, request| {
            if request.is(&method, &path) && !replaced {
                replaced = true;
                state.pod.as_mut().expect("a pod")["metadata"]["uid"] = json!(OTHER_UID);
            }
            None
        });
        let before = cluster.labels();
        let report = enforcing(api).run(ISOLATE, &event()).await;
        assert_eq!(words(&report), ["isolate skipped (gone)"]);
        assert_eq!(cluster.labels(), before);
        assert!(cluster.state().policies.is_empty());
    }
}

#[tokio::test]
async fn what_others_change_meanwhile_is_kept() {
    let cluster = Cluster::new();
    let mut times = 0;
    let (api, _) = cluster.serve_with(move |state, request| {
        if request.is(&Method::PATCH, POD) && times < 2 {
            times += 1;
            state.label("theirs", "new");
        }
        None
    });
    assert_eq!(words(&enforcing(api).run(ISOLATE, &event()).await), ["isolate applied"]);
    assert_eq!(cluster.labels(), json!({"note": "x", "theirs": "new", "stoop.dev/quarantine": ID}));
}

#[tokio::test]
async fn a_pod_that_never_comes_to_rest_is_left_to_a_later_try() {
    let (api, wire) = Cluster::new().serve_with(|_, request| {
        request.is(&Method::PATCH, POD).then(|| error(409, "Conflict", "modified"))
    });
    let bench = enforcing(api);
    let mut response = bench.begin(ISOLATE, &event()).await;
    let Advance::Retry(failure) = bench.advance(&mut response).await else { panic!("not retried") };
    assert_eq!(failure.kind, FailureKind::Transient);
    assert!(wire.writes().len() < 10, "bounded");
}

#[tokio::test]
async fn a_patch_that_the_server_finds_invalid_is_not_repeated() {
    let (api, wire) = Cluster::new().serve_with(|_, request| {
        request.is(&Method::PATCH, POD).then(|| error(422, "Invalid", "annotations: Too long"))
    });
    let report = enforcing(api).run(ISOLATE, &event()).await;
    assert_eq!(words(&report), ["isolate failed (permanent)"]);
    assert!(report.overall.detail().contains("Too long"));
    assert_eq!(wire.writes().iter().filter(|write| write.path == POD).count(), 1);
}

#[tokio::test]
async fn a_policy_that_has_our_name_and_is_not_ours_is_never_overwritten() {
    let cluster =
        Cluster::new().with_policy(&quarantine(), json!({"podSelector": {}, "ingress": [{}]}));
    let before = cluster.state().clone();
    let (api, _) = cluster.serve();
    assert_eq!(words(&enforcing(api).run(ISOLATE, &event()).await), ["isolate failed (permanent)"]);
    assert_eq!(*cluster.state(), before);

    // Nor where it appears between the look and the write.
    let cluster = Cluster::new();
    let (api, _) = cluster.serve_with(|state, request| {
        if request.is(&Method::PATCH, &format!("{POLICIES}/{}", quarantine()))
            && state.policies.is_empty()
        {
            state.add_policy(&quarantine(), json!({"podSelector": {}, "ingress": [{}]}));
        }
        None
    });
    assert_eq!(words(&enforcing(api).run(ISOLATE, &event()).await), ["isolate failed (permanent)"]);
    assert_eq!(
        cluster.state().policies[&quarantine()]["spec"],
        json!({"podSelector": {}, "ingress": [{}]})
    );
}

#[tokio::test]
async fn two_playbooks_never_loosen_what_the_other_cut_off() {
    let (strict, loose) =
        (isolate("{}"), isolate("{egressOnly: true, allow: {cidrs: ['10.0.0.0/8']}}"));
    for order in [[&strict, &loose], [&loose, &strict]] {
        let cluster = Cluster::new();
        let (api, _) = cluster.serve();
        let bench = enforcing(api);
        for spec in order {
            let report = bench.run(spec, &event()).await;
            assert!(report.overall.ended_well(), "{}", report.overall);
        }
        let spec = cluster.state().policies[&quarantine()]["spec"].clone();
        assert_eq!(
            spec,
            json!({"podSelector": {"matchLabels": {"stoop.dev/quarantine": ID}}, "policyTypes": ["Ingress", "Egress"]})
        );
    }
}

/// A worker between its look and its first write, while another isolates the pod more strictly.
#[tokio::test]
async fn a_policy_that_appears_between_look_and_write_is_met_not_overwritten() {
    let cluster = Cluster::new();
    let strict = json!({"podSelector": {"matchLabels": {"stoop.dev/quarantine": ID}}, "policyTypes": ["Ingress", "Egress"]});
    let others = strict.clone();
    let (api, _) = cluster.serve_with(move |state, request| {
        if request.is(&Method::PATCH, &format!("{POLICIES}/{}", quarantine()))
            && state.policies.is_empty()
        {
            state.add_policy(&quarantine(), others.clone());
            let labels = json!({"app.kubernetes.io/managed-by": "stoop", "stoop.dev/pod-uid": UID});
            state.policies.get_mut(&quarantine()).expect("it")["metadata"]["labels"] = labels;
        }
        None
    });
    let loose = isolate("{egressOnly: true, allow: {cidrs: ['10.0.0.0/8']}}");
    assert_eq!(words(&enforcing(api).run(&loose, &event()).await), ["isolate applied"]);
    assert_eq!(cluster.state().policies[&quarantine()]["spec"], strict);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_hangs_by_itself_is_no_outage() {
    for path in [POD.to_owned(), format!("{POLICIES}/{}", quarantine())] {
        let (api, _) = Cluster::new().serve_with(move |_, request| {
            request.is(&Method::PATCH, &path).then_some(Answer::Never)
        });
        let bench = enforcing(api);
        let mut response = bench.begin(ISOLATE, &event()).await;
        let Advance::Retry(failure) = bench.advance(&mut response).await else {
            panic!("not retried")
        };
        assert_eq!(failure.kind, FailureKind::Transient);
        assert!(failure.why.contains("admission webhook"), "{failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_carried_out_and_not_answered_is_done() {
    let (api, wire) = Cluster::new().serve_with(|state, request| {
        request.is(&Method::PATCH, POD).then(|| {
            state.answer(request);
            Answer::Never
        })
    });
    let report = enforcing(api).run(ISOLATE, &event()).await;
    assert!(report.overall.ended_well(), "{}", report.overall);
    assert_eq!(wire.writes().len(), 2);
}

/// Whichever answer is lost on its way, though the request was carried out, and whether the worker goes on or starts
/// anew: the same labels, the same policy.
#[tokio::test]
async fn a_crash_anywhere_ends_in_the_same_state() {
    let whole = Cluster::new();
    enforcing(whole.serve().0).run(ISOLATE, &event()).await;
    let spec = |cluster: &Cluster| cluster.state().policies[&quarantine()]["spec"].clone();
    let annotations = |cluster: &Cluster| {
        cluster.state().pod.as_ref().expect("a pod")["metadata"]["annotations"].clone()
    };
    for lost_answer in 0..16 {
        for starts_anew in [false, true] {
            let cluster = Cluster::new();
            let mut asked = 0;
            let (api, _) = cluster.serve_with(move |state, request| {
                asked += 1;
                (asked - 1 == lost_answer).then(|| {
                    state.answer(request);
                    Answer::Broken
                })
            });
            let bench = enforcing(api);
            let report = 'ended: loop {
                let Some(mut response) = bench.try_begin(ISOLATE, &event()).await else { continue };
                loop {
                    match bench.advance(&mut response).await {
                        Advance::Finished(report) => break 'ended report,
                        Advance::Retry(_) if starts_anew => break,
                        Advance::Retry(_) => {}
                        Advance::Lost => panic!("lost"),
                    }
                }
            };
            let case = format!("answer {lost_answer}, anew {starts_anew}: {}", report.overall);
            assert!(report.overall.ended_well(), "{case}");
            assert_eq!(cluster.labels(), whole.labels(), "{case}");
            assert_eq!(annotations(&cluster), annotations(&whole), "{case}");
            assert_eq!(cluster.state().policies.len(), 1, "{case}");
            assert_eq!(spec(&cluster), spec(&whole), "{case}");
        }
    }
}

/// After a crash the pod is verified anew, without its labels and its owner.
#[tokio::test]
async fn what_follows_judges_the_pod_as_it_was_before() {
    // A name such as its ReplicaSet gives.
    const NAME: &str = "web-5d-x7k2p";
    let cluster = Cluster::new().with_pod(|pod| pod["metadata"]["name"] = json!(NAME));
    let mut event = event();
    event["output_fields"]["k8s.pod.name"] = json!(NAME);
    let (api, _) = cluster.serve_with(|state, request| {
        let path = request.path.replace(NAME, "web");
        Some(state.answer(&Request { path, ..request.clone() }))
    });
    let bench = enforcing(api);
    bench.run(ISOLATE, &event).await;
    // What the ReplicaSet's controller does.
    let cluster = cluster.with_pod(|pod| pod["metadata"]["ownerReferences"] = json!([]));
    let Verification::Target(target) = bench.verify(&event).await else { panic!("not found") };
    assert_eq!(target.facts().pod_labels["app"], "web");
    assert!(!target.facts().pod_labels.contains_key("stoop.dev/quarantine"));
    assert_eq!(target.owner().map(|owner| owner.name.as_str()), Some("web-5d"));
    let report = bench.run("mode: enforce\nactions: [isolate: {}, delete: {}]", &event).await;
    assert_eq!(words(&report), ["isolate already-done", "delete applied"], "{}", report.overall);
    assert_eq!(cluster.state().pod, None);
}

#[tokio::test]
async fn many_workers_and_redeliveries_isolate_once() {
    let cluster = Cluster::new();
    let patches = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&patches);
    let (api, _) = cluster.serve_with(move |state, request| {
        let answer = state.answer(request);
        if request.is(&Method::PATCH, POD) && matches!(answer, Answer::Json(200, _)) {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        Some(answer)
    });
    let workers: Vec<_> = (0..4).map(|_| enforcing(api.clone())).collect();
    let event = event();
    let runs = workers.iter().flat_map(|worker| (0..4).map(|_| worker.run(ISOLATE, &event)));
    let reports = futures::future::join_all(runs).await;
    assert!(reports.iter().all(|report| report.overall.ended_well()));
    assert_eq!(patches.load(Ordering::SeqCst), 1);
    assert_eq!(cluster.state().policies.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is configured and whatever else is there: every write names the pod's uid, foreign policies and
    /// Services stay byte for byte, and a dry run says so.
    #[test]
    fn no_configuration_makes_a_write_unsafe(
        egress_only in any::<bool>(),
        simple in any::<bool>(),
        dry_run in any::<bool>(),
        selectors in proptest::collection::vec(prop_oneof![Just(json!({})), Just(json!({"matchLabels": {"app": "web"}})), Just(json!({"matchLabels": {"note": "x"}}))], 0..3),
    ) {
        let mut cluster = Cluster::new();
        for (at, selector) in selectors.iter().enumerate() {
            cluster = cluster.with_policy(&format!("p{at}"), json!({"podSelector": selector, "ingress": [{}], "egress": [{}]}));
        }
        let mut config = json!({"accept": ["Partial"]});
        if simple { config["denyEgressByLabel"] = json!("app") } else { config["egressOnly"] = json!(egress_only) }
        let mode = if dry_run { "dryRun" } else { "enforce" };
        let before = cluster.state().clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (writes, report) = runtime.block_on(async {
            let (api, wire) = cluster.serve();
            let report = enforcing(api).run(&format!("mode: {mode}\nactions: [isolate: {config}]"), &event()).await;
            (wire.writes(), report)
        });
        prop_assert!(report.overall.ended_well(), "{}", report.overall);
        for write in writes {
            let meta = &write.body["metadata"];
            let uid: &Value = if write.path == POD { &meta["uid"] } else { &meta["labels"]["stoop.dev/pod-uid"] };
            prop_assert_eq!(uid, UID);
            prop_assert!(!meta["resourceVersion"].is_null());
            prop_assert_eq!(write.query.contains("dryRun=All"), dry_run);
        }
        let after = cluster.state();
        for (name, policy) in &before.policies {
            prop_assert_eq!(&after.policies[name], policy);
        }
        prop_assert_eq!(&after.services, &before.services);
    }
}
