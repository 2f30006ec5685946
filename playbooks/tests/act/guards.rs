//! Guardrails as a response meets them: what they hold back, and that their errors are no permission.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures::future::join;
use playbooks::act::{
    Advance, BreakerLimits, FailureKind, GuardrailOptions, KillSwitchOptions, Notifiers, OwnPod,
    Response, Standing,
};
use serde_json::{Value, json};

use crate::{
    fixtures::{
        EVICTION, POD, Setup, ago, event, event_at, occurrence, pod, pod_with, server, with_pod,
        words,
    },
    outside::{Inbox, Scripted},
    responses::{recording, shelf::Responses},
    wire::{Answer, Request, Wire, error, not_found, status},
};

const DELETE: &str = "mode: enforce\nactions: [delete: {owners: [ReplicaSet, Standalone]}]";
const SWITCH: &str = "/api/v1/namespaces/stoop/configmaps/stoop-kill-switch";

async fn run(pod: Value, options: GuardrailOptions, event: &Value) -> (Vec<String>, Wire) {
    let (api, wire) = Wire::new(move |request| match request.method.as_str() {
        "GET" => Answer::Json(200, pod.clone()),
        _ => Answer::Json(200, pod.clone()),
    });
    let mut setup = Setup::new(api);
    setup.guardrails = options;
    (words(&setup.build().run(DELETE, event).await), wire)
}

fn in_namespace(namespace: &str) -> (Value, Value) {
    let pod = pod_with(|pod| pod["metadata"]["namespace"] = json!(namespace));
    let mut event = event();
    event["output_fields"]["k8s.ns.name"] = json!(namespace);
    (pod, event)
}

#[tokio::test]
async fn protected_namespaces_are_protected_under_any_configuration() {
    let options = || GuardrailOptions {
        protected_namespaces: vec!["payments".into(), "team-*".into()],
        own_namespace: Some("response".into()),
        own_pod: Some(OwnPod { namespace: "workers".into(), name: "stoop-0".into() }),
        ..GuardrailOptions::default()
    };
    for namespace in [
        "kube-system",
        "kube-public",
        "kube-node-lease",
        "openshift-monitoring",
        "openshift-x",
        "falco",
        "stoop",
        "payments",
        "team-a",
        "response",
        "workers",
    ] {
        let (pod, event) = in_namespace(namespace);
        let (words, wire) = run(pod, options(), &event).await;
        assert_eq!(words, ["delete refused (protected-namespace)"], "{namespace}");
        assert!(wire.writes().is_empty());
    }
    for namespace in ["shop", "kube-systems", "my-openshift", "falcoresponse"] {
        let (pod, event) = in_namespace(namespace);
        assert_eq!(run(pod, options(), &event).await.0, ["delete applied"], "{namespace}");
    }
}

#[tokio::test]
async fn the_worker_itself_mirrors_and_system_pods_are_never_touched() {
    let own = GuardrailOptions {
        own_pod: Some(OwnPod { namespace: "shop".into(), name: "web".into() }),
        ..GuardrailOptions::default()
    };
    assert_eq!(run(pod(), own, &event()).await.0, ["delete refused (own-pod)"]);
    let mirror = pod_with(|pod| {
        let hash = pod["metadata"]["uid"].clone();
        pod["metadata"]["annotations"] =
            json!({"kubernetes.io/config.mirror": "h", "kubernetes.io/config.hash": hash});
    });
    assert_eq!(
        run(mirror, GuardrailOptions::default(), &event()).await.0,
        ["delete refused (mirror-pod)"]
    );
    let system = pod_with(|pod| pod["spec"]["priorityClassName"] = json!("system-node-critical"));
    assert_eq!(
        run(system, GuardrailOptions::default(), &event()).await.0,
        ["delete refused (priority-class)"]
    );
}

#[tokio::test]
async fn old_events_and_events_from_the_future_change_nothing() {
    let table = [
        (299, "applied"),
        (302, "refused (event-age)"),
        (-30, "applied"),
        (-70, "refused (future-event)"),
    ];
    for (age, expected) in table {
        let (words, wire) = run(pod(), GuardrailOptions::default(), &event_at(ago(age))).await;
        assert_eq!(words, [format!("delete {expected}")], "{age}s old");
        assert_eq!(wire.writes().len(), usize::from(expected == "applied"));
    }
}

#[tokio::test]
async fn the_playbook_sets_the_age_for_changes_and_old_news_is_still_told() {
    let inbox = Inbox::default();
    let (api, wire) = server(pod());
    let mut setup = Setup::new(api);
    setup.notifiers =
        Notifiers::default().with("inbox", Arc::new(inbox.clone())).expect("a free name");
    let bench = setup.build();
    let spec =
        "mode: enforce\nactions: [delete, notify: {to: [inbox]}]\nlimits: {maxEventAge: 10s}";
    assert_eq!(
        words(&bench.run(spec, &event()).await),
        ["delete refused (event-age)", "notify applied"]
    );
    assert!(wire.writes().is_empty());
    let older =
        "mode: enforce\nactions: [delete, notify: {to: [inbox]}]\nlimits: {maxEventAge: 30m}";
    assert_eq!(
        words(&bench.run(older, &event_at(ago(1200))).await),
        ["delete applied", "notify applied"]
    );
}

#[tokio::test]
async fn age_is_judged_when_the_response_starts() {
    let act = Scripted::containing("act", [playbooks::act::Failure::transient("a hiccup").into()]);
    let (api, _) = server(pod());
    let mut setup = Setup::new(api);
    setup.registry = act.register(setup.registry);
    let bench = setup.build();
    let spec = "mode: enforce\nactions: [act]\nlimits: {maxEventAge: 2s}";
    let (event, began) = (event_at(ago(0)), std::time::Instant::now());
    let mut response = bench.begin(spec, &event).await;
    assert!(matches!(bench.advance(&mut response).await, Advance::Retry(_)));
    while words(&bench.run(spec, &event).await) != ["act refused (event-age)"] {
        assert!(began.elapsed() < std::time::Duration::from_secs(60), "it never grows too old");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let Advance::Finished(report) = bench.advance(&mut response).await else {
        panic!("not finished")
    };
    assert_eq!(words(&report), ["act applied"]);
}

#[tokio::test]
async fn a_budget_is_paid_once_by_each_target_and_refuses_for_later() {
    let act = Scripted::containing("act", []);
    let (api, _) = server(pod());
    let mut setup = Setup::new(api);
    setup.registry = act.register(setup.registry);
    let bench = setup.build();
    let spec = "mode: enforce\nactions: [act]\nlimits: {budget: 1 per 5m per namespace}";
    for _ in 0..3 {
        assert_eq!(words(&bench.run(spec, &event()).await), ["act applied"]);
    }
    let other = pod_with(|pod| pod["metadata"]["uid"] = json!("another"));
    let mut other_event = event();
    other_event["output_fields"]["k8s.pod.uid"] = json!("another");
    let verified = Setup::new(server(other).0).build().verify(&other_event).await;
    let standing = Standing::of(verified).expect("ours");
    let mut response =
        Response::new(bench.plan(spec), standing, Arc::new(occurrence(&other_event).1));
    let Advance::Finished(report) = bench.advance(&mut response).await else {
        panic!("not finished")
    };
    assert_eq!(words(&report), ["act refused (budget)"]);
    assert!(report.wants_redrive(), "it would be right later");
    assert_eq!(act.calls(), 3);
}

#[tokio::test]
async fn a_budget_counts_together_what_has_the_same_of_what_it_names() {
    type Change = fn(&mut Value, &mut Value);
    let scopes: [(&str, Change); 4] = [
        ("namespace", |pod, event| {
            pod["metadata"]["namespace"] = json!("lab");
            event["output_fields"]["k8s.ns.name"] = json!("lab");
        }),
        ("node", |pod, event| {
            pod["spec"]["nodeName"] = json!("node-2");
            event["hostname"] = json!("node-2");
        }),
        ("owner", |pod, _| pod["metadata"]["ownerReferences"][0]["name"] = json!("db-7c")),
        ("rule", |_, event| event["rule"] = json!("Another")),
    ];
    for (scope, change) in scopes {
        let act = Scripted::containing("act", []);
        let mut setup = Setup::new(server(pod()).0);
        setup.registry = act.register(setup.registry);
        let bench = setup.build();
        let spec =
            format!("mode: enforce\nactions: [act]\nlimits: {{budget: 1 per 5m per {scope}}}");
        let run = async |uid: &str, change: Option<Change>| {
            let (mut pod, mut event) = (pod(), event());
            pod["metadata"]["uid"] = json!(uid);
            event["output_fields"]["k8s.pod.uid"] = json!(uid);
            if let Some(change) = change {
                change(&mut pod, &mut event);
            }
            let (api, _) = Wire::new(move |_| Answer::Json(200, pod.clone()));
            let standing = Standing::of(Setup::new(api).build().verify(&event).await);
            let occurrence = Arc::new(occurrence(&event).1);
            let mut response =
                Response::new(bench.plan(&spec), standing.expect("ours"), occurrence);
            match bench.advance(&mut response).await {
                Advance::Finished(report) => words(&report).remove(0),
                other => panic!("not finished: {other:?}"),
            }
        };
        assert_eq!(run("a", None).await, "act applied", "{scope}");
        assert_eq!(run("b", None).await, "act refused (budget)", "{scope}");
        assert_eq!(run("c", Some(change)).await, "act applied", "{scope}");
    }
}

#[tokio::test]
async fn what_is_only_rehearsed_takes_nothing_from_the_budget() {
    let (api, _) = Wire::new(|request| {
        let name = request.path.rsplit('/').next().unwrap_or_default().to_owned();
        Answer::Json(200, pod_with(|pod| pod["metadata"]["uid"] = json!(name)))
    });
    let bench = Setup::new(api).build();
    let spec = format!("{DELETE}\nlimits: {{budget: 1 per 5m}}");
    for mode in ["observe", "dryRun"] {
        bench.run(&spec.replace("enforce", mode), &about(&mode.to_lowercase())).await;
    }
    assert_eq!(words(&bench.run(&spec, &about("a")).await), ["delete applied"]);
    assert_eq!(words(&bench.run(&spec, &about("b")).await), ["delete refused (budget)"]);
}

/// What is said about the pod of this name and uid.
fn about(name: &str) -> Value {
    let mut event = event();
    event["output_fields"]["k8s.pod.name"] = json!(name);
    event["output_fields"]["k8s.pod.uid"] = json!(name);
    event
}

#[tokio::test]
async fn of_two_at_once_below_one_owner_the_breaker_lets_one_through() {
    let responses = Responses::default();
    let (api, _) = responses.serve(|request| {
        let name = request.path.rsplit('/').next().unwrap_or_default().to_owned();
        Answer::Json(200, pod_with(|pod| pod["metadata"]["uid"] = json!(name)))
    });
    let mut setup = Setup::new(api.clone());
    setup.guardrails.breaker = BreakerLimits { per_owner: 1, ..BreakerLimits::default() };
    let bench = recording("a", setup, api);
    let (one, two) = (about("a"), about("b"));
    let (one, two) = Box::pin(join(bench.run(DELETE, &one), bench.run(DELETE, &two))).await;
    let mut all = [words(&one), words(&two)].concat();
    all.sort();
    assert_eq!(all, ["delete applied", "delete refused (breaker)"]);
}

#[tokio::test]
async fn a_person_can_allow_more_age_and_never_less() {
    let (api, _) = server(pod());
    let bench = Setup::new(api).build();
    let (claim, mut occurrence) = occurrence(&event());
    occurrence.max_age = Some(std::time::Duration::from_secs(1));
    let verified = bench.engine.verify(&claim, &occurrence, Default::default()).await;
    let standing = Standing::of(verified.expect("verified")).expect("ours");
    let mut response = Response::new(bench.plan(DELETE), standing, Arc::new(occurrence));
    let Advance::Finished(report) = bench.advance(&mut response).await else {
        panic!("not finished")
    };
    assert_eq!(words(&report), ["delete applied"]);
}

#[tokio::test]
async fn a_switch_in_a_cluster_that_cannot_be_asked_is_no_yes() {
    let verified = Setup::new(server(pod()).0).build().verify(&event()).await;
    let standing = Standing::of(verified).expect("ours");
    let act = Scripted::containing("act", []);
    let mut setup = switched(server(pod()).0);
    (setup.api, setup.registry) = (None, act.register(setup.registry));
    let bench = setup.build();
    let plan = bench.plan("mode: enforce\nactions: [act]");
    let mut response = Response::new(plan, standing, Arc::new(occurrence(&event()).1));
    assert!(matches!(bench.advance(&mut response).await, Advance::Retry(_)));
    assert_eq!(act.calls(), 0);
}

#[tokio::test]
async fn what_is_refused_anyway_takes_nothing_from_the_budget() {
    let (api, _) = Wire::new(|_| Answer::Json(200, pod()));
    let bench = Setup::new(api).build();
    let spec = "mode: enforce\nactions: [delete]\nlimits: {budget: 1 per 5m}";
    let old = pod_with(|pod| pod["metadata"]["uid"] = json!("another"));
    let mut old_event = event_at(ago(600));
    old_event["output_fields"]["k8s.pod.uid"] = json!("another");
    let verified = Setup::new(server(old).0).build().verify(&old_event).await;
    let standing = Standing::of(verified).expect("ours");
    let mut response =
        Response::new(bench.plan(spec), standing, Arc::new(occurrence(&old_event).1));
    let Advance::Finished(report) = bench.advance(&mut response).await else {
        panic!("not finished")
    };
    assert_eq!(words(&report), ["delete refused (event-age)"]);
    assert_eq!(words(&bench.run(spec, &event()).await), ["delete applied"]);
}

#[tokio::test]
async fn a_playbook_that_only_tells_is_held_by_its_budget_too() {
    let inbox = Inbox::default();
    let (api, _) = server(pod());
    let mut setup = Setup::new(api);
    setup.notifiers =
        Notifiers::default().with("inbox", Arc::new(inbox.clone())).expect("a free name");
    let bench = setup.build();
    let spec = "mode: enforce\nactions: [notify: {to: [inbox]}]\nlimits: {budget: 1 per 5m}";
    for id in ["one", "two"] {
        let mut event = event();
        event["output_fields"] = json!({"k8s.pod.uid": id});
        let occurrence = Arc::new(occurrence(&event).1);
        let mut response = Response::new(bench.plan(spec), Standing::NoTarget, occurrence);
        assert!(matches!(bench.advance(&mut response).await, Advance::Finished(_)));
    }
    assert_eq!(inbox.messages().len(), 1);
}

#[tokio::test]
async fn a_loop_on_one_owner_opens_the_breaker() {
    let (api, wire) = Wire::new(|request| {
        let name = request.path.rsplit('/').next().unwrap_or_default().to_owned();
        Answer::Json(
            200,
            pod_with(|pod| {
                pod["metadata"]["uid"] = json!(name.clone());
                pod["metadata"]["name"] = json!(name);
            }),
        )
    });
    let mut setup = Setup::new(api);
    setup.guardrails.breaker = BreakerLimits { per_owner: 2, ..BreakerLimits::default() };
    let bench = setup.build();
    let mut outcomes = Vec::new();
    for name in ["a", "b", "b", "c"] {
        let mut event = event();
        event["output_fields"]["k8s.pod.name"] = json!(name);
        event["output_fields"]["k8s.pod.uid"] = json!(name);
        outcomes.extend(words(&bench.run(DELETE, &event).await));
    }
    assert_eq!(
        outcomes,
        ["delete applied", "delete applied", "delete applied", "delete refused (breaker)"]
    );
    assert_eq!(wire.writes().len(), 3);
}

#[tokio::test]
async fn a_rehearsal_takes_no_room_from_what_is_done() {
    let (api, _) = Wire::new(|request| {
        let name = request.path.rsplit('/').next().unwrap_or_default().to_owned();
        Answer::Json(200, pod_with(|pod| pod["metadata"]["uid"] = json!(name)))
    });
    let mut setup = Setup::new(api);
    setup.guardrails.breaker = BreakerLimits { per_owner: 1, ..BreakerLimits::default() };
    let bench = setup.build();
    let rehearsal = DELETE.replace("enforce", "dryRun");
    assert_eq!(words(&bench.run(&rehearsal, &about("a")).await), ["delete skipped (dry-run)"]);
    assert_eq!(words(&bench.run(DELETE, &about("b")).await), ["delete applied"]);
    assert_eq!(words(&bench.run(&rehearsal, &about("c")).await), ["delete refused (breaker)"]);
}

/// Refuses every eviction that is asked for, as `answer` says.
fn evictions(
    answer: impl Fn() -> Value + Send + 'static,
) -> impl FnMut(&Request) -> Answer + Send + 'static {
    move |request| match request.path.as_str() {
        EVICTION => {
            let answer = answer();
            let code = answer["code"].as_u64().and_then(|code| u16::try_from(code).ok());
            Answer::Json(code.expect("a code"), answer)
        }
        _ => Answer::Json(200, pod()),
    }
}

#[tokio::test]
async fn the_breaker_counts_changes_that_failed_and_not_their_tries_or_what_held_them_up() {
    let failing = || status(500, "InternalError", "etcd is ill");
    let held_up = || {
        let mut answer = status(429, "TooManyRequests", "Cannot evict pod");
        answer["details"] = json!({"causes": [{"reason": "DisruptionBudget"}]});
        answer
    };
    let spec = "mode: enforce\nactions: [delete: {evict: true}]\nlimits: {attempts: 5}";
    for (answer, closed_for) in [(failing as fn() -> Value, 10), (held_up, 20)] {
        let bench = Setup::new(Wire::new(evictions(answer)).0).build();
        for change in 0..20 {
            let mut response = bench.begin(spec, &event()).await;
            let (report, _) = crate::engine::to_the_end(&bench, &mut response).await;
            let expected = match change < closed_for {
                true => "delete failed (transient)",
                false => "delete refused (breaker)",
            };
            assert_eq!(words(&report), [expected], "change {change}");
        }
    }
}

fn switch(
    mut state: impl FnMut() -> Answer + Send + 'static,
) -> impl FnMut(&Request) -> Answer + Send + 'static {
    let mut answer = with_pod(pod());
    move |request| match request.path.as_str() {
        SWITCH => state(),
        _ => answer(request),
    }
}

fn switched(api: playbooks::act::Api) -> Setup {
    let mut setup = Setup::new(api);
    let config_map = Some(("stoop".to_owned(), "stoop-kill-switch".to_owned()));
    setup.guardrails.kill_switch = KillSwitchOptions { file: None, config_map };
    setup
}

#[tokio::test]
async fn the_kill_switchs_config_map_is_read_before_a_change() {
    let value = |value: &str| Answer::Json(200, json!({"metadata": {}, "data": {"stop": value}}));
    type State = Box<dyn FnMut() -> Answer + Send>;
    let table: [(State, &str); 6] = [
        (Box::new(move || value("on")), "delete refused (kill-switch)"),
        (Box::new(move || value("")), "delete refused (kill-switch)"),
        (Box::new(move || value("off")), "delete applied"),
        (Box::new(|| Answer::Json(200, json!({"metadata": {}, "data": {}}))), "delete applied"),
        (Box::new(|| Answer::Json(200, json!({"metadata": {}}))), "delete applied"),
        (Box::new(not_found), "delete applied"),
    ];
    for (state, expected) in table {
        let (api, wire) = Wire::new(switch(state));
        let report = switched(api).build().run(DELETE, &event()).await;
        assert_eq!(words(&report), [expected]);
        assert_eq!(report.wants_redrive(), expected.contains("kill-switch"));
        assert_eq!(wire.writes().is_empty(), expected.contains("refused"));
    }
}

#[tokio::test]
async fn a_kill_switch_that_cannot_be_read_means_no_change_and_no_end() {
    for (code, reason, kind) in
        [(503, "ServiceUnavailable", "unavailable"), (403, "Forbidden", "transient")]
    {
        let (api, wire) = Wire::new(switch(move || error(code, reason, "no")));
        let bench = switched(api).build();
        let mut response = bench.begin(DELETE, &event()).await;
        let Advance::Retry(failure) = bench.advance(&mut response).await else {
            panic!("not to be retried")
        };
        assert_eq!(failure.kind.as_str(), kind);
        assert_ne!(failure.kind, FailureKind::Permanent);
        assert!(wire.writes().is_empty());
    }
}

#[tokio::test]
async fn a_delivery_that_is_lost_while_a_guard_is_asked_changes_nothing() {
    let lost = tokio_util::sync::CancellationToken::new();
    let fires = lost.clone();
    let (api, wire) = Wire::new(switch(move || {
        fires.cancel();
        not_found()
    }));
    let bench = switched(api).build();
    let mut response = bench.begin(DELETE, &event()).await;
    assert!(matches!(bench.engine.advance(&mut response, &lost).await, Advance::Lost));
    assert!(wire.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_burst_asks_the_kill_switch_once_even_when_it_hangs() {
    for hangs in [false, true] {
        let (api, wire) =
            Wire::new(switch(move || if hangs { Answer::Never } else { not_found() }));
        let bench = switched(api).build();
        let began = tokio::time::Instant::now();
        let passes = (0..10).map(async |_| {
            let mut response = bench.begin(DELETE, &event()).await;
            bench.advance(&mut response).await
        });
        for advance in futures::future::join_all(passes).await {
            assert_eq!(matches!(advance, Advance::Retry(_)), hangs, "{advance:?}");
        }
        assert_eq!(wire.requests().iter().filter(|request| request.path == SWITCH).count(), 1);
        assert!(began.elapsed() <= crate::wire::DEADLINE);
    }
}

#[tokio::test(start_paused = true)]
async fn a_kill_switch_that_was_not_answered_is_left_alone_for_a_second() {
    let (api, wire) = Wire::new(switch(|| Answer::Never));
    let bench = switched(api).build();
    let asked = || wire.requests().iter().filter(|request| request.path == SWITCH).count();
    let mut response = bench.begin(DELETE, &event()).await;
    for (wait_ms, expected) in [(0, 1), (0, 1), (999, 1), (1, 2)] {
        tokio::time::advance(std::time::Duration::from_millis(wait_ms)).await;
        assert!(matches!(bench.advance(&mut response).await, Advance::Retry(_)));
        assert_eq!(asked(), expected, "{wait_ms} ms later");
    }
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_is_lost_does_not_wait_for_the_kill_switch() {
    let (api, _) = Wire::new(switch(|| Answer::Never));
    let bench = switched(api).build();
    let lost = tokio_util::sync::CancellationToken::new();
    let mut response = bench.begin(DELETE, &event()).await;
    let began = tokio::time::Instant::now();
    let leave = async {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        lost.cancel();
    };
    let (advance, ()) =
        futures::future::join(bench.engine.advance(&mut response, &lost), leave).await;
    assert!(matches!(advance, Advance::Lost), "{advance:?}");
    assert!(began.elapsed() < crate::wire::DEADLINE);
}

#[tokio::test(start_paused = true)]
async fn a_turned_switch_is_noticed_within_a_second() {
    let on = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let read = Arc::clone(&on);
    let (api, wire) = Wire::new(move |request| match request.path.as_str() {
        SWITCH => {
            let value = if read.load(std::sync::atomic::Ordering::SeqCst) { "on" } else { "off" };
            Answer::Json(200, json!({"metadata": {}, "data": {"stop": value}}))
        }
        POD => Answer::Json(200, pod()),
        _ => not_found(),
    });
    let bench = switched(api).build();
    assert_eq!(words(&bench.run(DELETE, &event()).await), ["delete applied"]);
    on.store(true, std::sync::atomic::Ordering::SeqCst);
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    assert_eq!(words(&bench.run(DELETE, &event()).await), ["delete refused (kill-switch)"]);
    assert_eq!(wire.writes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_the_kill_switch_stops_takes_nothing_from_the_budget() {
    let is_on = Arc::new(AtomicBool::new(true));
    let says = Arc::clone(&is_on);
    let (api, _) = Wire::new(switch(move || {
        let says = if says.load(Ordering::Relaxed) { "on" } else { "off" };
        Answer::Json(200, json!({"metadata": {}, "data": {"stop": says}}))
    }));
    let bench = switched(api).build();
    let spec = "mode: enforce\nactions: [delete]\nlimits: {budget: 1 per 5m}";
    let other = pod_with(|pod| pod["metadata"]["uid"] = json!("another"));
    let mut other_event = event();
    other_event["output_fields"]["k8s.pod.uid"] = json!("another");
    let verified = Setup::new(server(other).0).build().verify(&other_event).await;
    let standing = Standing::of(verified).expect("ours");
    let occurrence = Arc::new(occurrence(&other_event).1);
    let mut response = Response::new(bench.plan(spec), standing, occurrence);
    let Advance::Finished(report) = bench.advance(&mut response).await else {
        panic!("not finished")
    };
    assert_eq!(words(&report), ["delete refused (kill-switch)"]);
    is_on.store(false, Ordering::Relaxed);
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    assert_eq!(words(&bench.run(spec, &event()).await), ["delete applied"]);
}

#[tokio::test]
async fn a_refused_change_is_told_and_later_changes_are_held() {
    let inbox = Inbox::default();
    let second = Scripted::containing("second", []);
    let (pod, event) = in_namespace("kube-system");
    let (api, wire) = Wire::new(move |_| Answer::Json(200, pod.clone()));
    let mut setup = Setup::new(api);
    setup.registry = second.register(setup.registry);
    setup.notifiers =
        Notifiers::default().with("inbox", Arc::new(inbox.clone())).expect("a free name");
    let report = setup
        .build()
        .run("mode: enforce\nactions: [delete, second, notify: {to: [inbox]}]", &event)
        .await;
    assert_eq!(
        words(&report),
        ["delete refused (protected-namespace)", "second skipped (stopped)", "notify applied"]
    );
    assert!(!report.wants_redrive() && report.is_alarming());
    assert_eq!((second.calls(), wire.writes().len(), inbox.messages().len()), (0, 0, 1));
}

#[test]
fn a_glob_that_cannot_be_read_is_refused() {
    let options =
        GuardrailOptions { protected_namespaces: vec!["a[".into()], ..GuardrailOptions::default() };
    assert!(playbooks::act::Guardrails::new(options).is_err());
}
