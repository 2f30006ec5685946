//! What holds whatever is configured and wherever it breaks.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use http::Method;
use playbooks::act::{Advance, Notifiers};
use proptest::{option, prelude::*};
use serde_json::json;

use crate::{
    fixtures::{Setup, UID, event, pod, pod_with, server, with_pod, word},
    outside::Inbox,
    wire::{Answer, Wire},
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every write carries the verified uid, none a grace period of zero, and a dry run says so.
    #[test]
    fn no_configuration_makes_a_write_unsafe(
        evict in any::<bool>(),
        grace in option::of(1u32..100),
        own_grace in option::of(0i64..100),
        ending in option::of(0i64..100),
        dry_run in any::<bool>(),
    ) {
        let pod = pod_with(|pod| {
            pod["spec"]["terminationGracePeriodSeconds"] = json!(own_grace);
            if let Some(remaining) = ending {
                pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
                pod["metadata"]["deletionGracePeriodSeconds"] = json!(remaining);
            }
        });
        let mode = if dry_run { "dryRun" } else { "enforce" };
        let grace = grace.map(|seconds| format!(", gracePeriod: {seconds}s")).unwrap_or_default();
        let spec = format!("mode: {mode}\nactions: [delete: {{evict: {evict}{grace}}}]");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let writes = runtime.block_on(async {
            let (api, wire) = server(pod);
            Setup::new(api).build().run(&spec, &event()).await;
            wire.writes()
        });
        for write in writes {
            let options = if write.method == Method::POST { &write.body["deleteOptions"] } else { &write.body };
            prop_assert_eq!(&options["preconditions"]["uid"], UID);
            prop_assert!(options["gracePeriodSeconds"].as_u64().is_some_and(|seconds| seconds > 0));
            prop_assert_eq!(&options["dryRun"], &if dry_run { json!(["All"]) } else { json!(null) });
        }
    }
}

/// Whichever answer is lost on its way, though the request was carried out, and whether the worker goes on or
/// starts anew: the pod is deleted once, and someone is told.
#[tokio::test]
async fn a_crash_anywhere_ends_in_the_same_state() {
    let spec = "mode: enforce\nactions: [delete: {evict: EVICT}, notify: {to: [inbox]}]";
    for evict in ["false", "true"] {
        let spec = spec.replace("EVICT", evict);
        for lost_answer in 0..6 {
            for starts_anew in [false, true] {
                let (effects, inbox) = (Arc::new(AtomicUsize::new(0)), Inbox::default());
                let counted = Arc::clone(&effects);
                let (mut answer, mut asked) = (with_pod(pod()), 0);
                let (api, _) = Wire::new(move |request| {
                    let answered = answer(request);
                    if request.is_write() && matches!(answered, Answer::Json(200, _)) {
                        counted.fetch_add(1, Ordering::SeqCst);
                    }
                    asked += 1;
                    if asked - 1 == lost_answer { Answer::Broken } else { answered }
                });
                let mut setup = Setup::new(api);
                setup.notifiers = Notifiers::default()
                    .with("inbox", Arc::new(inbox.clone()))
                    .expect("a free name");
                let bench = setup.build();
                let case = format!("evict {evict}, answer {lost_answer}, anew {starts_anew}");
                let report = 'ended: loop {
                    let Some(mut response) = bench.try_begin(&spec, &event()).await else {
                        continue;
                    };
                    loop {
                        match bench.advance(&mut response).await {
                            Advance::Finished(report) => break 'ended report,
                            Advance::Retry(_) if starts_anew => break,
                            Advance::Retry(_) => {}
                            Advance::Lost => panic!("lost"),
                        }
                    }
                };
                assert!(report.overall.ended_well(), "{case}: {}", word(&report.overall));
                assert_eq!(
                    (effects.load(Ordering::SeqCst), inbox.messages().len()),
                    (1, 1),
                    "{case}"
                );
            }
        }
    }
}

#[tokio::test]
async fn many_workers_and_redeliveries_delete_once() {
    let effects = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&effects);
    let mut answer = with_pod(pod());
    let (api, _) = Wire::new(move |request| {
        let answered = answer(request);
        if request.is_write() && matches!(answered, Answer::Json(200, _)) {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        answered
    });
    let event = event();
    let workers: Vec<_> = (0..4).map(|_| Setup::new(api.clone()).build()).collect();
    let runs = workers.iter().flat_map(|worker| {
        let event = &event;
        (0..4).map(move |_| worker.run("mode: enforce\nactions: [delete]", event))
    });
    let reports = futures::future::join_all(runs).await;
    assert!(reports.iter().all(|report| report.overall.ended_well()));
    assert_eq!(effects.load(Ordering::SeqCst), 1);
}
