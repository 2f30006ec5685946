//! Many workers and one budget, on the real compare-and-swap: it is never passed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::future::join_all;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use playbooks::act::{Advance, Api, GuardrailOptions, Guardrails, Response, Right, Standing};
use serde_json::Value;
use testbed::cluster::Access;

use super::{api_server, connect, container_id, event_about, namespace, pod, roles::connect_with};
use crate::{
    fixtures::{Bench, Setup, occurrence, word},
    outside::Scripted,
};

const SPEC: &str = "mode: enforce\nactions: [act]\nlimits: {budget: 4 per 10m per namespace}";
const WORKERS: usize = 6;
const PODS: usize = 12;

/// A worker of the fleet that keeps its budgets in this namespace.
fn worker(api: Api, ours: &str, act: &Scripted) -> Bench {
    let mut setup = Setup::new(api);
    setup.registry = act.register(setup.registry);
    setup.guardrails.own_namespace = Some(ours.to_owned());
    setup.build()
}

async fn attacked(access: &Access, namespace: &str) -> Vec<Pod> {
    let made = (0..PODS).map(async |n| {
        let name = format!("web-{n}");
        pod(access, namespace, &name, &container_id(&name)).await
    });
    join_all(made).await
}

async fn response(bench: &Bench, spec: &str, event: &Value) -> Response {
    let standing = Standing::of(bench.verify(event).await).expect("ours");
    Response::new(bench.plan(spec), standing, Arc::new(occurrence(event).1))
}

/// Whoever has paid, by the purse.
async fn ledger(access: &Access, ours: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let client = access.client().await.map_err(|error| error.to_string()).expect("a client");
    let maps = kube::Api::<ConfigMap>::namespaced(client, ours);
    let map = maps.get("stoop-budget-test").await.expect("a ledger");
    serde_json::from_str(&map.data.expect("data")["tokens"]).expect("tokens")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fleets_budget_is_never_passed_by_workers_redeliveries_and_crashes() {
    let access = api_server().await;
    let (ours, shop) = (namespace(access).await, namespace(access).await);
    let pods = attacked(access, &shop).await;
    let act = Scripted::containing("act", []);
    let api = connect(access).await;
    let mut applied = BTreeSet::new();
    for round in 0..3 {
        // New workers each time: what the ones before remembered is gone with them.
        let workers: Vec<_> = (0..WORKERS).map(|_| worker(api.clone(), &ours, &act)).collect();
        let deliveries = workers.iter().enumerate().flat_map(|(at, bench)| {
            pods.iter().enumerate().map(move |(number, pod)| async move {
                let mut response = response(bench, SPEC, &event_about(pod, None)).await;
                if (at + number + round).is_multiple_of(5) {
                    // Killed somewhere on the way: before the token, while it is written, or after.
                    let patience = std::time::Duration::from_millis(number as u64);
                    drop(tokio::time::timeout(patience, bench.advance(&mut response)).await);
                    return None;
                }
                match bench.advance(&mut response).await {
                    Advance::Finished(report) => {
                        Some((report.uid.expect("a uid").to_string(), word(&report.overall)))
                    }
                    other => panic!("{other:?}"),
                }
            })
        });
        for (uid, outcome) in join_all(deliveries).await.into_iter().flatten() {
            match outcome.as_str() {
                "applied" => {
                    applied.insert(uid);
                }
                "refused (budget)" => {}
                other => panic!("{other}"),
            }
        }
    }
    let ledger = ledger(access, &ours).await;
    let paid: BTreeSet<_> = ledger[&format!("namespace/{shop}")].keys().cloned().collect();
    assert_eq!((ledger.len(), paid.len()), (1, 4), "{ledger:?}");
    // A token may have been written by one that was killed then: nobody acts without one all the same.
    assert!(applied.is_subset(&paid), "{applied:?} {paid:?}");
    assert!(!applied.is_empty());
}

#[tokio::test]
async fn a_worker_under_the_printed_roles_keeps_the_budget_and_one_without_them_changes_nothing() {
    let access = api_server().await;
    let (ours, shop) = (namespace(access).await, namespace(access).await);
    let act = Scripted::containing("act", []);
    let plan = worker(connect(access).await, &ours, &act).plan(SPEC);
    let options =
        GuardrailOptions { own_namespace: Some(ours.clone()), ..GuardrailOptions::default() };
    let guardrails = Guardrails::new(options).expect("guardrails");
    let rights = |rights: Vec<Right>| rights.into_iter().map(|right| right.permission);
    let of_plan: Vec<_> = rights(plan.rights()).collect();
    let of_budget: Vec<_> = rights(guardrails.rights([plan.as_ref()])).collect();
    let run = async |missing: &[&str], name: &str| {
        let left = of_budget.iter().filter(|right| !missing.contains(&right.verb.as_str()));
        let granted: Vec<_> = of_plan.iter().chain(left).cloned().collect();
        let user = format!("{ours}-{name}");
        let bench = worker(connect_with(access, &user, &granted).await, &ours, &act);
        let pod = pod(access, &shop, name, &container_id(name)).await;
        let mut response = response(&bench, SPEC, &event_about(&pod, None)).await;
        bench.advance(&mut response).await
    };
    // The first token makes the object, the others change it.
    for (missing, name) in [("get", "a"), ("create", "b")] {
        assert!(matches!(run(&[missing], name).await, Advance::Retry(_)), "{missing}");
    }
    assert_eq!(act.calls(), 0);
    assert!(matches!(run(&["update"], "c").await, Advance::Finished(_)));
    assert!(matches!(run(&["update"], "d").await, Advance::Retry(_)));
    assert_eq!(act.calls(), 1);
    assert!(matches!(run(&["create"], "e").await, Advance::Finished(_)));
    assert!(matches!(run(&[], "f").await, Advance::Finished(_)));
    assert_eq!(act.calls(), 3);
}
