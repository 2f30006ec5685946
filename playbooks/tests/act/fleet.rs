//! Budgets of all workers together, on a server whose every fault can be had.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use http::Method;
use playbooks::act::{Advance, Api, BreakerLimits, Response, Standing};
use serde_json::{Value, json};

use crate::{
    fixtures::{Bench, Setup, event, occurrence, pod_with, words},
    outside::Scripted,
    wire::{Answer, Request, Wire, error, not_found},
};

const OURS: &str = "/api/v1/namespaces/stoop/configmaps";
const BUDGET: &str = "/api/v1/namespaces/stoop/configmaps/stoop-budget-test";
const SPEC: &str = "mode: enforce\nactions: [act]\nlimits: {budget: 3 per 5m per namespace}";

/// The pods `shop/<uid>`, and the ConfigMaps of our namespace.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    map: Option<Value>,
    version: u64,
    /// What becomes of the next requests for the map.
    faults: Vec<Fault>,
    writes: usize,
    reads: usize,
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    /// None yet.
    Pass,
    /// It is done, and nobody hears of it.
    Unheard,
    Answer(u16),
    /// Somebody else writes first.
    Outrun,
}

impl Server {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("the state")
    }

    fn api(&self) -> Api {
        let server = self.clone();
        Wire::new(move |request| server.state().answer(request)).0
    }

    /// The uids that have paid.
    fn paid(&self) -> BTreeSet<String> {
        let state = self.state();
        let text = state.map.as_ref().and_then(|map| map["data"]["tokens"].as_str());
        let ledger: Value = serde_json::from_str(text.unwrap_or("{}")).expect("a ledger");
        let purses = ledger.as_object().expect("purses").values();
        purses.flat_map(|tokens| tokens.as_object().expect("tokens").keys().cloned()).collect()
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> Answer {
        if let Some(name) = request.path.strip_prefix("/api/v1/namespaces/shop/pods/") {
            return Answer::Json(
                200,
                pod_with(|pod| {
                    pod["metadata"]["name"] = json!(name);
                    pod["metadata"]["uid"] = json!(name);
                }),
            );
        }
        if !request.path.starts_with(OURS) {
            return not_found();
        }
        match self.faults.pop() {
            None | Some(Fault::Pass) => self.map(request),
            Some(Fault::Answer(code)) => error(code, "Test", "no"),
            Some(Fault::Unheard) => {
                self.map(request);
                Answer::Broken
            }
            Some(Fault::Outrun) => {
                let map = self.map.clone();
                if let Some(map) = map {
                    self.put(map);
                }
                self.map(request)
            }
        }
    }

    fn map(&mut self, request: &Request) -> Answer {
        let is_there = self.map.as_ref();
        let version = is_there.map(|map| map["metadata"]["resourceVersion"].clone());
        match (&request.method, is_there) {
            (&Method::GET, Some(map)) => {
                assert_eq!(request.path, BUDGET);
                self.reads += 1;
                Answer::Json(200, map.clone())
            }
            (&Method::GET | &Method::PUT, None) => {
                self.reads += 1;
                not_found()
            }
            (&Method::POST, None) => self.put(request.body.clone()),
            (&Method::POST, Some(_)) => error(409, "AlreadyExists", "it is there"),
            (&Method::PUT, Some(_)) => {
                let pinned = &request.body["metadata"]["resourceVersion"];
                assert!(pinned.is_string(), "written over whatever is there: {}", request.body);
                match version.as_ref() == Some(pinned) {
                    true => self.put(request.body.clone()),
                    false => error(409, "Conflict", "the object has been modified"),
                }
            }
            other => panic!("{other:?}"),
        }
    }

    fn put(&mut self, mut map: Value) -> Answer {
        self.version += 1;
        self.writes += 1;
        map["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.map = Some(map.clone());
        Answer::Json(200, map)
    }
}

/// One of the fleet's workers.
fn worker(server: &Server, act: &Scripted) -> Bench {
    let mut setup = Setup::new(server.api());
    setup.registry = act.register(setup.registry);
    setup.guardrails.own_namespace = Some("stoop".into());
    // They all have one owner.
    setup.guardrails.breaker = BreakerLimits { per_owner: 1000, ..BreakerLimits::default() };
    setup.build()
}

/// An event about the pod whose uid and name these are.
fn about(uid: &str) -> Value {
    let mut event = event();
    event["output_fields"]["k8s.pod.name"] = json!(uid);
    event["output_fields"]["k8s.pod.uid"] = json!(uid);
    event
}

async fn begin(bench: &Bench, spec: &str, uid: &str) -> Response {
    let standing = Standing::of(bench.verify(&about(uid)).await).expect("ours");
    Response::new(bench.plan(spec), standing, Arc::new(occurrence(&about(uid)).1))
}

async fn run(bench: &Bench, spec: &str, uid: &str) -> String {
    match bench.advance(&mut begin(bench, spec, uid).await).await {
        Advance::Finished(report) => words(&report).remove(0),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn workers_share_a_budget_and_a_redelivery_to_another_pays_nothing() {
    let (server, act) = (Server::default(), Scripted::containing("act", []));
    let (one, other) = (worker(&server, &act), worker(&server, &act));
    for (bench, uid, expected) in [
        (&one, "a", "act applied"),
        (&other, "b", "act applied"),
        (&other, "a", "act applied"),
        (&one, "b", "act applied"),
        (&one, "c", "act applied"),
        (&other, "d", "act refused (budget)"),
        (&one, "d", "act refused (budget)"),
        (&other, "c", "act applied"),
    ] {
        assert_eq!(run(bench, SPEC, uid).await, expected, "{uid}");
    }
    assert_eq!(server.paid(), ["a", "b", "c"].map(str::to_owned).into());
    assert_eq!(server.state().writes, 3, "one for each token");
}

#[tokio::test(start_paused = true)]
async fn a_spent_budget_is_read_once_in_a_while_and_not_for_every_event() {
    let (server, act) = (Server::default(), Scripted::containing("act", []));
    let (one, other) = (worker(&server, &act), worker(&server, &act));
    for uid in ["a", "b", "c"] {
        run(&one, SPEC, uid).await;
    }
    let before = server.state().reads;
    for n in 0..100 {
        assert_eq!(run(&other, SPEC, &format!("x{n}")).await, "act refused (budget)");
    }
    assert_eq!(server.state().reads, before + 1);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(run(&other, SPEC, "y").await, "act refused (budget)");
    assert_eq!(server.state().reads, before + 2);
    assert_eq!((server.state().writes, act.calls()), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn where_the_object_is_taken_away_the_count_begins_anew() {
    let (server, act) = (Server::default(), Scripted::containing("act", []));
    let bench = worker(&server, &act);
    for uid in ["a", "b", "c"] {
        assert_eq!(run(&bench, SPEC, uid).await, "act applied");
    }
    server.state().map = None;
    tokio::time::advance(Duration::from_secs(1)).await;
    for (uid, expected) in
        [("d", "applied"), ("e", "applied"), ("f", "applied"), ("g", "refused (budget)")]
    {
        assert_eq!(run(&bench, SPEC, uid).await, format!("act {expected}"), "{uid}");
    }
}

#[tokio::test]
async fn without_a_token_that_is_written_nothing_is_done_and_nothing_is_finished() {
    for (faults, kind) in [
        (vec![Fault::Answer(403)], "transient"),
        (vec![Fault::Answer(500)], "transient"),
        (vec![Fault::Answer(503)], "unavailable"),
        (vec![Fault::Unheard], "unavailable"),
    ] {
        for at_write in [false, true] {
            let (server, act) = (Server::default(), Scripted::containing("act", []));
            let bench = worker(&server, &act);
            if at_write {
                // Known already: the next request is the write.
                run(&bench, SPEC, "a").await;
            }
            let done = act.calls();
            server.state().faults = faults.clone();
            let mut response = begin(&bench, SPEC, "b").await;
            let Advance::Retry(failure) = bench.advance(&mut response).await else {
                panic!("finished without a token: {faults:?}")
            };
            assert_eq!((failure.kind.as_str(), act.calls()), (kind, done), "{faults:?}: {failure}");
            // The same response, once it is over.
            let Advance::Finished(report) = bench.advance(&mut response).await else {
                panic!("not finished")
            };
            assert_eq!(words(&report), ["act applied"]);
            assert_eq!(server.paid().len(), done + 1);
        }
    }
}

#[tokio::test]
async fn what_cannot_be_understood_is_no_budget_to_spend() {
    for tokens in [json!("[]"), json!("{\"namespace/shop\":{\"a\":\"soon\"}}")] {
        let (server, act) = (Server::default(), Scripted::containing("act", []));
        let map = json!({"metadata": {"name": "stoop-budget-test"}, "data": {"tokens": tokens}});
        server.state().put(map);
        let bench = worker(&server, &act);
        let mut response = begin(&bench, SPEC, "a").await;
        let Advance::Retry(failure) = bench.advance(&mut response).await else {
            panic!("finished")
        };
        assert!(failure.why.contains("delete it to begin anew"), "{failure}");
        assert_eq!(act.calls(), 0);
    }
}

#[tokio::test]
async fn who_loses_the_race_reads_again_and_asks_again() {
    let (server, act) = (Server::default(), Scripted::containing("act", []));
    let bench = worker(&server, &act);
    run(&bench, SPEC, "a").await;
    server.state().faults = vec![Fault::Outrun];
    assert_eq!(run(&bench, SPEC, "b").await, "act applied");
    assert_eq!(server.paid().len(), 2);
    // Taken away since it was read.
    server.state().map = None;
    assert_eq!(run(&bench, SPEC, "c").await, "act applied");
    assert_eq!(server.paid(), ["c".to_owned()].into());
}

#[tokio::test]
async fn a_crash_around_the_write_costs_no_second_token() {
    for fault in [Fault::Unheard, Fault::Outrun] {
        let (server, act) = (Server::default(), Scripted::containing("act", []));
        let spec = SPEC.replace("3 per", "1 per");
        // It is the write that meets it.
        server.state().faults = vec![fault, Fault::Pass];
        let crashed = worker(&server, &act);
        drop(crashed.advance(&mut begin(&crashed, &spec, "a").await).await);
        let next = worker(&server, &act);
        assert_eq!(run(&next, &spec, "a").await, "act applied", "{fault:?}");
        assert_eq!(run(&next, &spec, "b").await, "act refused (budget)", "{fault:?}");
    }
}

#[tokio::test]
async fn those_who_wait_at_the_same_time_share_a_write() {
    let (server, act) = (Server::default(), Scripted::containing("act", []));
    let bench = worker(&server, &act);
    let spec = SPEC.replace("3 per", "60 per");
    let uids: Vec<_> = (0..100).map(|n| format!("x{n}")).collect();
    let all = uids.iter().map(|uid| run(&bench, &spec, uid));
    let ended = futures::future::join_all(all).await;
    assert_eq!(ended.iter().filter(|end| *end == "act applied").count(), 60);
    assert_eq!((act.calls(), server.paid().len()), (60, 60));
    assert!(server.state().writes < 60, "{}", server.state().writes);
}

#[tokio::test]
async fn one_who_leaves_while_others_wait_holds_none_of_them_up() {
    let (server, act) = (Server::default(), Scripted::containing("act", []));
    let bench = worker(&server, &act);
    let (mut first, mut second) = (begin(&bench, SPEC, "a").await, begin(&bench, SPEC, "b").await);
    let left = tokio::time::timeout(Duration::ZERO, bench.advance(&mut first)).await;
    drop(left);
    let Advance::Finished(report) = bench.advance(&mut second).await else {
        panic!("not finished")
    };
    assert_eq!(words(&report), ["act applied"]);
}

#[tokio::test]
async fn only_what_changes_something_for_real_asks_the_fleet() {
    let (server, act) = (Server::default(), Scripted::containing("act", []));
    let bench = worker(&server, &act);
    for mode in ["observe", "dryRun"] {
        run(&bench, &SPEC.replace("enforce", mode), "a").await;
    }
    let tells = "mode: enforce\nactions: [notify: {to: [log]}]\nlimits: {budget: 1 per 5m}";
    assert_eq!(run(&bench, tells, "a").await, "notify applied");
    assert_eq!(run(&bench, tells, "b").await, "notify refused (budget)");
    let state = server.state();
    assert_eq!((state.reads, state.writes), (0, 0));
}

#[tokio::test]
async fn the_rights_are_bound_to_the_playbooks_own_object() {
    let (server, act) = (Server::default(), Scripted::containing("act", []));
    let mut setup = Setup::new(server.api());
    setup.registry = act.register(setup.registry);
    let options = playbooks::act::GuardrailOptions {
        own_namespace: Some("ours".into()),
        ..playbooks::act::GuardrailOptions::default()
    };
    let guardrails = playbooks::act::Guardrails::new(options).expect("guardrails");
    let bench = setup.build();
    let rights = |spec: &str| -> Vec<String> {
        let plan = bench.plan(spec);
        let rights = guardrails.rights([plan.as_ref()]).into_iter();
        rights.map(|right| right.permission.to_string()).collect()
    };
    assert_eq!(
        rights(SPEC),
        [
            "create configmaps in ours",
            "get configmaps stoop-budget-test in ours",
            "update configmaps stoop-budget-test in ours"
        ]
    );
    assert!(rights(&SPEC.replace("namespace", "cluster"))[1].contains(" stoop-budgets "));
    let watched = SPEC.replace("enforce", "observe");
    for none in [watched.as_str(), "mode: enforce\nactions: [act]"] {
        assert_eq!(rights(none), [] as [&str; 0], "{none}");
    }
}
