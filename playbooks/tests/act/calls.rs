//! What goes over the wire, byte for byte, and that no call outlives its deadline.

use http::Method;
use playbooks::act::{Advance, Class, Dependency, FailureKind, Needs, Permission};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    fixtures::{
        EVICTION, POD, Setup, UID, event, occurrence, pod, pod_with, server, with_pod, words,
    },
    wire::{Answer, DEADLINE, Wire, error},
};

#[tokio::test]
async fn a_delete_carries_the_uid_and_nothing_that_was_not_asked_for() {
    let (api, wire) = server(pod());
    Setup::new(api).build().run("mode: enforce\nactions: [delete: {}]", &event()).await;
    let [delete] = &wire.writes()[..] else { panic!("{:?}", wire.writes()) };
    assert!(delete.is(&Method::DELETE, POD));
    assert_eq!(delete.body, json!({"gracePeriodSeconds": 30, "preconditions": {"uid": UID}}));
}

#[tokio::test]
async fn the_verifying_read_comes_first_and_nothing_stands_between_it_and_the_delete() {
    let (api, wire) = server(pod());
    Setup::new(api)
        .build()
        .run("mode: enforce\nactions: [delete: {gracePeriod: 5s}]", &event())
        .await;
    let requests = wire.requests();
    let [get, delete] = &requests[..] else { panic!("{requests:?}") };
    assert!(get.is(&Method::GET, POD));
    assert_eq!(get.query, "", "a read of the live object, not of a cache");
    assert_eq!(delete.body["gracePeriodSeconds"], 5);
}

#[tokio::test]
async fn an_eviction_carries_the_uid_where_the_api_reads_it() {
    let (api, wire) = server(pod());
    Setup::new(api)
        .build()
        .run("mode: enforce\nactions: [delete: {evict: true, gracePeriod: 5s}]", &event())
        .await;
    let [eviction] = &wire.writes()[..] else { panic!("{:?}", wire.writes()) };
    assert!(eviction.is(&Method::POST, EVICTION));
    assert_eq!(eviction.body["kind"], "Eviction");
    assert_eq!(eviction.body["apiVersion"], "policy/v1");
    assert_eq!(eviction.body["metadata"], json!({"name": "web", "namespace": "shop"}));
    assert_eq!(
        eviction.body["deleteOptions"],
        json!({"gracePeriodSeconds": 5, "preconditions": {"uid": UID}})
    );
    // The budget is taken off before the server compares uids: the read comes right before.
    let last: Vec<_> =
        wire.requests().iter().rev().take(2).map(|request| request.method.clone()).collect();
    assert_eq!(last, [Method::POST, Method::GET]);
}

#[tokio::test]
async fn a_dry_run_says_so_in_every_write() {
    for (config, wire_says) in [("{}", "body"), ("{evict: true}", "query")] {
        let (api, wire) = server(pod());
        let report = Setup::new(api)
            .build()
            .run(&format!("mode: dryRun\nactions: [delete: {config}]"), &event())
            .await;
        let [write] = &wire.writes()[..] else { panic!("{:?}", wire.writes()) };
        match wire_says {
            "body" => assert_eq!(write.body["dryRun"], json!(["All"])),
            _ => {
                assert_eq!(write.body["deleteOptions"]["dryRun"], json!(["All"]));
                assert!(write.query.contains("dryRun=All"), "{}", write.query);
            }
        }
        assert_eq!(report.overall.reason(), Some("dry-run"));
    }
}

#[tokio::test]
async fn a_grace_period_of_zero_is_never_sent_not_even_the_pods_own() {
    let own_zero = pod_with(|pod| pod["spec"]["terminationGracePeriodSeconds"] = json!(0));
    for config in ["{}", "{evict: true}"] {
        let (api, wire) = server(own_zero.clone());
        Setup::new(api)
            .build()
            .run(&format!("mode: enforce\nactions: [delete: {config}]"), &event())
            .await;
        let [write] = &wire.writes()[..] else { panic!("{:?}", wire.writes()) };
        let options =
            if write.method == Method::POST { &write.body["deleteOptions"] } else { &write.body };
        assert_eq!(options["gracePeriodSeconds"], 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_is_an_outage_at_the_deadline() {
    let (mut answer, mut hangs) = (with_pod(pod()), false);
    let (api, _) = Wire::new(move |request| {
        hangs |= request.is_write();
        if hangs { Answer::Never } else { answer(request) }
    });
    let bench = Setup::new(api).build();
    let mut response = bench.begin("mode: enforce\nactions: [delete: {}]", &event()).await;
    let began = Instant::now();
    let Advance::Retry(failure) = bench.advance(&mut response).await else {
        panic!("not to be retried")
    };
    assert_eq!(failure.kind, FailureKind::Unavailable(Dependency::KubernetesApi));
    assert!(began.elapsed() <= DEADLINE, "the paused clock tells the time exactly");
}

#[tokio::test(start_paused = true)]
async fn looking_for_a_pod_ends_at_the_deadline_however_many_wait_for_the_same_slot() {
    let (api, wire) = Wire::new(|_| Answer::Never);
    let bench = Setup::new(api.at_most(1)).build();
    let (claim, occurrence) = occurrence(&event());
    let began = Instant::now();
    let looks = (0..4).map(|_| bench.engine.verify(&claim, &occurrence, Needs::default()));
    for looked in futures::future::join_all(looks).await {
        let failure = looked.expect_err("nobody answers");
        assert_eq!(failure.kind, FailureKind::Unavailable(Dependency::KubernetesApi));
    }
    // Whoever gets the slot at the last moment has its own time.
    assert!(began.elapsed() <= 2 * DEADLINE, "{:?}", began.elapsed());
    assert!(wire.requests().len() <= 2);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_hangs_by_itself_is_no_outage_and_uses_up_attempts() {
    for (config, broken) in [("{}", false), ("{}", true), ("{evict: true}", false)] {
        let mut answer = with_pod(pod());
        let (api, wire) = Wire::new(move |request| match request.is_write() {
            true if broken => Answer::Broken,
            true => Answer::Never,
            false => answer(request),
        });
        let bench = Setup::new(api).build();
        let spec = format!("mode: enforce\nactions: [delete: {config}]\nlimits: {{attempts: 2}}");
        let mut response = bench.begin(&spec, &event()).await;
        let Advance::Retry(failure) = bench.advance(&mut response).await else {
            panic!("not to be retried")
        };
        assert_eq!(failure.kind, FailureKind::Transient, "{config}");
        assert!(failure.why.contains("admission webhook"), "{failure}");
        let Advance::Finished(report) = bench.advance(&mut response).await else {
            panic!("not finished")
        };
        assert_eq!(words(&report), ["delete failed (transient)"]);
        assert_eq!(wire.writes().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_was_carried_out_and_not_answered_is_done() {
    let mut answer = with_pod(pod());
    let (api, _) = Wire::new(move |request| {
        let answered = answer(request);
        if request.is_write() { Answer::Never } else { answered }
    });
    let spec = "mode: enforce\nactions: [delete: {}]";
    assert_eq!(words(&Setup::new(api).build().run(spec, &event()).await), ["delete already-done"]);
}

#[tokio::test(start_paused = true)]
async fn endless_throttling_ends_with_the_first_answer() {
    let mut answer = with_pod(pod());
    let (api, wire) = Wire::new(move |request| match request.is_write() {
        true => error(429, "TooManyRequests", "slow down"),
        false => answer(request),
    });
    let bench = Setup::new(api).build();
    let mut response = bench.begin("mode: enforce\nactions: [delete: {}]", &event()).await;
    let Advance::Retry(failure) = bench.advance(&mut response).await else {
        panic!("not to be retried")
    };
    assert_eq!(failure.kind, FailureKind::Unavailable(Dependency::KubernetesApi));
    assert_eq!(wire.writes().len(), 1, "not retried below our own retries");
}

#[tokio::test]
async fn a_kubeconfigs_client_makes_one_request_a_call_whatever_the_answer() {
    // The client that kube builds by itself retries 429, 503 and 504 for minutes: `from_config` must not.
    let (address, hits) = crate::receiver::always(429).await;
    let config = kube::Config::new(address.parse().expect("a URI"));
    assert!(config.default_retry);
    let api = playbooks::act::Api::from_config(config, DEADLINE)
        .map_err(|error| error.to_string())
        .expect("a client");
    let error = api.can_i(&Permission::new("", "pods", "get")).await.expect_err("throttled");
    assert_eq!(*error.class(), Class::Failed(FailureKind::Unavailable(Dependency::KubernetesApi)));
    assert_eq!(hits.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_right_is_asked_for_as_it_is_needed() {
    let (api, wire) = Wire::new(|request| {
        let mut review = request.body.clone();
        review["status"] =
            json!({"allowed": request.body["spec"]["resourceAttributes"]["verb"] == "delete"});
        Answer::Json(201, review)
    });
    assert!(api.can_i(&Permission::new("", "pods", "delete")).await.expect("an answer"));
    assert!(!api.can_i(&Permission::new("", "pods/eviction", "create")).await.expect("an answer"));
    let asked = &wire.requests()[1].body["spec"]["resourceAttributes"];
    assert_eq!(
        *asked,
        json!({"group": "", "resource": "pods", "subresource": "eviction", "verb": "create"})
    );
}
