//! The ladder, rung by rung, and what no combination of claims may ever do.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::{option, prelude::*};
use serde_json::{Value, json};

use super::*;

const UID: &str = "0b6f1d3c-7e58-4c0e-9a41-3d2f7c1b5a90";
const OTHER_UID: &str = "ffffffff-7e58-4c0e-9a41-3d2f7c1b5a90";
const SHORT: &str = "6ac7d190134e";
const FULL: &str = "6ac7d190134e3f2a6ac7d190134e3f2a6ac7d190134e3f2a6ac7d190134e3f2a";
const SANDBOX: &str = "aaaaaaaaaaaa";
/// 2026-01-02T03:04:05Z
const CREATED: i64 = 1_767_323_045;

fn pod(change: impl FnOnce(&mut serde_json::Value)) -> Pod {
    let mut pod = json!({
        "metadata": {
            "name": "web", "namespace": "shop", "uid": UID,
            "creationTimestamp": "2026-01-02T03:04:05Z"
        },
        "spec": {"nodeName": "node-1", "containers": []},
        "status": {"containerStatuses": [status(format!("containerd://{FULL}"))]}
    });
    change(&mut pod);
    serde_json::from_value(pod).unwrap_or_default()
}

fn status(id: impl Into<String>) -> serde_json::Value {
    json!({"name": "c", "image": "i", "imageID": "", "ready": true, "restartCount": 0, "containerID": id.into()})
}

fn at(seconds_after_creation: i64) -> Timestamp {
    Timestamp::from_second(CREATED + seconds_after_creation).unwrap_or(Timestamp::MAX)
}

/// An event a minute after the pod's creation, judged an hour later.
fn event<'a>(uid: Option<&'a str>, container: Option<&'a str>) -> Evidence<'a> {
    let kind = Kind::Container { uid, container, sandbox: None, host: None };
    Evidence { kind, time: at(60), now: at(3660) }
}

fn on_host<'a>(name: &'a str, is_node: Option<bool>) -> Evidence<'a> {
    let kind = Kind::Container {
        uid: Some(UID),
        container: Some(SHORT),
        sandbox: None,
        host: Some(Host { name, is_node }),
    };
    Evidence { kind, time: at(60), now: at(3660) }
}

fn audit(time: Timestamp) -> Evidence<'static> {
    Evidence { kind: Kind::Audit, time, now: at(3660) }
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "passed",
        Verdict::Gone(_) => "gone",
        Verdict::NotYet(_) => "not yet",
        Verdict::AskHost => "ask",
        Verdict::Refused(_) => "refused",
    }
}

#[track_caller]
fn assert_verdict(evidence: &Evidence<'_>, pod: &Pod, expected: &str) {
    let verdict = judge(evidence, pod);
    assert_eq!(word(&verdict), expected, "{verdict:?} for {evidence:?}");
}

#[test]
fn uid_and_container_id_decide_together() {
    let other = "000000000000";
    let table = [
        (Some(UID), Some(SHORT), "passed"),
        (Some(UID), Some(FULL), "passed"),
        (Some(UID), None, "passed"),
        (None, Some(SHORT), "passed"),
        (None, Some(FULL), "passed"),
        (None, None, "refused"),
        (Some(OTHER_UID), Some(other), "gone"),
        (Some(OTHER_UID), None, "gone"),
        // The container says it is this pod, the uid says it is not.
        (Some(OTHER_UID), Some(SHORT), "refused"),
        (Some(UID), Some(other), "refused"),
        (None, Some(other), "refused"),
        // Too short to identify anything.
        (None, Some("6ac7d190134"), "refused"),
        (None, Some("6"), "refused"),
        (None, Some(""), "refused"),
    ];
    for (uid, container, expected) in table {
        assert_verdict(&event(uid, container), &pod(|_| {}), expected);
    }
    let longer = format!("{FULL}0");
    assert_verdict(&event(None, Some(&longer)), &pod(|_| {}), "refused");
}

#[test]
fn a_container_is_found_wherever_the_status_remembers_it() {
    let ended =
        json!({"terminated": {"exitCode": 1, "containerID": format!("containerd://{FULL}")}});
    let restarted = |key: &str| {
        let mut now = status("containerd://1111111111111111");
        now[key] = ended.clone();
        now
    };
    let places = [
        json!({"initContainerStatuses": [status(format!("cri-o://{FULL}"))]}),
        json!({"ephemeralContainerStatuses": [status(format!("docker://{FULL}"))]}),
        json!({"containerStatuses": [status("containerd://1111111111111111"), status(format!("containerd://{FULL}"))]}),
        json!({"containerStatuses": [restarted("state")]}),
        json!({"containerStatuses": [restarted("lastState")]}),
        json!({"initContainerStatuses": [restarted("lastState")]}),
        json!({"ephemeralContainerStatuses": [restarted("state")]}),
        // Without a scheme, as an odd runtime may write it.
        json!({"containerStatuses": [status(FULL)]}),
    ];
    for place in places {
        assert_verdict(
            &event(None, Some(SHORT)),
            &pod(|pod| pod["status"] = place.clone()),
            "passed",
        );
    }
    for place in [
        json!({}),
        json!({"containerStatuses": [status("")]}),
        json!({"containerStatuses": [status("containerd://")]}),
    ] {
        assert_verdict(
            &event(None, Some(SHORT)),
            &pod(|pod| pod["status"] = place.clone()),
            "refused",
        );
    }
}

#[test]
fn an_id_in_the_middle_of_another_is_no_match() {
    let inner = &FULL[1..20];
    assert_verdict(&event(None, Some(inner)), &pod(|_| {}), "refused");
    assert_verdict(&event(None, Some("containerd:/")), &pod(|_| {}), "refused");
}

#[test]
fn the_status_may_lag_behind_for_half_a_minute() {
    let empty = pod(|pod| pod["status"] = json!({}));
    let seen = |after: i64| Evidence { now: at(60 + after), ..event(Some(UID), Some(SHORT)) };
    assert_verdict(&seen(0), &empty, "not yet");
    assert_verdict(&seen(30), &empty, "not yet");
    assert_verdict(&seen(31), &empty, "refused");
    assert_verdict(&seen(-5), &empty, "not yet");
}

#[test]
fn the_pause_container_is_known_by_the_uid_alone() {
    let sandboxed = |uid, sandbox| Evidence {
        kind: Kind::Container { uid, container: Some(SANDBOX), sandbox, host: None },
        time: at(60),
        now: at(3660),
    };
    assert_verdict(&sandboxed(Some(UID), Some(SANDBOX)), &pod(|_| {}), "passed");
    assert_verdict(&sandboxed(Some(UID), None), &pod(|_| {}), "refused");
    assert_verdict(&sandboxed(Some(UID), Some("bbbbbbbbbbbb")), &pod(|_| {}), "refused");
    assert_verdict(&sandboxed(None, Some(SANDBOX)), &pod(|_| {}), "refused");
    assert_verdict(&sandboxed(Some(OTHER_UID), Some(SANDBOX)), &pod(|_| {}), "gone");
}

#[test]
fn a_pod_that_is_younger_than_the_event_is_another_one() {
    let before =
        |seconds: i64, uid, container| Evidence { time: at(-seconds), ..event(uid, container) };
    // Clocks differ a little.
    assert_verdict(&before(5, Some(UID), Some(SHORT)), &pod(|_| {}), "passed");
    // The proof contradicts itself: never "gone", since the pod is there.
    assert_verdict(&before(6, Some(UID), Some(SHORT)), &pod(|_| {}), "refused");
    assert_verdict(&before(6, Some(UID), None), &pod(|_| {}), "refused");
    assert_verdict(&before(6, None, Some(SHORT)), &pod(|_| {}), "refused");
    // A successor of the same name.
    assert_verdict(&before(6, None, Some("000000000000")), &pod(|_| {}), "gone");
    assert_verdict(&before(6, Some(OTHER_UID), None), &pod(|_| {}), "gone");
    assert_verdict(
        &event(Some(UID), None),
        &pod(|pod| pod["metadata"]["creationTimestamp"] = json!(null)),
        "refused",
    );
}

#[test]
fn a_static_pod_is_known_by_its_manifests_hash() {
    let hash = "f1e2d3c4b5a6f1e2d3c4b5a6f1e2d3c4";
    let mirror = pod(|pod| {
        pod["metadata"]["annotations"] =
            json!({"kubernetes.io/config.mirror": hash, "kubernetes.io/config.hash": hash});
    });
    assert_verdict(&event(Some(hash), Some(SHORT)), &mirror, "passed");
    assert_verdict(&event(Some(UID), None), &mirror, "gone");
    // Anyone can write the annotation alone on a pod of his own.
    let pretender =
        pod(|pod| pod["metadata"]["annotations"] = json!({"kubernetes.io/config.hash": hash}));
    assert_verdict(&event(Some(hash), None), &pretender, "gone");
}

#[test]
fn the_host_counts_where_it_is_a_node() {
    assert_verdict(&on_host("node-1", None), &pod(|_| {}), "passed");
    assert_verdict(&on_host("falco-ctj9r", None), &pod(|_| {}), "ask");
    assert_verdict(&on_host("falco-ctj9r", Some(false)), &pod(|_| {}), "passed");
    assert_verdict(&on_host("node-2", Some(true)), &pod(|_| {}), "refused");
    let unscheduled = pod(|pod| pod["spec"]["nodeName"] = json!(null));
    assert_verdict(&on_host("node-1", Some(true)), &unscheduled, "refused");
}

#[test]
fn an_audit_event_means_a_pod_that_was_there_a_whole_second_before() {
    let milli =
        |milli: i64| Timestamp::from_millisecond(CREATED * 1000 + milli).unwrap_or(Timestamp::MAX);
    assert_verdict(&audit(milli(1000)), &pod(|_| {}), "passed");
    assert_verdict(&audit(milli(999)), &pod(|_| {}), "refused");
    assert_verdict(&audit(milli(0)), &pod(|_| {}), "refused");
    assert_verdict(&audit(milli(-1)), &pod(|_| {}), "gone");
}

#[test]
fn a_host_event_means_a_node_that_was_there_a_whole_second_before() {
    let milli =
        |milli: i64| Timestamp::from_millisecond(CREATED * 1000 + milli).unwrap_or(Timestamp::MAX);
    let node = |created: Value| -> Node {
        let meta = json!({"metadata": {"name": "node-1", "creationTimestamp": created}});
        serde_json::from_value(meta).unwrap_or_default()
    };
    let created = json!("2026-01-02T03:04:05Z");
    for (after, expected) in [(1000, "passed"), (999, "refused"), (0, "refused"), (-1, "gone")] {
        assert_eq!(word(&judge_node(milli(after), &node(created.clone()))), expected, "{after} ms");
    }
    assert_eq!(word(&judge_node(milli(1000), &node(json!(null)))), "refused");
    judge_node(Timestamp::MAX, &node(created.clone()));
    judge_node(Timestamp::MIN, &node(created));
}

fn claimed_id() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(FULL.to_owned()),
        (0usize..=FULL.len()).prop_map(|length| FULL[..length].to_owned()),
        "[0-9a-f]{0,64}",
        any::<String>(),
    ]
}

proptest! {
    /// Whatever the event claims, a pod passes only if nothing in the claim speaks against it.
    #[test]
    fn a_contradicted_claim_never_passes(
        uid in option::of(prop_oneof![Just(UID.to_owned()), Just(OTHER_UID.to_owned()), any::<String>()]),
        container in option::of(claimed_id()),
        sandbox in option::of(claimed_id()),
        host in option::of(("node-[12]", option::of(any::<bool>()))),
        event_after in -100i64..100,
        judged_after in -100i64..100,
    ) {
        let evidence = Evidence {
            kind: Kind::Container {
                uid: uid.as_deref(),
                container: container.as_deref(),
                sandbox: sandbox.as_deref(),
                host: host.as_ref().map(|(name, is_node)| Host { name, is_node: *is_node }),
            },
            time: at(event_after),
            now: at(event_after + judged_after),
        };
        if judge(&evidence, &pod(|_| {})) == Verdict::Passed {
            let uid_agrees = uid.as_deref() == Some(UID);
            let id_agrees = container.as_deref().is_some_and(|id| id.len() >= 12 && FULL.starts_with(id));
            prop_assert!(uid_agrees || id_agrees);
            prop_assert!(uid.is_none() || uid_agrees);
            prop_assert!(container.is_none() || id_agrees || (uid_agrees && sandbox.is_some()));
            prop_assert!(event_after >= -5);
            prop_assert!(host.is_none_or(|(name, is_node)| name == "node-1" || is_node == Some(false)));
        }
    }

    /// "Gone" is acknowledged as done: it must never be said of the very pod.
    #[test]
    fn the_very_pod_is_never_called_gone(
        uid in option::of(Just(UID)),
        container in option::of(Just(SHORT)),
        event_after in -100i64..100,
        judged_after in 0i64..100,
    ) {
        let evidence = Evidence { time: at(event_after), now: at(event_after + judged_after), ..event(uid, container) };
        prop_assert_ne!(word(&judge(&evidence, &pod(|_| {}))), "gone");
    }
}

#[test]
fn no_time_that_an_event_can_name_breaks_the_ladder() {
    let pod = pod(|_| {});
    for time in [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX] {
        for now in [at(3660), Timestamp::MAX] {
            let claimed = Evidence { time, now, ..event(Some(UID), Some(SHORT)) };
            let expected = if time == Timestamp::MAX { "passed" } else { "refused" };
            assert_eq!(word(&judge(&claimed, &pod)), expected, "{time}");
            judge(&audit(time), &pod);
            claimed.is_young();
        }
    }
    let mut latest = pod;
    latest.metadata.creation_timestamp = Some(Time(Timestamp::MAX));
    assert_eq!(word(&judge(&audit(at(0)), &latest)), "gone");
}

#[test]
fn an_event_from_the_future_is_not_waited_for() {
    let young = |ahead: i64| {
        let now = at(3660);
        Evidence { time: at(3660 + ahead), now, ..event(Some(UID), Some("bbbbbbbbbbbb")) }
    };
    assert_eq!(word(&judge(&young(-30), &pod(|_| {}))), "not yet");
    assert_eq!(word(&judge(&young(60), &pod(|_| {}))), "not yet");
    assert_eq!(word(&judge(&young(61), &pod(|_| {}))), "refused");
    let last = Evidence { time: Timestamp::MAX, ..young(0) };
    assert_eq!(word(&judge(&last, &pod(|_| {}))), "refused");
}
